use super::*;
use crate::error::Code;
use crate::ops::tests::{HOSTILE, with};

#[test]
fn levels() {
    assert_eq!(asked(&with(&[])).unwrap(), None);
    for level in [Ack::Primary, Ack::Quorum, Ack::All] {
        assert_eq!(asked(&with(&[("x-coffer-ack", level.name())])).unwrap(), Some(level));
    }
    for text in ["", "ALL", "none", "all,all"] {
        let error = asked(&with(&[("x-coffer-ack", text)])).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument, "{text}");
    }
}

#[test]
fn no_value_panics() {
    for text in HOSTILE {
        let _ = parse(text);
        let _ = asked(&with(&[(HEADER, text)]));
    }
}
