//! Bodies in all their framings.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use coffer_s3::sign::{SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER, UNSIGNED_CHUNKS};
use sha2::{Digest as _, Sha256};

use std::time::Duration;

use tokio::time::timeout;

use crate::client::Client;
use crate::store::Store;

struct Upload<'a> {
    kind: &'a str,
    chunks: &'a [&'a [u8]],
    /// Spoils one byte of the encoded body.
    spoil: Option<usize>,
    trailer: Option<(&'a str, String)>,
}

/// Uploads `/bkt/k` as aws-chunked.
async fn upload(client: &mut Client, upload: Upload<'_>) -> crate::client::Answer {
    let Upload { kind, chunks, spoil, trailer } = upload;
    let length: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let length = length.to_string();
    let signed = kind != UNSIGNED_CHUNKS;
    let encode = |mut signer: coffer_sigv4::ChunkSigner| {
        let mut out = Vec::new();
        for chunk in chunks.iter().copied().chain([&b""[..]]) {
            let size = format!("{:x}", chunk.len());
            let signature = signer.sign_chunk(&Sha256::digest(chunk).into());
            let extension =
                if signed { format!(";chunk-signature={signature}") } else { String::new() };
            out.extend_from_slice(format!("{size}{extension}\r\n").as_bytes());
            if !chunk.is_empty() {
                out.extend_from_slice(chunk);
                out.extend_from_slice(b"\r\n");
            }
        }
        if let Some((name, value)) = &trailer {
            out.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
            if signed {
                let signature = signer.sign_trailer(&[((*name).to_owned(), value.clone())]);
                out.extend_from_slice(
                    format!("x-amz-trailer-signature:{signature}\r\n").as_bytes(),
                );
            }
        }
        out.extend_from_slice(b"\r\n");
        out
    };
    let mut headers = vec![
        ("x-amz-decoded-content-length", length.as_str()),
        ("content-encoding", "gzip,aws-chunked"),
    ];
    if let Some((name, _)) = &trailer {
        headers.push(("x-amz-trailer", name));
    }
    // The length of the encoding does not depend on the signature.
    let probe = client.head("PUT", "/bkt/k", &headers, kind);
    let encoded_length = encode(probe.chunks).len().to_string();
    headers.push(("content-length", &encoded_length));
    let head = client.head("PUT", "/bkt/k", &headers, kind);
    let mut body = encode(head.chunks);
    if let Some(at) = spoil {
        body[at] ^= 1;
    }
    client.send(&head.bytes).await;
    for piece in body.chunks(1000) {
        client.send(piece).await;
    }
    client.answer(false).await
}

fn crc32(data: &[u8]) -> String {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, data) as u32;
    BASE64_STANDARD.encode(crc.to_be_bytes())
}

#[tokio::test]
async fn chunked_uploads_store_what_was_meant() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    let big = vec![b'x'; 70_000];
    let chunks: &[&[u8]] = &[&big, b"tail"];
    let whole = chunks.concat();
    let trailer = || Some(("x-amz-checksum-crc32", crc32(&whole)));
    for (kind, trailer) in [
        (SIGNED_CHUNKS, None),
        (SIGNED_CHUNKS_AND_TRAILER, trailer()),
        (UNSIGNED_CHUNKS, trailer()),
    ] {
        client.call("DELETE", "/bkt/k", b"").await.expect(204);
        let has_trailer = trailer.is_some();
        upload(&mut client, Upload { kind, chunks, spoil: None, trailer }).await.expect(200);
        let got =
            client.call_with("GET", "/bkt/k", &[("x-amz-checksum-mode", "ENABLED")], b"").await;
        let got = got.expect(200);
        assert!(got.body == whole);
        assert_eq!(got.header("content-encoding"), Some("gzip"));
        if has_trailer {
            assert_eq!(got.header("x-amz-checksum-crc32"), Some(crc32(&whole).as_str()));
        }
    }
}

