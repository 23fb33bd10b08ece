use super::*;
use crate::ops::tests::{HOSTILE, with};

#[test]
fn ranges_of_sources() {
    let range = |text| source_range(&with(&[("x-amz-copy-source-range", text)]));
    assert_eq!(range("bytes=0-9").unwrap(), Some(ByteRange::FromTo(0, 9)));
    assert_eq!(source_range(&with(&[])).unwrap(), None);
    for text in HOSTILE.iter().copied().chain(["bytes=1-", "bytes=-5", "0-9"]) {
        assert_eq!(range(text).unwrap_err().code, Code::InvalidArgument, "{text:?}");
    }
}
