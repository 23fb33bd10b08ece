//! Who is let in.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use coffer_base::{Clock, SystemClock, Timestamp};
use http::{Method, Uri};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::client::{Answer, Client};
use crate::store::{ACCESS_KEY, SECRET, Store};

#[tokio::test]
async fn only_who_signs_rightly_is_let_in() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    root.call("PUT", "/bkt/k", b"hello").await.expect(200);

    let get = |extra: &str| format!("GET /bkt/k HTTP/1.1\r\nhost: h\r\n{extra}\r\n");
    let mut anybody = store.client().await;
    anybody.send(get("").as_bytes()).await;
    let refused = anybody.answer(false).await.expect_error(403, "AccessDenied");
    assert_eq!(refused.element("Resource").as_deref(), Some("/bkt/k"));
    assert_eq!(refused.element("RequestId").as_deref(), refused.header("x-amz-request-id"));
    assert_eq!(refused.element("HostId").as_deref(), refused.header("x-amz-id-2"));
    assert_eq!(refused.header("server"), Some("Coffer"));
    assert_eq!(refused.header("content-type"), Some("application/xml"));
    let id = refused.header("x-amz-request-id").unwrap();
    assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()));

    anybody.send(get("authorization: AWS A:c2ln\r\n").as_bytes()).await;
    let v2 = anybody.answer(false).await.expect_error(400, "InvalidRequest");
    assert!(v2.text().contains("Please use AWS4-HMAC-SHA256."));

    let mut stranger = store.client_of("NOBODY", SECRET).await;
    stranger.call("GET", "/bkt/k", b"").await.expect_error(403, "InvalidAccessKeyId");
    let mut guesser = store.client_of(ACCESS_KEY, "guess").await;
    let refused = guesser.call("GET", "/bkt/k", b"").await;
    let refused = refused.expect_error(403, "SignatureDoesNotMatch");
    assert!(refused.element("CanonicalRequest").unwrap().starts_with("GET&#xa;/bkt/k&#xa;"));
    assert!(!refused.text().contains(SECRET));
}

#[tokio::test]
async fn a_user_may_do_what_the_policy_says_while_enabled() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    root.call("PUT", "/bkt/k", b"hello").await.expect(200);
    let user = store.add_user("reader", "readonly").await;
    let mut reader = store.client_of(&user.access_key, &user.secret).await;
    assert_eq!(reader.call("GET", "/bkt/k", b"").await.expect(200).body, b"hello");
    reader.call("PUT", "/bkt/k", b"").await.expect_error(403, "AccessDenied");
    reader.call("PUT", "/c", b"").await.expect_error(403, "AccessDenied");
    reader.call("DELETE", "/bkt/k", b"").await.expect_error(403, "AccessDenied");
    store.service.identity.set_user_enabled(&store.admin(), "reader", false).await.unwrap();
    reader.call("GET", "/bkt/k", b"").await.expect_error(403, "InvalidAccessKeyId");
}

#[tokio::test]
async fn temporary_credentials_need_their_token_and_end_with_their_key() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    root.call("PUT", "/bkt/k", b"hello").await.expect(200);
    let user = store.add_user("reader", "readonly").await;
    let identity = &store.service.identity;
    let issued = identity.session_token(&user.access_key, None).unwrap();
    let other = identity.session_token(&user.access_key, None).unwrap();
    let mut session = store.client_of(&issued.access_key, &issued.secret).await;
    let mut get = async |token: &str| {
        session.call_with("GET", "/bkt/k", &[("x-amz-security-token", token)], b"").await
    };
    assert_eq!(get(&issued.token).await.expect(200).body, b"hello");
    get(&other.token).await.expect_error(400, "InvalidToken");
    get("garbage").await.expect_error(400, "InvalidToken");
    let token = issued.token.as_str();
    let mut session = store.client_of(&issued.access_key, &issued.secret).await;
    session.call("GET", "/bkt/k", b"").await.expect_error(403, "InvalidAccessKeyId");
    let mut thief = store.client_of(&issued.access_key, &other.secret).await;
    let stolen = thief.call_with("GET", "/bkt/k", &[("x-amz-security-token", token)], b"").await;
    stolen.expect_error(403, "SignatureDoesNotMatch");
    let put = session.call_with("PUT", "/bkt/k", &[("x-amz-security-token", token)], b"").await;
    put.expect_error(403, "AccessDenied");
    // A long-term key takes no token along.
    let both = root.call_with("GET", "/bkt/k", &[("x-amz-security-token", token)], b"").await;
    both.expect_error(400, "InvalidToken");
    store.service.identity.remove_user(&store.admin(), "reader").await.unwrap();
    let gone = session.call_with("GET", "/bkt/k", &[("x-amz-security-token", token)], b"").await;
    gone.expect_error(403, "InvalidAccessKeyId");
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
    assert_eq!(request(Method::GET, 604_800, ago(604_000), "").await.expect(200).body, b"hello");
    let expired = request(Method::GET, 60, ago(61), "").await.expect_error(403, "AccessDenied");
    assert_eq!(expired.element("Message").as_deref(), Some("Request has expired"));
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
    client.answer(false).await.expect_error(403, "RequestTimeTooSkewed");
    client.send(good.as_bytes()).await;
    client.answer(false).await.expect(200);
}