#[tokio::test]
async fn chunked_uploads_that_were_changed_leave_nothing() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    let chunks: &[&[u8]] = &[b"first chunk", b"second chunk"];
    let right = crc32(&chunks.concat());
    let trailer = |value: &str| Some(("x-amz-checksum-crc32", value.to_owned()));
    for (kind, spoil, trailer, code) in [
        (SIGNED_CHUNKS, Some(90), None, "SignatureDoesNotMatch"),
        // The last chunk that has data, all of which was written by then.
        (SIGNED_CHUNKS, Some(185), None, "SignatureDoesNotMatch"),
        (SIGNED_CHUNKS_AND_TRAILER, Some(90), trailer(&right), "SignatureDoesNotMatch"),
        (UNSIGNED_CHUNKS, Some(5), trailer(&right), "BadDigest"),
        (UNSIGNED_CHUNKS, None, trailer("AAAAAA=="), "BadDigest"),
        (UNSIGNED_CHUNKS, None, trailer("AAAA!"), "InvalidRequest"),
    ] {
        let spoilt = upload(&mut client, Upload { kind, chunks, spoil, trailer }).await;
        spoilt.expect_error(if code.starts_with('S') { 403 } else { 400 }, code);
        client = store.client().await;
        client.call("GET", "/bkt/k", b"").await.expect_error(404, "NoSuchKey");
    }
}

#[tokio::test]
async fn a_payload_must_have_its_digest() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    let right = hex::encode(Sha256::digest(b"hello"));
    let wrong = hex::encode(Sha256::digest(b"hellO"));
    let put = |digest: &str, client: &Client| {
        let mut bytes = client.head("PUT", "/bkt/k", &[("content-length", "5")], digest).bytes;
        bytes.extend_from_slice(b"hello");
        bytes
    };
    client.send(&put(&wrong, &client)).await;
    client.answer(false).await.expect_error(400, "XAmzContentSHA256Mismatch");
    client.call("GET", "/bkt/k", b"").await.expect_error(404, "NoSuchKey");
    client.send(&put("nonsense", &client)).await;
    client.answer(false).await.expect_error(400, "InvalidArgument");
    client.send(&put(&right, &client)).await;
    client.answer(false).await.expect(200);
    assert_eq!(client.call("GET", "/bkt/k", b"").await.expect(200).body, b"hello");

    let md5 = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    client.call_with("PUT", "/bkt/k", &md5, b"hello").await.expect(200);
    client.call_with("PUT", "/bkt/k", &md5, b"hellO").await.expect_error(400, "BadDigest");
    let nonsense = client.call_with("PUT", "/bkt/k", &[("content-md5", "?")], b"hello").await;
    nonsense.expect_error(400, "InvalidDigest");
}

#[tokio::test]
async fn an_upload_says_how_long_it_is() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    let headers = [("transfer-encoding", "chunked")];
    let head = client.head("PUT", "/bkt/k", &headers, "UNSIGNED-PAYLOAD");
    client.send(&head.bytes).await;
    client.send(b"5\r\nhello\r\n0\r\n\r\n").await;
    client.answer(false).await.expect_error(411, "MissingContentLength");
}

/// A request that deletes one key, with a document that is padded to `size` bytes.
fn delete_of(client: &Client, target: &str, size: usize, extra: &[(&str, &str)]) -> [Vec<u8>; 2] {
    let mut document = "<Delete><Object><Key>k</Key></Object></Delete>".to_owned();
    document += &" ".repeat(size - document.len());
    let sum = crc32(document.as_bytes());
    let length = size.to_string();
    let mut headers = vec![("content-length", length.as_str()), ("x-amz-checksum-crc32", &sum)];
    headers.extend_from_slice(extra);
    let head = client.head("POST", target, &headers, "UNSIGNED-PAYLOAD");
    [head.bytes, document.into_bytes()]
}

