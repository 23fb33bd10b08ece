use super::*;
use crate::error::Code;
use crate::ops::tests::{HOSTILE, with};

#[test]
fn conditions_of_reads() {
    let read = of_read(&with(&[
        ("if-match", "\"a\", b"),
        ("if-none-match", "*"),
        ("if-modified-since", "Thu, 01 Jan 1970 00:00:10 GMT"),
        ("if-unmodified-since", "yesterday"),
    ]))
    .unwrap();
    assert_eq!(read.if_match, Some(EtagList::Tags(vec!["a".to_owned(), "b".to_owned()])));
    assert_eq!(read.if_none_match, Some(EtagList::Any));
    assert_eq!(read.if_modified_since, Some(Timestamp(10_000)));
    assert_eq!(read.if_unmodified_since, None);
}

#[test]
fn conditions_of_copies_are_their_own() {
    let head = with(&[("if-match", "a"), ("x-amz-copy-source-if-match", "b")]);
    let source = of_copy_source(&head).unwrap();
    assert_eq!(source.if_match, Some(EtagList::Tags(vec!["b".to_owned()])));
    assert_eq!(of_write(&head).unwrap().if_match.as_deref(), Some("a"));
}

#[test]
fn conditions_of_writes() {
    let write = of_write(&with(&[("if-none-match", "*")])).unwrap();
    assert!(write.if_none_match_any && write.if_match.is_none());
    let write = of_write(&with(&[("if-match", "\"abc\"")])).unwrap();
    assert_eq!(write.if_match.as_deref(), Some("abc"));
    let write = of_write(&with(&[("if-match", "*")])).unwrap();
    assert_eq!(write.if_match.as_deref(), Some("*"));
    for (name, value) in [("if-none-match", "\"abc\""), ("if-match", "a, b"), ("if-match", "")] {
        let error = of_write(&with(&[(name, value)])).unwrap_err();
        assert_eq!(error.code, Code::NotImplemented, "{name}: {value}");
    }
}

#[test]
fn no_value_panics() {
    for text in HOSTILE {
        for name in ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
            let _ = of_read(&with(&[(name, text)]));
            let _ = of_write(&with(&[(name, text)]));
        }
    }
}
