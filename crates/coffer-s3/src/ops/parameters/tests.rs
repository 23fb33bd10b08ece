use http::HeaderMap;

use super::*;
use crate::error::Code;
use crate::ops::tests::{HOSTILE, head};

fn query(text: &str) -> CallHead {
    head("GET", &format!("/bucket?{text}"), HeaderMap::new())
}

#[test]
fn counts() {
    let max = |text: &str| page_max(&query(text), "max-keys", 1000);
    assert_eq!(max("").unwrap(), 1000);
    assert_eq!(max("max-keys=").unwrap(), 1000);
    assert_eq!(max("max-keys=0").unwrap(), 0);
    assert_eq!(max("max-keys=7").unwrap(), 7);
    assert_eq!(max("max-keys=5000").unwrap(), 1000);
    for text in ["-1", "+1", "1.5", "abc", "2147483648", "99999999999999999999", "0x10", "%20"] {
        let error = max(&format!("max-keys={text}")).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument, "{text}");
    }
}

#[test]
fn part_numbers() {
    assert_eq!(part_number(&query("")).unwrap(), None);
    assert_eq!(part_number(&query("partNumber=1")).unwrap(), Some(1));
    assert_eq!(part_number(&query("partNumber=10000")).unwrap(), Some(10_000));
    for text in ["0", "10001", "-1", "", "a", "99999999999999999999"] {
        let error = part_number(&query(&format!("partNumber={text}"))).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument, "{text}");
    }
}

#[test]
fn names_in_listings() {
    let encoded = Encoding::Url.write("a/b c+d%\u{e9}\u{1}~&.txt");
    assert_eq!(encoded, "a/b%20c%2Bd%25%C3%A9%01%7E%26.txt");
    assert_eq!(Encoding::Plain.write("a b"), "a b");
    assert_eq!(Encoding::of(&query("encoding-type=url")).unwrap(), Encoding::Url);
    assert_eq!(Encoding::of(&query("")).unwrap(), Encoding::Plain);
    let error = Encoding::of(&query("encoding-type=base64")).unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
}

#[test]
fn no_value_panics() {
    for text in HOSTILE {
        let _ = digits(text);
        let _ = Encoding::Url.write(text);
    }
}
