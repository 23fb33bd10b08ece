use super::*;

#[test]
fn ids_read_back_and_nothing_else_does() {
    let given = VersionId::Given { sequence: 0x1000, check: 0x0123_4567_89ab_cdef };
    assert_eq!(given.to_string(), "00000000000010000123456789abcdef");
    for id in [given, VersionId::Null] {
        assert_eq!(VersionId::parse(&id.to_string()), Some(id));
    }
    for bad in [
        "",
        "Null",
        "NULL",
        "null ",
        "x",
        "00000000000010000123456789ABCDEF",
        "00000000000010000123456789abcde",
        "00000000000010000123456789abcdef0",
        "+0000000000010000123456789abcdef",
        "000000000000100\u{e9}123456789abcdef",
    ] {
        assert_eq!(VersionId::parse(bad), None, "{bad}");
    }
}
