use super::*;

#[test]
fn headers_that_mean_one_range_are_read_and_all_others_mean_the_whole() {
    for (text, expected) in [
        ("bytes=0-0", Some(ByteRange::FromTo(0, 0))),
        ("bytes=5-9", Some(ByteRange::FromTo(5, 9))),
        (" Bytes = 5 - 9 ", Some(ByteRange::FromTo(5, 9))),
        ("bytes=7-", Some(ByteRange::From(7))),
        ("bytes=-3", Some(ByteRange::Suffix(3))),
        ("bytes=0-99999999999999999999999", Some(ByteRange::FromTo(0, u64::MAX))),
        ("bytes=9-5", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes", None),
        ("", None),
        ("bytes=1-2,4-5", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("bytes=1--2", None),
        ("items=1-2", None),
    ] {
        assert_eq!(ByteRange::parse(text), expected, "{text:?}");
    }
}

#[test]
fn ranges_are_cut_at_the_end_and_refused_beyond_it() {
    let cases = [
        (ByteRange::FromTo(0, 0), 10, Some(0..1)),
        (ByteRange::FromTo(5, 100), 10, Some(5..10)),
        (ByteRange::FromTo(0, u64::MAX), 10, Some(0..10)),
        (ByteRange::FromTo(10, 12), 10, None),
        (ByteRange::From(9), 10, Some(9..10)),
        (ByteRange::From(10), 10, None),
        (ByteRange::From(u64::MAX), 10, None),
        (ByteRange::Suffix(3), 10, Some(7..10)),
        (ByteRange::Suffix(30), 10, Some(0..10)),
        (ByteRange::Suffix(0), 10, None),
        (ByteRange::Suffix(3), 0, None),
        (ByteRange::From(0), 0, None),
    ];
    for (range, size, expected) in cases {
        match expected {
            Some(expected) => assert_eq!(range.resolve(size).unwrap(), expected, "{range:?}"),
            None => assert_eq!(range.resolve(size), Err(Error::InvalidRange { size }), "{range:?}"),
        }
    }
}
