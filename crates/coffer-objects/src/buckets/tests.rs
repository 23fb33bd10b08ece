use super::is_valid_bucket_name;

#[test]
fn names_follow_the_rules_of_s3() {
    for good in
        ["abc", "my-bucket", "my.bucket", "1bucket", "a--b", "1.2.3", "a1.2.3.4", "logs-2026"]
    {
        assert!(is_valid_bucket_name(good), "{good}");
    }
    let long = "a".repeat(64);
    for bad in [
        "",
        "ab",
        &long,
        "Abc",
        "a_b",
        "-ab",
        "ab-",
        ".ab",
        "ab.",
        "a..b",
        "192.168.5.4",
        "999.1.1.1",
        "xn--abc",
        "sthree-abc",
        "amzn-s3-demo-x",
        "abc-s3alias",
        "abc--ol-s3",
        "abc.mrap",
        "abc--x-s3",
        "abc--table-s3",
        "a b",
        "käse",
        "a/b",
        "a\0b",
    ] {
        assert!(!is_valid_bucket_name(bad), "{bad:?}");
    }
}
