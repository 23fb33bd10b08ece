use super::*;

fn read(host: &str, path: &str) -> (Option<String>, Option<String>) {
    let base = ["s3.example.org".to_owned(), "localhost".to_owned()];
    let address = Address::read(host, path, &base).unwrap();
    (address.bucket, address.key)
}

fn named(bucket: &str, key: &str) -> (Option<String>, Option<String>) {
    (Some(bucket.to_owned()), Some(key.to_owned()))
}

#[test]
fn a_path_names_bucket_and_key() {
    for host in ["s3.example.org", "127.0.0.1:9000", "[::1]:9000", "", "other.example"] {
        assert_eq!(read(host, "/"), (None, None));
        assert_eq!(read(host, "/b"), (Some("b".to_owned()), None));
        assert_eq!(read(host, "/b/"), (Some("b".to_owned()), None));
        assert_eq!(read(host, "/b/k"), named("b", "k"));
    }
}

#[test]
fn a_host_below_a_base_domain_names_the_bucket() {
    assert_eq!(read("b.s3.example.org", "/k/l"), named("b", "k/l"));
    assert_eq!(read("B.S3.Example.org:9000", "/k"), named("b", "k"));
    assert_eq!(read("a.b.localhost:9000", "//"), named("a.b", "/"));
    assert_eq!(read("b.localhost", "/"), (Some("b".to_owned()), None));
    assert_eq!(read(".localhost", "/b/k"), named("b", "k"));
    assert_eq!(read("evils3.example.org", "/b/k"), named("b", "k"));
}

#[test]
fn keys_are_decoded_once_and_kept() {
    for (path, key) in [
        ("/b//k", "/k"),
        ("/b/a//b", "a//b"),
        ("/b/a/../b/./c", "a/../b/./c"),
        ("/b/..", ".."),
        ("/b/a+b", "a+b"),
        ("/b/a%2Bb%20c", "a+b c"),
        ("/b/%2e%2E/%2F", "..//"),
        ("/b/%2541", "%41"),
        ("/b/%C3%BC%00", "ü\0"),
        ("/b/a/", "a/"),
        ("/b/ü", "ü"),
    ] {
        assert_eq!(read("h", path), named("b", key), "{path}");
    }
}

#[test]
fn what_cannot_be_decoded_is_refused() {
    for path in ["/b/%", "/b/%2", "/b/%zz", "/b/%+1", "/b/%C3", "/b/%ff%fe", "/%", "b/k", "", "*"] {
        let error = Address::read("h", path, &[]).unwrap_err();
        assert_eq!(error.code, Code::InvalidURI, "{path}");
    }
    assert_eq!(Address::read("h", "//k", &[]).unwrap_err().code, Code::InvalidBucketName);
}

#[test]
fn base_domains_may_lie_below_one_another() {
    let both = ["example.org".to_owned(), "s3.example.org".to_owned()];
    let reversed = [both[1].clone(), both[0].clone()];
    for base in [&both, &reversed] {
        let read = |host| Address::read(host, "/b/k", base).unwrap();
        for host in ["example.org", "s3.example.org", "S3.EXAMPLE.ORG:9000"] {
            assert_eq!(read(host).bucket.as_deref(), Some("b"), "{host}");
        }
        for host in ["a.example.org", "a.s3.example.org"] {
            assert_eq!(read(host).bucket.as_deref(), Some("a"), "{host}");
            assert_eq!(read(host).key.as_deref(), Some("b/k"), "{host}");
        }
    }
}
