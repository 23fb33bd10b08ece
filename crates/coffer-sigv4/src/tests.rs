//! The examples are those that AWS publishes in the Amazon S3 API reference ("Signature
//! Calculations for the Authorization Header", "… Query Parameters", "… Multiple Chunks").

use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use coffer_base::Timestamp;
use http::{HeaderMap, Method};

use super::error::Place;
use super::sign::Signer;
use super::*;

const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const NOW: Timestamp = Timestamp(1_369_353_600_000);
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const S3: Expected<'_> =
    Expected { service: Service::S3, regions: &["us-east-1"], body_sha256: None };
const HOST: &str = "examplebucket.s3.amazonaws.com";

struct Sent {
    method: Method,
    path: &'static str,
    query: String,
    headers: HeaderMap,
}

fn sent(method: Method, path_and_query: &'static str, headers: &[(&'static str, &str)]) -> Sent {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    Sent { method, path, query: query.to_owned(), headers: map }
}

fn authorization(signed_headers: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request,\
         SignedHeaders={signed_headers},Signature={signature}"
    )
}

fn check(sent: &Sent, now: Timestamp) -> Result<(Claim, ChunkSigner), Error> {
    let query = Query::parse(&sent.query)?;
    let claim = Claim::read(&sent.headers, &query, S3)?.expect("it is signed");
    let head = SignedHead {
        method: &sent.method,
        path: sent.path,
        query: &sent.query,
        headers: &sent.headers,
    };
    let signer = claim.verify(head, SECRET, &SigningKeys::default(), now)?;
    Ok((claim, signer))
}

fn refusal<T>(result: Result<T, Error>) -> Error {
    match result {
        Ok(_) => panic!("it was accepted"),
        Err(error) => error,
    }
}

fn get_object() -> Sent {
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    sent(
        Method::GET,
        "/test.txt",
        &[
            ("host", HOST),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
            (
                "authorization",
                &authorization("host;range;x-amz-content-sha256;x-amz-date", signature),
            ),
        ],
    )
}

fn put_object() -> Sent {
    let signed = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class";
    let signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
    let digest = hex::encode(Sha256::digest("Welcome to Amazon S3."));
    sent(
        Method::PUT,
        "/test$file.text",
        &[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("host", HOST),
            ("x-amz-content-sha256", &digest),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("authorization", &authorization(signed, signature)),
        ],
    )
}

fn presigned() -> Sent {
    sent(
        Method::GET,
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        &[("host", HOST)],
    )
}

fn with_query(from: Sent, old: &str, new: &str) -> Sent {
    assert!(from.query.contains(old), "{old}");
    Sent { query: from.query.replace(old, new), ..from }
}

fn with_header(mut from: Sent, name: &'static str, value: &str) -> Sent {
    from.headers.insert(name, HeaderValue::from_str(value).unwrap());
    from
}

