use super::*;

fn fetch(url: &str) -> FetchError {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(HttpsFetch::default().get(url, &[])).unwrap_err()
}

#[test]
fn only_https_urls_with_a_host_are_fetched() {
    for url in ["", "/", "http://127.0.0.1/", "https:///x", "https://a b/", "ftp://a/", "https://"]
    {
        fetch(url);
    }
}

#[test]
fn a_host_that_does_not_listen_is_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = fetch(&format!("https://127.0.0.1:{port}/"));
    assert!(error.0.contains("refused"), "{error}");
}
