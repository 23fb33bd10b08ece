use super::*;

#[test]
fn of_what_the_client_says_of_itself_the_beginning_is_shown() {
    let long = format!("curl/8 {}", "a".repeat(10_000));
    let request = Request::builder()
        .header(USER_AGENT, &long)
        .header(REFERER, "http://a/")
        .body(())
        .expect("a request");
    let came = Came { peer: None, secure: true };
    let context = context(&request.into_parts().0, came, Timestamp(0));
    assert_eq!(context.get("aws:UserAgent").unwrap(), [&long[..4096]]);
    assert_eq!(context.get("aws:Referer").unwrap(), ["http://a/"]);
}