#[tokio::test]
async fn a_form_without_credentials_opens_nothing_else() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    root.call("PUT", "/bkt/k", b"hello").await.expect(200);
    let document = "<Delete><Object><Key>k</Key></Object></Delete>";
    let post = |target: &str, extra: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nhost: h\r\ncontent-md5: 1B2M2Y8AsgTpgAmY7PhCfg==\r\n\
             content-type: multipart/form-data; boundary=x\r\ncontent-length: {}\r\n{extra}\r\n",
            document.len()
        )
    };
    let mut anybody = store.client().await;
    for target in ["/bkt?delete", "/none?delete", "/bkt/k?uploads", "/bkt/k?uploadId=1"] {
        anybody.send(post(target, "").as_bytes()).await;
        anybody.send(document.as_bytes()).await;
        let refused = anybody.answer(false).await;
        refused.expect_error(403, "AccessDenied");
    }
    anybody.send(post("/bkt", "").as_bytes()).await;
    anybody.send(document.as_bytes()).await;
    let form = anybody.answer(false).await;
    form.expect_error(501, "NotImplemented");
    // Nothing of a body is asked for.
    let waiting = post("/bkt?delete", "expect: 100-continue\r\n");
    anybody.send(waiting.as_bytes()).await;
    let refused = anybody.answer(false).await;
    refused.expect_error(403, "AccessDenied");
    root.call("GET", "/bkt/k", b"").await.expect(200);
}

/// Sends `body` to what `presigned` names.
async fn send(client: &mut Client, presigned: &Uri, extra: &str, body: &str) -> Answer {
    let target = presigned.path_and_query().unwrap();
    let (host, length) = (client.host.clone(), body.len());
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n{extra}\r\n{body}"
    );
    client.send(head.as_bytes()).await;
    client.answer(false).await
}

#[tokio::test]
async fn a_presigned_hash_holds_for_the_body() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    let hash = hex::encode(Sha256::digest("hello"));
    let named = format!("http://{}/bkt/k?X-Amz-Content-Sha256={hash}", root.host);
    let uri: Uri = named.parse().unwrap();
    let now = SystemClock.now();
    let url = root.signer.presign(&Method::PUT, &uri, 60, now).unwrap();
    let other = send(&mut root, &url, "", "hellO").await;
    other.expect_error(400, "XAmzContentSHA256Mismatch");
    let unsigned = "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n";
    let evaded = send(&mut root, &url, unsigned, "hellO").await;
    evaded.expect_error(400, "InvalidRequest");
    let nothing = root.call("GET", "/bkt/k", b"").await;
    nothing.expect_error(404, "NoSuchKey");
    send(&mut root, &url, "", "hello").await.expect(200);
    let same = format!("x-amz-content-sha256: {hash}\r\n");
    send(&mut root, &url, &same, "hello").await.expect(200);
}

#[tokio::test]
async fn a_url_presigned_before_there_was_a_body_takes_any() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    // The checksum is that of no bytes, as the JavaScript SDK has it.
    let query = "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32";
    let uri: Uri = format!("http://{}/bkt/k?{query}", root.host).parse().unwrap();
    let now = SystemClock.now();
    let url = root.signer.presign(&Method::PUT, &uri, 60, now).unwrap();
    send(&mut root, &url, "", "hello").await.expect(200);
    let got = root.call("GET", "/bkt/k", b"").await.expect(200);
    assert_eq!(got.body, b"hello");
}

