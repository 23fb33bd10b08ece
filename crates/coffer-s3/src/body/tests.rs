use std::convert::Infallible;

use http::HeaderValue;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};

use super::*;

fn source(pieces: &[&[u8]]) -> Source {
    let mut all = Vec::new();
    for piece in pieces {
        let piece = Bytes::copy_from_slice(piece);
        all.push(Full::new(piece).map_err(|e: Infallible| match e {}).boxed());
    }
    Pieces(all.into()).boxed()
}

/// Bodies one after the other.
struct Pieces(VecDeque<BoxBody<Bytes, SourceError>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = SourceError;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        while let Some(first) = self.0.front_mut() {
            match std::pin::Pin::new(first).poll_frame(cx) {
                std::task::Poll::Ready(None) => self.0.pop_front(),
                other => return other,
            };
        }
        std::task::Poll::Ready(None)
    }
}

fn body(headers: &[(&'static str, &str)], pieces: &[&[u8]]) -> Result<Body, S3Error> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    Body::new(source(pieces), &map, None)
}

async fn read(headers: &[(&'static str, &str)], pieces: &[&[u8]]) -> Result<Bytes, Code> {
    let mut body = body(headers, pieces).map_err(|e| e.code)?;
    body.read_to_end(1000).await.map_err(|e| e.code)
}

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[tokio::test]
async fn a_digest_is_checked_before_the_end_is_reported() {
    let headers = [("x-amz-content-sha256", HELLO), ("content-length", "5")];
    assert_eq!(read(&headers, &[b"he", b"", b"llo"]).await.unwrap(), "hello");
    assert_eq!(read(&headers, &[b"hellO"]).await, Err(Code::XAmzContentSHA256Mismatch));
    assert_eq!(read(&[headers[0]], &[b"hellO"]).await, Err(Code::XAmzContentSHA256Mismatch));
    let mut wrong = body(&headers, &[b"hel", b"lO"]).unwrap();
    assert_eq!(wrong.next().await.unwrap().unwrap(), "hel");
    assert_eq!(wrong.next().await.unwrap().unwrap(), "lO");
    let error = wrong.next().await.unwrap().unwrap_err();
    assert_eq!(error.extra[0], ("ClientComputedContentSHA256", HELLO.to_owned()));
    assert!(wrong.next().await.is_none());
}

#[tokio::test]
async fn the_length_must_be_what_was_said() {
    let five = [("content-length", "5")];
    assert_eq!(read(&five, &[b"hello"]).await.unwrap(), "hello");
    assert_eq!(read(&five, &[b"hell"]).await, Err(Code::IncompleteBody));
    assert_eq!(read(&five, &[b"hello", b"!"]).await, Err(Code::IncompleteBody));
    assert_eq!(read(&[], &[b"hello"]).await.unwrap(), "hello");
    assert_eq!(read(&[], &[]).await.unwrap(), "");
    let unsaid = body(&[], &[b"hello"]).unwrap();
    assert_eq!(unsaid.require_length().unwrap_err().code, Code::MissingContentLength);
    assert_eq!(body(&five, &[]).unwrap().require_length().unwrap(), 5);
    for wrong in ["", "x", "-1", "+1", "1.0", "99999999999999999999"] {
        if !wrong.is_empty() {
            let error = body(&[("x-amz-decoded-content-length", wrong)], &[]).err().unwrap();
            assert_eq!(error.code, Code::InvalidArgument);
        }
    }
}

#[tokio::test]
async fn a_whole_body_is_bounded() {
    let long = [7; 600];
    assert_eq!(read(&[], &[&long, &long]).await, Err(Code::MaxMessageLengthExceeded));
    assert_eq!(read(&[], &[&[7; 1001]]).await, Err(Code::MaxMessageLengthExceeded));
    assert_eq!(read(&[("content-length", "1001")], &[]).await, Err(Code::MaxMessageLengthExceeded));
    assert_eq!(read(&[], &[&long, &[1; 400]]).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn unsigned_chunks_give_payload_and_trailer() {
    let headers = [
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "5"),
        ("content-length", "60"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let encoded = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32: NhCmhg==\r\n\r\n";
    let mut good = body(&headers, &[encoded]).unwrap();
    assert_eq!(good.decoded_length(), Some(5));
    assert_eq!(good.announced_checksum(), Some(ChecksumAlgorithm::Crc32));
    assert_eq!(good.trailer_checksum(), None);
    assert_eq!(good.read_to_end(10).await.unwrap(), "hello");
    let trailer = (ChecksumAlgorithm::Crc32, vec![0x36, 0x10, 0xa6, 0x86]);
    assert_eq!(good.trailer_checksum(), Some(trailer));

    assert_eq!(read(&headers, &[&encoded[..20]]).await, Err(Code::IncompleteBody));
    for (encoded, code) in [
        ("4\r\nhell\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", Code::IncompleteBody),
        ("6\r\nhello!\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", Code::IncompleteBody),
        ("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:!\r\n\r\n", Code::InvalidRequest),
        ("5\r\nhello\r\n0\r\n\r\n", Code::MalformedTrailer),
        ("hello", Code::IncompleteBody),
        ("hello\r\n", Code::InvalidRequest),
    ] {
        assert_eq!(read(&headers, &[encoded.as_bytes()]).await, Err(code), "{encoded}");
    }
}

#[tokio::test]
async fn two_announced_checksums_are_one_too_many() {
    let two = [("x-amz-trailer", "x-amz-checksum-crc32, x-amz-checksum-sha1")];
    assert_eq!(body(&two, &[]).err().unwrap().code, Code::InvalidRequest);
    let one = body(&[("x-amz-trailer", "X-Amz-Checksum-CRC64NVME")], &[]).unwrap();
    assert_eq!(one.announced_checksum(), Some(ChecksumAlgorithm::Crc64Nvme));
    for unknown in ["x-amz-checksum-md5", "x-amz-checksum-crc32, X-Amz-Checksum-XXHASH64"] {
        let error = body(&[("x-amz-trailer", unknown)], &[]).err().unwrap();
        assert_eq!(error.code, Code::NotImplemented, "{unknown}");
    }
}

#[test]
fn the_kinds_of_payload_are_told_apart() {
    for (text, payload) in [
        ("UNSIGNED-PAYLOAD", Payload::Unsigned),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Payload::SignedChunks { trailer: false }),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Payload::SignedChunks { trailer: true }),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Payload::UnsignedChunks),
    ] {
        assert_eq!(Payload::parse(text).unwrap(), payload);
    }
    assert!(matches!(Payload::parse(HELLO), Ok(Payload::Digest(_))));
    for wrong in ["", "abc", "unsigned-payload", &HELLO[1..], "STREAMING"] {
        assert_eq!(Payload::parse(wrong).unwrap_err().code, Code::InvalidArgument);
    }
    let v4a = Payload::parse("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD").unwrap_err();
    assert_eq!(v4a.code, Code::NotImplemented);
    // The header says it; without one, what was signed.
    let mut headers = HeaderMap::new();
    let digest = Payload::parse(HELLO).unwrap();
    assert_eq!(Payload::of(&headers, None).unwrap(), Payload::Unsigned);
    assert_eq!(Payload::of(&headers, Some(HELLO)).unwrap(), digest);
    headers.insert("x-amz-content-sha256", HeaderValue::from_static(HELLO));
    let said = Payload::of(&headers, Some("UNSIGNED-PAYLOAD")).unwrap();
    assert_eq!(said, digest);
    // Signed chunks without a signature to continue from.
    let error = body(&[("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")], &[]);
    assert_eq!(error.err().unwrap().code, Code::InvalidRequest);
}

#[tokio::test]
async fn what_nobody_reads_is_left_over() {
    let mut headers = HeaderMap::new();
    headers.insert("content-length", HeaderValue::from_static("5"));
    let supply = Supply::new(source(&[b"he", b"llo"]));
    let leftover = supply.leftover();
    let mut half_read = Body::over(supply, &headers, Payload::Unsigned, None).unwrap();
    assert!(leftover.take().is_none());
    assert_eq!(half_read.next().await.unwrap().unwrap(), "he");
    drop(half_read);
    let unread = leftover.take().unwrap();
    assert!(unread.touched);
    assert_eq!(unread.source.collect().await.unwrap().to_bytes(), "llo");

    let supply = Supply::new(source(&[b"hello"]));
    let leftover = supply.leftover();
    drop(Body::over(supply, &headers, Payload::Unsigned, None));
    assert!(!leftover.take().unwrap().touched);

    let supply = Supply::new(source(&[b"hello"]));
    let leftover = supply.leftover();
    let mut read = Body::over(supply, &headers, Payload::Unsigned, None).unwrap();
    read.read_to_end(10).await.unwrap();
    drop(read);
    assert!(leftover.take().is_none());
}

#[test]
fn aws_chunked_is_not_stored() {
    for (sent, stored) in [
        ("aws-chunked", None),
        ("AWS-Chunked", None),
        ("aws-chunked,gzip", Some("gzip")),
        ("gzip, aws-chunked", Some("gzip")),
        ("zstd , aws-chunked, gzip", Some("zstd,gzip")),
        ("gzip,  br", Some("gzip,  br")),
        ("", Some("")),
    ] {
        assert_eq!(stored_content_encoding(sent).as_deref(), stored, "{sent}");
    }
}
