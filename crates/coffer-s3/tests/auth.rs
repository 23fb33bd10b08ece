//! Who is let in.

use coffer_base::{Clock, SystemClock, Timestamp};
use http::{Method, Uri};

use crate::store::{ACCESS_KEY, SECRET, Store};

#[tokio::test]
async fn only_who_signs_rightly_is_let_in() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    root.call("PUT", "/bkt/k", b"hello").await.expect(200);

    let get = |extra: &str| format!("GET /bkt/k HTTP/1.1\r\nhost: h\r\n{extra}\r\n");
    let mut anybody = store.client().await;
    anybody.send(get("").as_bytes()).await;
    let refused = anybody
        .answer(false)
        .await
        .expect_error(403, "AccessDenied");
    assert_eq!(refused.element("Resource").as_deref(), Some("/bkt/k"));
    assert_eq!(
        refused.element("RequestId").as_deref(),
        refused.header("x-amz-request-id")
    );
    assert_eq!(
        refused.element("HostId").as_deref(),
        refused.header("x-amz-id-2")
    );
    assert_eq!(refused.header("server"), Some("Coffer"));
    assert_eq!(refused.header("content-type"), Some("application/xml"));
    let id = refused.header("x-amz-request-id").unwrap();
    assert!(
        id.len() == 16
            && id
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    );

    anybody
        .send(get("authorization: AWS A:c2ln\r\n").as_bytes())
        .await;
    let v2 = anybody
        .answer(false)
        .await
        .expect_error(400, "InvalidRequest");
    assert!(v2.text().contains("Please use AWS4-HMAC-SHA256."));

    let mut stranger = store.client_of("NOBODY", SECRET).await;
    stranger
        .call("GET", "/bkt/k", b"")
        .await
        .expect_error(403, "InvalidAccessKeyId");
    let mut guesser = store.client_of(ACCESS_KEY, "guess").await;
    let refused = guesser.call("GET", "/bkt/k", b"").await;
    let refused = refused.expect_error(403, "SignatureDoesNotMatch");
    assert!(
        refused
            .element("CanonicalRequest")
            .unwrap()
            .starts_with("GET&#xa;/bkt/k&#xa;")
    );
    assert!(!refused.text().contains(SECRET));
}

#[tokio::test]
async fn a_user_may_do_what_the_policy_says_while_enabled() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    root.call("PUT", "/bkt/k", b"hello").await.expect(200);
    let user = store.add_user("reader", "readonly").await;
    let mut reader = store.client_of(&user.access_key, &user.secret).await;
    assert_eq!(
        reader.call("GET", "/bkt/k", b"").await.expect(200).body,
        b"hello"
    );
    reader
        .call("PUT", "/bkt/k", b"")
        .await
        .expect_error(403, "AccessDenied");
    reader
        .call("PUT", "/c", b"")
        .await
        .expect_error(403, "AccessDenied");
    reader
        .call("DELETE", "/bkt/k", b"")
        .await
        .expect_error(403, "AccessDenied");
    store
        .service
        .objects
        .set_user_enabled(&store.admin(), "reader", false)
        .await
        .unwrap();
    reader
        .call("GET", "/bkt/k", b"")
        .await
        .expect_error(403, "InvalidAccessKeyId");
}

#[tokio::test]
async fn a_presigned_url_works_until_it_expires() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    let now = SystemClock.now();
    let uri: Uri = format!("http://{}/bkt/a%20key", root.host).parse().unwrap();
    let ago = |seconds: u64| Timestamp(now.0 - seconds * 1000);
    let mut request = async |method: Method, expires, at, body: &str| {
        let url = root.signer.presign(&method, &uri, expires, at).unwrap();
        let target = url.path_and_query().unwrap();
        let (host, length) = (&root.host, body.len());
        let head =
            format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n");
        root.send(format!("{head}\r\n{body}").as_bytes()).await;
        root.answer(false).await
    };
    request(Method::PUT, 60, now, "hello").await.expect(200);
    assert_eq!(
        request(Method::GET, 604_800, ago(604_000), "")
            .await
            .expect(200)
            .body,
        b"hello"
    );
    let expired = request(Method::GET, 60, ago(61), "")
        .await
        .expect_error(403, "AccessDenied");
    assert_eq!(
        expired.element("Message").as_deref(),
        Some("Request has expired")
    );
    let capped = request(Method::GET, 604_801, now, "").await;
    capped.expect_error(400, "AuthorizationQueryParametersError");
}

#[tokio::test]
async fn old_and_foreign_requests_are_refused() {
    let store = Store::start().await;
    let mut client = store.client().await;
    let good = String::from_utf8(client.head("GET", "/", &[], "UNSIGNED-PAYLOAD").bytes).unwrap();
    let elsewhere = good.replace("eu-test-1", "us-east-1");
    client.send(elsewhere.as_bytes()).await;
    let refused = client.answer(false).await;
    let refused = refused.expect_error(400, "AuthorizationHeaderMalformed");
    assert_eq!(refused.element("Region").as_deref(), Some("eu-test-1"));
    let (before, rest) = good.split_once("x-amz-date: ").unwrap();
    let (date, after) = rest.split_at(16);
    let year = &date[..4];
    let old = format!("{before}x-amz-date: {date}{after}").replace(year, "2001");
    client.send(old.as_bytes()).await;
    client
        .answer(false)
        .await
        .expect_error(403, "RequestTimeTooSkewed");
    client.send(good.as_bytes()).await;
    client.answer(false).await.expect(200);
}
