use super::*;

fn fetch(url: &str) -> FetchError {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(HttpsFetch::new(true).get(url, &[])).unwrap_err()
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

#[test]
fn private_addresses_are_not_reached_unless_they_may_be() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = format!("https://{host}:{port}/");
        let error = runtime.block_on(HttpsFetch::new(false).get(&url, &[])).unwrap_err();
        assert!(error.0.contains("oidc_private_addresses"), "{host}: {error}");
    }
    let nobody_came = listener.accept().unwrap_err();
    assert_eq!(nobody_came.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn public_addresses_are_told_from_others() {
    for public in ["1.1.1.1", "100.63.0.1", "172.32.0.1", "2606:4700::1", "64:ff9b::101:101"] {
        assert!(is_public(public.parse().unwrap()), "{public}");
    }
    for other in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.53",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::7f00:1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ] {
        assert!(!is_public(other.parse().unwrap()), "{other}");
    }
}