#[tokio::test]
async fn who_may_not_list_the_source_is_not_told_what_is_not_there() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    root.call("PUT", "/bkt/open/a", b"hello").await.expect(200);
    root.call("PUT", "/other", b"").await.expect(200);
    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::other*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bkt/open/*"}]}"#;
    let user = store.add_user("copier", policy).await;
    let mut copier = store.client_of(&user.access_key, &user.secret).await;
    let created = copier.call("POST", "/other/u?uploads", b"").await;
    let id = created.expect(200).element("UploadId").unwrap();
    let part = format!("/other/u?partNumber=1&uploadId={id}");
    for target in ["/other/k", part.as_str()] {
        for (key, status) in [("a", 200), ("none", 403)] {
            let source = format!("/bkt/open/{key}");
            let headers = [("x-amz-copy-source", source.as_str())];
            let copied = copier.call_with("PUT", target, &headers, b"").await;
            assert_eq!(copied.status, status, "{target} {key}: {}", copied.text());
        }
        let headers = [("x-amz-copy-source", "/bkt/open/none")];
        let told = root.call_with("PUT", target, &headers, b"").await;
        told.expect_error(404, "NoSuchKey");
    }
}

#[tokio::test]
async fn all_users_are_one_account() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    let user = store.add_user("writer", "readwrite").await;
    let mut writer = store.client_of(&user.access_key, &user.secret).await;
    writer.call("PUT", "/other", b"").await.expect(200);
    for client in [&mut root, &mut writer] {
        for bucket in ["/bkt", "/other"] {
            let again = client.call("PUT", bucket, b"").await;
            again.expect_error(409, "BucketAlreadyOwnedByYou");
            let owner = [("x-amz-expected-bucket-owner", "root-owner")];
            client.call_with("HEAD", bucket, &owner, b"").await.expect(200);
            let other = [("x-amz-expected-bucket-owner", "somebody")];
            client.call_with("HEAD", bucket, &other, b"").await.expect(403);
        }
        client.call("PUT", "/other/k", b"x").await.expect(200);
        for target in ["/", "/other"] {
            let listed = client.call("GET", target, b"").await.expect(200);
            assert_eq!(listed.element("ID").as_deref(), Some("root-owner"));
        }
    }
}

#[tokio::test]
async fn nobody_has_a_body_read_that_no_policy_lets_in() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    root.call("PUT", "/bkt/k", b"hello").await.expect(200);
    let mut set_policy = async |principal: &str, action: &str| {
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow",
            "Principal": {principal}, "Action": "{action}", "Resource": "arn:aws:s3:::bkt/*"}}]}}"#
        );
        root.call("PUT", "/bkt?policy", policy.as_bytes()).await.expect(204);
    };
    let post = |length: usize, extra: &str| {
        format!(
            "POST /bkt?delete HTTP/1.1\r\nhost: h\r\ncontent-md5: 1B2M2Y8AsgTpgAmY7PhCfg==\r\n\
             content-length: {length}\r\n{extra}\r\n"
        )
    };
    let waiting = post(8 << 20, "expect: 100-continue\r\n");
    for (principal, action) in [(r#"{"AWS": "000000000000"}"#, "s3:*"), (r#""*""#, "s3:GetObject")]
    {
        set_policy(principal, action).await;
        let mut anybody = store.client().await;
        anybody.send(waiting.as_bytes()).await;
        anybody.answer(false).await.expect_error(403, "AccessDenied");
    }
    set_policy(r#""*""#, "s3:DeleteObject").await;
    // One who may delete may not send a large document.
    let mut anybody = store.client().await;
    anybody.send(post((64 << 10) + 1, "expect: 100-continue\r\n").as_bytes()).await;
    anybody.answer(false).await.expect_error(400, "MaxMessageLengthExceeded");
    let document = "<Delete><Object><Key>k</Key></Object></Delete>";
    let md5 = "content-md5: 1B2M2Y8AsgTpgAmY7PhCfg==";
    let summed = format!("content-md5: {}", BASE64_STANDARD.encode(Md5::digest(document)));
    let mut anybody = store.client().await;
    anybody.send(post(document.len(), "").replace(md5, &summed).as_bytes()).await;
    anybody.send(document.as_bytes()).await;
    let deleted = anybody.answer(false).await.expect(200);
    assert!(deleted.text().contains("<Deleted>"), "{}", deleted.text());
}

#[tokio::test]
async fn a_condition_that_is_ignored_lets_nobody_delete() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    root.call("PUT", "/bkt/k", b"hello").await.expect(200);
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Action": ["s3:DeleteObject", "s3:GetObject"], "Resource": "arn:aws:s3:::bkt/*",
        "Condition": {"Null": {"s3:if-match": "false"}}}]}"#;
    let user = store.add_user("careful", policy).await;
    let mut careful = store.client_of(&user.access_key, &user.secret).await;
    let document = b"<Delete><Object><Key>k</Key></Object></Delete>";
    let md5 = BASE64_STANDARD.encode(Md5::digest(document));
    let many = [("content-md5", md5.as_str()), ("if-match", "x")];
    let refused = careful.call_with("POST", "/bkt?delete", &many, document).await;
    refused.expect_error(501, "NotImplemented");
    let without = careful.call_with("POST", "/bkt?delete", &many[..1], document).await.expect(200);
    assert!(without.text().contains("<Code>AccessDenied</Code>"), "{}", without.text());
    careful.call("DELETE", "/bkt/k", b"").await.expect_error(403, "AccessDenied");
    let wrong = careful.call_with("DELETE", "/bkt/k", &[("if-match", "\"x\"")], b"").await;
    wrong.expect_error(412, "PreconditionFailed");
    careful.call_with("DELETE", "/bkt/k", &[("if-match", "*")], b"").await.expect(204);
}