#[tokio::test]
async fn few_large_documents_are_in_memory_at_once() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut client = store.client().await;
        let expect = [("expect", "100-continue")];
        let [head, document] = delete_of(&client, "/bkt?delete", 100_000, &expect);
        client.send(&head).await;
        // It has its permit when its body is asked for.
        client.answer(false).await.expect(100);
        slow.push((client, document));
    }
    let mut ninth = store.client().await;
    let large = delete_of(&ninth, "/bkt?delete", 100_000, &[]).concat();
    ninth.send(&large).await;
    let waits = timeout(Duration::from_millis(300), ninth.answer(false)).await;
    assert!(waits.is_err(), "{waits:?}");
    let small = delete_of(&client, "/bkt?delete", 60_000, &[]).concat();
    client.send(&small).await;
    client.answer(false).await.expect(200);
    // One that ends lets the next in; so does one that breaks off.
    let (mut first, document) = slow.remove(0);
    first.send(&document).await;
    first.answer(false).await.expect(200);
    ninth.answer(false).await.expect(200);
    drop(slow);
    for _ in 0..2 {
        let large = delete_of(&client, "/bkt?delete", 100_000, &[]).concat();
        client.send(&large).await;
        client.answer(false).await.expect(200);
    }
}

#[tokio::test]
async fn who_may_delete_nothing_there_gets_no_large_document() {
    let store = Store::start().await;
    let mut root = store.client_with_bucket().await;
    let expect = [("expect", "100-continue")];
    let elsewhere = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::other/*"}]}"#;
    for (name, policy) in [("reader", "readonly"), ("stranger", elsewhere)] {
        let user = store.add_user(name, policy).await;
        let mut client = store.client_of(&user.access_key, &user.secret).await;
        let [head, _] = delete_of(&client, "/bkt?delete", 100_000, &expect);
        client.send(&head).await;
        client.answer(false).await.expect_error(403, "AccessDenied");
        // Of a small one each key is answered for itself, as always.
        let mut client = store.client_of(&user.access_key, &user.secret).await;
        let small = delete_of(&client, "/bkt?delete", 60_000, &[]).concat();
        client.send(&small).await;
        let answer = client.answer(false).await.expect(200);
        assert!(answer.text().contains("<Code>AccessDenied</Code>"), "{}", answer.text());
    }
    // Whoever may delete anything there is heard.
    let some = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::bkt/mine/*"}]}"#;
    let user = store.add_user("some", some).await;
    let mut client = store.client_of(&user.access_key, &user.secret).await;
    let large = delete_of(&client, "/bkt?delete", 100_000, &[]).concat();
    client.send(&large).await;
    let answer = client.answer(false).await.expect(200);
    assert!(answer.text().contains("<Code>AccessDenied</Code>"), "{}", answer.text());
    let large = delete_of(&root, "/bkt?delete", 100_000, &[]).concat();
    root.send(&large).await;
    root.answer(false).await.expect(200);
}

#[tokio::test]
async fn a_document_about_no_bucket_is_not_asked_for() {
    let store = Store::start().await;
    let mut client = store.client().await;
    let expect = [("expect", "100-continue")];
    let [head, _] = delete_of(&client, "/none?delete", 100_000, &expect);
    client.send(&head).await;
    let refused = client.answer(false).await;
    refused.expect_error(404, "NoSuchBucket");
}

#[tokio::test]
async fn objects_of_all_sizes_come_back() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    for size in [0, 1, 70_000, 300_000, 3_000_000] {
        let data: Vec<u8> = (0..size).map(|i: u32| (i ^ (i >> 9)) as u8).collect();
        client.call("PUT", "/bkt/k", &data).await.expect(200);
        let got = client.call("GET", "/bkt/k", b"").await.expect(200);
        assert!(got.body == data, "{size}");
        assert_eq!(got.header("content-length"), Some(size.to_string().as_str()));
        if size > 1 {
            let range = [("range", "bytes=1-")];
            let got = client.call_with("GET", "/bkt/k", &range, b"").await.expect(206);
            assert!(got.body == data[1..], "{size}");
        }
    }
}