#[test]
fn the_published_examples_verify() {
    check(&get_object(), NOW).unwrap();
    check(&put_object(), NOW).unwrap();
    check(&presigned(), NOW).unwrap();
    for (query, signature) in [
        ("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "/?max-keys=2&prefix=J",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ] {
        let headers = [
            ("host", HOST),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
            ("authorization", &authorization("host;x-amz-content-sha256;x-amz-date", signature)),
        ];
        check(&sent(Method::GET, query, &headers), NOW).unwrap();
    }
}

/// The head of the examples with a chunked payload.
fn chunked(trailer: bool) -> Sent {
    let (kind, signed, signature) = if trailer {
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "content-encoding;host;x-amz-content-sha256;x-amz-date;\
             x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        )
    } else {
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;\
             x-amz-decoded-content-length;x-amz-storage-class",
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        )
    };
    let mut sent = sent(
        Method::PUT,
        "/examplebucket/chunkObject.txt",
        &[
            ("host", "s3.amazonaws.com"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", kind),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
            ("authorization", &authorization(signed, signature)),
        ],
    );
    if trailer {
        sent.headers.insert("x-amz-trailer", HeaderValue::from_static("x-amz-checksum-crc32c"));
    }
    sent
}

#[test]
fn the_published_chunks_follow_from_their_seed() {
    let (_, mut signer) = check(&chunked(false), NOW).unwrap();
    for (length, signature) in [
        (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ] {
        let digest = Sha256::digest(vec![b'a'; length]).into();
        assert!(signer.clone().check_chunk(&digest, "00").is_err());
        signer.check_chunk(&digest, signature).unwrap();
    }
}

#[test]
fn the_published_chunks_with_a_trailer_follow_from_their_seed() {
    let (_, mut signer) = check(&chunked(true), NOW).unwrap();
    for (length, signature) in [
        (65_536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
        (1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
        (0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
    ] {
        signer.check_chunk(&Sha256::digest(vec![b'a'; length]).into(), signature).unwrap();
    }
    let trailers = [("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())];
    let signature = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
    signer.check_trailer(&trailers, signature).unwrap();
}

#[test]
fn what_is_signed_cannot_be_changed() {
    let result = check(&with_header(get_object(), "range", "bytes=0-10"), NOW);
    let error = refusal(result);
    let Error::DoesNotMatch(mismatch) = error else {
        panic!("{error:?}");
    };
    assert_eq!(mismatch.access_key, ACCESS_KEY);
    assert!(mismatch.string_to_sign.starts_with("AWS4-HMAC-SHA256\n20130524T000000Z\n"));
    assert!(mismatch.canonical.starts_with(b"GET\n/test.txt\n\nhost:examplebucket"));
    for changed in [
        Sent { path: "/test.tx", ..get_object() },
        Sent { query: "versionId=1".to_owned(), ..get_object() },
        Sent { method: Method::HEAD, ..get_object() },
        with_header(get_object(), "host", "evil.example"),
        with_header(get_object(), "x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        Sent { path: "/test.tx", ..presigned() },
        Sent { method: Method::PUT, ..presigned() },
        with_query(presigned(), "Expires=86400", "Expires=86401"),
        with_query(presigned(), "host&", "host&a=b&"),
    ] {
        assert!(matches!(refusal(check(&changed, NOW)), Error::DoesNotMatch(_)));
    }
}

#[test]
fn clocks_may_differ_by_a_quarter_of_an_hour() {
    let minute = |n: i64| Timestamp((NOW.0 as i64 + n * 60_000) as u64);
    for fits in [-15, 0, 15] {
        check(&get_object(), minute(fits)).unwrap();
    }
    for skewed in [-16, 16] {
        let error = refusal(check(&get_object(), minute(skewed)));
        assert_eq!(error, Error::TooSkewed { at: NOW, now: minute(skewed) });
    }
    for fits in [-15, 0, 24 * 60] {
        check(&presigned(), minute(fits)).unwrap();
    }
    let (expires, now) = (minute(24 * 60), minute(24 * 60 + 1));
    let late = refusal(check(&presigned(), now));
    assert_eq!(late, Error::Expired { expires_seconds: 86_400, expires, now });
    assert_eq!(refusal(check(&presigned(), minute(-16))), Error::NotYetValid);
}

#[test]
fn a_presigned_url_lives_for_a_week_at_most() {
    let a_week = with_query(presigned(), "Expires=86400", "Expires=604800");
    assert!(matches!(refusal(check(&a_week, NOW)), Error::DoesNotMatch(_)));
    for expires in ["0", "-1", "604801", "99999999999999999999", "1h", ""] {
        let wrong = with_query(presigned(), "Expires=86400", &format!("Expires={expires}"));
        let error = refusal(check(&wrong, NOW));
        let in_query = matches!(error, Error::Malformed { place: Place::Query, .. });
        assert!(in_query, "{expires}: {error:?}");
    }
}

#[test]
fn a_scope_of_somewhere_else_is_refused_with_the_way_here() {
    let wrong = authorization("host;x-amz-content-sha256;x-amz-date", "00");
    for (from, to, message) in [
        ("us-east-1", "eu-west-1", "the region 'eu-west-1' is wrong; expecting 'us-east-1'"),
        ("/s3/", "/ec2/", "incorrect service \"ec2\". This endpoint belongs to \"s3\"."),
        ("20130524", "20130523", "Invalid credential date \"20130523\"."),
        ("aws4_request", "aws4", "incorrect terminal"),
        ("/s3/aws4_request", "", "the Credential is mal-formed"),
        (",Signature=00", "", "the Signature is missing"),
    ] {
        let sent = with_header(get_object(), "authorization", &wrong.replace(from, to));
        let error = refusal(check(&sent, NOW));
        assert!(error.to_string().contains(message), "{error}");
        let expected = (to == "eu-west-1").then(|| "us-east-1".to_owned());
        match error {
            Error::WrongScope { place: Place::Header, region, .. } => {
                assert_eq!(region, expected);
            }
            Error::Malformed { place: Place::Header, .. } => assert_eq!(expected, None),
            other => panic!("{to}: {other:?}"),
        }
    }
    let error = refusal(check(&with_query(presigned(), "us-east-1", "mars"), NOW));
    let Error::WrongScope { place: Place::Query, region, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(region.as_deref(), Some("us-east-1"));
}

#[test]
fn other_mechanisms_are_refused_by_name() {
    for header in ["AWS AKIA:frJIUN8DYpKDtOLCwo//yllqDzg=", "Basic dTpw", "", "Bearer x"] {
        let error = refusal(check(&with_header(get_object(), "authorization", header), NOW));
        assert_eq!(error, Error::Unsupported, "{header}");
    }
    let v2 = sent(Method::GET, "/a?AWSAccessKeyId=A&Signature=B&Expires=1", &[("host", HOST)]);
    assert_eq!(refusal(check(&v2, NOW)), Error::Unsupported);
    let v4a = authorization("host", "00").replace("HMAC-SHA256", "ECDSA-P256-SHA256");
    let v4a = with_header(get_object(), "authorization", &v4a);
    assert_eq!(refusal(check(&v4a, NOW)), Error::AsymmetricUnsupported);
    let v4a = with_query(presigned(), "HMAC-SHA256", "ECDSA-P256-SHA256");
    assert_eq!(refusal(check(&v4a, NOW)), Error::AsymmetricUnsupported);
    let token = with_header(get_object(), "x-amz-security-token", "t");
    let unsigned = Error::HeadersNotSigned(vec!["x-amz-security-token".to_owned()]);
    assert_eq!(refusal(check(&token, NOW)), unsigned);
    let token = with_query(presigned(), "host&", "host&X-Amz-Security-Token=t&");
    assert!(matches!(refusal(check(&token, NOW)), Error::DoesNotMatch(_)));
    let two = with_header(token, "x-amz-security-token", "u");
    assert_eq!(refusal(check(&two, NOW)), Error::TokensDiffer);
    let both = with_header(presigned(), "authorization", &authorization("host", "00"));
    assert_eq!(refusal(check(&both, NOW)), Error::SeveralMechanisms);
    let nothing = sent(Method::GET, "/a", &[("host", HOST)]);
    let query = Query::default();
    assert_eq!(Claim::read(&nothing.headers, &query, S3).unwrap(), None);
}

/// Else a head of 64 KiB makes gigabytes to be hashed, for who knows no secret.
#[test]
fn no_header_is_signed_twice() {
    let twice = authorization("host;range;x-amz-content-sha256;x-amz-date;range", "0");
    let in_header = with_header(get_object(), "authorization", &twice);
    let in_query =
        with_query(presigned(), "SignedHeaders=host", "SignedHeaders=host%3Brange%3Bhost");
    for (sent, place) in [(in_header, Place::Header), (in_query, Place::Query)] {
        match refusal(check(&sent, NOW)) {
            Error::Malformed { place: said, message } => {
                assert_eq!(said, place);
                assert!(message.contains("twice"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_changes_a_request_must_be_signed() {
    let acl = with_header(get_object(), "x-amz-acl", "public-read");
    let unsigned = |name: &str| Error::HeadersNotSigned(vec![name.to_owned()]);
    assert_eq!(refusal(check(&acl, NOW)), unsigned("x-amz-acl"));
    let ack = with_header(get_object(), "x-coffer-ack", "primary");
    assert_eq!(refusal(check(&ack, NOW)), unsigned("x-coffer-ack"));
    let no_host = with_query(presigned(), "SignedHeaders=host", "SignedHeaders=range");
    assert_eq!(refusal(check(&no_host, NOW)), unsigned("host"));
    let mut undated = get_object();
    undated.headers.remove("x-amz-date");
    assert_eq!(refusal(check(&undated, NOW)), Error::MissingDate);
    let mut unhashed = get_object();
    unhashed.headers.remove("x-amz-content-sha256");
    assert_eq!(refusal(check(&unhashed, NOW)), Error::MissingPayloadHash);
}

#[test]
fn what_the_signer_signs_verifies_however_it_is_escaped() {
    let signer = Signer::new(ACCESS_KEY, SECRET, "us-east-1");
    for (uri, received_path) in [
        ("http://h:9000/b/plain", "/b/plain"),
        ("http://h/b/a%20b%2Bc/%C3%BC%25//../~x", "/b/a%20b%2bc/%c3%bc%25//../%7Ex"),
        ("http://h/b/(a)+'!*@:", "/b/%28a%29%2B%27%21%2A%40%3A"),
        ("http://h/b?prefix=a%2Fb&list-type=2&delimiter=%20&empty", "/b"),
    ] {
        let uri: http::Uri = uri.parse().unwrap();
        for path in [uri.path(), received_path] {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-meta-a", HeaderValue::from_static("  two   spaces "));
            signer.sign_headers(&Method::PUT, &uri, &mut headers, EMPTY, NOW).unwrap();
            let query = uri.query().unwrap_or("").replace("%2F", "/");
            let head = SignedHead { method: &Method::PUT, path, query: &query, headers: &headers };
            let claim = Claim::read(&headers, &Query::parse(&query).unwrap(), S3);
            let keys = SigningKeys::default();
            claim.unwrap().unwrap().verify(head, SECRET, &keys, NOW).unwrap();
            let wrong = claim_of(&headers).verify(head, "other", &keys, NOW);
            assert!(matches!(wrong.err().unwrap(), Error::DoesNotMatch(_)));

            let url = signer.presign(&Method::GET, &uri, 60, NOW).unwrap();
            let mut headers = HeaderMap::new();
            headers
                .insert("host", HeaderValue::from_str(uri.authority().unwrap().as_str()).unwrap());
            let query = url.query().unwrap();
            let claim = Claim::read(&headers, &Query::parse(query).unwrap(), S3);
            let head = SignedHead { method: &Method::GET, path, query, headers: &headers };
            claim.unwrap().unwrap().verify(head, SECRET, &keys, NOW).unwrap();
        }
    }
}

fn claim_of(headers: &HeaderMap) -> Claim {
    Claim::read(headers, &Query::default(), S3).unwrap().unwrap()
}

#[test]
fn a_path_that_was_signed_with_other_escapes_verifies() {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("h"));
    headers.insert("x-amz-date", HeaderValue::from_static("20130524T000000Z"));
    headers.insert("x-amz-content-sha256", HeaderValue::from_static(EMPTY));
    let names = "host;x-amz-content-sha256;x-amz-date";
    headers.insert("authorization", authorization(names, "").parse().unwrap());
    let path = "/b/a%2Fb";
    let head = SignedHead { method: &Method::GET, path, query: "", headers: &headers };
    let mut claim = claim_of(&headers);
    let canonical = canonical::request(head, &claim, path);
    let key = SigningKey::derive(SECRET, "20130524", "us-east-1", Service::S3);
    claim.signature = key.sign(canonical::string_to_sign(&claim, &canonical).as_bytes());
    claim.verify(head, SECRET, &SigningKeys::default(), NOW).unwrap();
}

#[test]
fn a_new_secret_is_not_answered_from_memory() {
    let keys = SigningKeys::default();
    let text = b"text";
    let first = keys.get("A", "one", "20130524", "r", Service::S3).sign(text);
    assert_eq!(keys.get("A", "one", "20130524", "r", Service::S3).sign(text), first);
    for (secret, day, region) in
        [("two", "20130524", "r"), ("one", "20130525", "r"), ("one", "20130524", "s")]
    {
        assert_ne!(keys.get("A", secret, day, region, Service::S3).sign(text), first);
    }
    assert_eq!(keys.get("A", "one", "20130524", "r", Service::S3).sign(text), first);
}

#[test]
fn garbage_is_refused_and_never_panics() {
    let good = authorization("host;range;x-amz-content-sha256;x-amz-date", "00");
    for cut in 0..good.len() {
        assert!(check(&with_header(get_object(), "authorization", &good[..cut]), NOW).is_err());
    }
    let query = presigned().query;
    for cut in 0..query.len() - 1 {
        let cut_off = Sent { query: query[..cut].to_owned(), ..presigned() };
        let Ok(parsed) = Query::parse(&cut_off.query) else {
            continue;
        };
        if let Ok(Some(_)) = Claim::read(&cut_off.headers, &parsed, S3) {
            assert!(check(&cut_off, NOW).is_err(), "{cut}");
        }
    }
    for garbage in ["é", "AWS4-HMAC-SHA256 =,=;;", "AWS4-HMAC-SHA256 Credential=/////"] {
        assert!(check(&with_header(get_object(), "authorization", garbage), NOW).is_err());
    }
}

#[test]
fn a_presigned_hash_of_the_payload_is_part_of_the_claim() {
    let hashed = with_query(
        presigned(),
        "&X-Amz-Date",
        &format!("&X-Amz-Content-Sha256={EMPTY}&X-Amz-Date"),
    );
    let claim = |sent: &Sent| {
        let query = Query::parse(&sent.query).unwrap();
        Claim::read(&sent.headers, &query, S3).map(|claim| claim.unwrap().payload_hash)
    };
    assert_eq!(claim(&presigned()).unwrap(), "UNSIGNED-PAYLOAD");
    assert_eq!(claim(&hashed).unwrap(), EMPTY);
    let same = with_header(hashed, "x-amz-content-sha256", EMPTY);
    assert_eq!(claim(&same).unwrap(), EMPTY);
    let other = with_header(same, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert_eq!(claim(&other).unwrap_err(), Error::PayloadHashesDiffer);
}

/// The example of the IAM User Guide ("Create a signed AWS API request"): ListUsers.
#[test]
fn the_published_example_of_iam_verifies() {
    let signed = "content-type;host;x-amz-date";
    let signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders={signed}, Signature={signature}"
    );
    let list_users = sent(
        Method::GET,
        "/?Action=ListUsers&Version=2010-05-08",
        &[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
            ("authorization", &authorization),
        ],
    );
    let query = Query::parse(&list_users.query).unwrap();
    assert_eq!(Service::claimed(&list_users.headers, &query), Some(Service::Iam));
    let at = Timestamp(1_440_938_160_000);
    let iam = Expected {
        service: Service::Iam,
        regions: &["mars", "us-east-1"],
        body_sha256: Some(EMPTY),
    };
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let check = |expected: Expected<'_>| {
        let claim = Claim::read(&list_users.headers, &query, expected)?.expect("it is signed");
        let head = SignedHead {
            method: &list_users.method,
            path: list_users.path,
            query: &list_users.query,
            headers: &list_users.headers,
        };
        claim.verify(head, secret, &SigningKeys::default(), at).map(|_| ())
    };
    check(iam).unwrap();
    let other_body = Expected { body_sha256: Some("00"), ..iam };
    assert!(matches!(refusal(check(other_body)), Error::DoesNotMatch(_)));
    for wrong in [
        Expected { service: Service::Sts, ..iam },
        Expected { service: Service::S3, ..iam },
        Expected { regions: &["mars"], ..iam },
    ] {
        assert!(matches!(refusal(check(wrong)), Error::WrongScope { .. }));
    }
}

#[test]
fn the_hash_that_other_services_are_sent_must_be_the_bodys() {
    let signer = Signer::new(ACCESS_KEY, SECRET, "us-east-1").for_service(Service::Sts);
    let uri: http::Uri = "http://h/".parse().unwrap();
    for (sent, ok) in [(EMPTY, true), ("UNSIGNED-PAYLOAD", false), ("00", false)] {
        let mut headers = HeaderMap::new();
        signer.sign_headers(&Method::POST, &uri, &mut headers, sent, NOW).unwrap();
        let expected =
            Expected { service: Service::Sts, regions: &["us-east-1"], body_sha256: Some(EMPTY) };
        let claim = Claim::read(&headers, &Query::default(), expected);
        assert_eq!(claim.is_ok(), ok, "{sent}");
        if !ok {
            assert_eq!(refusal(claim), Error::PayloadMismatch);
        }
    }
}

#[test]
fn a_token_is_part_of_the_claim_and_of_the_signature() {
    let signer = Signer::new(ACCESS_KEY, SECRET, "us-east-1").with_token("to/ken+==");
    let uri: http::Uri = "http://h/b/k".parse().unwrap();
    let mut headers = HeaderMap::new();
    signer.sign_headers(&Method::GET, &uri, &mut headers, EMPTY, NOW).unwrap();
    let claim = claim_of(&headers);
    assert_eq!(claim.security_token.as_deref(), Some("to/ken+=="));
    let keys = SigningKeys::default();
    let head = SignedHead { method: &Method::GET, path: "/b/k", query: "", headers: &headers };
    claim.verify(head, SECRET, &keys, NOW).unwrap();
    let mut other = headers.clone();
    other.insert("x-amz-security-token", HeaderValue::from_static("another"));
    let head = SignedHead { headers: &other, ..head };
    assert!(matches!(refusal(claim.verify(head, SECRET, &keys, NOW)), Error::DoesNotMatch(_)));

    let url = signer.presign(&Method::GET, &uri, 60, NOW).unwrap();
    let query = url.query().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("h"));
    let claim = Claim::read(&headers, &Query::parse(query).unwrap(), S3).unwrap().unwrap();
    assert_eq!(claim.security_token.as_deref(), Some("to/ken+=="));
    let head = SignedHead { method: &Method::GET, path: "/b/k", query, headers: &headers };
    claim.verify(head, SECRET, &keys, NOW).unwrap();
}

#[test]
fn the_paths_of_other_services_are_encoded_once_more() {
    for (raw, iam, s3) in [
        ("/", "/", "/"),
        ("", "/", ""),
        ("/a%20b", "/a%2520b", "/a%20b"),
        ("//a/./b/../c//", "/a/c/", "//a/./b/../c//"),
        ("/../..", "/", "/../.."),
    ] {
        assert_eq!(canonical::path(Service::Iam, raw), iam, "{raw}");
        assert_eq!(canonical::path(Service::S3, raw), s3, "{raw}");
    }
}

#[test]
fn the_service_of_a_claim_is_seen_before_it_is_read() {
    let none = Query::default();
    let of = |authorization: &str| {
        let sent = with_header(get_object(), "authorization", authorization);
        Service::claimed(&sent.headers, &none)
    };
    assert_eq!(of(&authorization("host", "00")), Some(Service::S3));
    let sts = "AWS4-HMAC-SHA256 SignedHeaders=a, Credential=A/1/r/sts/aws4_request,Signature=0";
    assert_eq!(of(sts), Some(Service::Sts));
    for garbage in ["", "AWS4-HMAC-SHA256", "x Credential=", "x Credential=/", "x Credential=ec2/x"]
    {
        assert_eq!(of(garbage), None, "{garbage}");
    }
    let query = Query::parse(&presigned().query).unwrap();
    assert_eq!(Service::claimed(&HeaderMap::new(), &query), Some(Service::S3));
    assert_eq!(Service::claimed(&HeaderMap::new(), &none), None);
}

#[test]
fn presigned_urls_of_identities_live_a_quarter_of_an_hour() {
    let uri: http::Uri = "http://coffer/?Action=GetUser".parse().unwrap();
    let read = |service: Service, seconds: u64| {
        let signer = Signer::new("AKID", "secret", "us-east-1").for_service(service);
        let signed = signer.presign(&Method::GET, &uri, seconds, NOW).unwrap();
        let signed: http::Uri = signed.to_string().parse().unwrap();
        let query = Query::parse(signed.query().unwrap()).unwrap();
        let expected = Expected { service, regions: &["us-east-1"], body_sha256: None };
        Claim::read(&HeaderMap::new(), &query, expected)
    };
    for service in [Service::Iam, Service::Sts] {
        read(service, 900).unwrap().unwrap();
        assert!(matches!(read(service, 901), Err(Error::Malformed { .. })));
    }
    read(Service::S3, 604_800).unwrap().unwrap();
}
