use super::*;
use crate::error::Code;
use crate::ops::tests::HOSTILE;

#[test]
fn tokens_come_back() {
    for name in ["", "a", "a/b c\u{e9}\u{1}"] {
        for token in [Token::Key(name.to_owned()), Token::Prefix(name.to_owned())] {
            let text = token.write();
            assert_eq!(Token::read(&text).unwrap(), token);
            assert_eq!(Token::from(ListAfter::from(token.clone())), token);
        }
    }
}

#[test]
fn a_changed_token_is_no_token() {
    let text = Token::Key("some/key".to_owned()).write();
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(Token::read(&changed).unwrap_err().code, Code::InvalidArgument, "{changed}");
        assert!(Token::read(&text[..at]).is_err());
    }
    assert!(Token::read(&format!("{text}A")).is_err());
}

#[test]
fn buckets_have_no_prefixes() {
    assert_eq!(Token::read_key(&Token::Key("b".to_owned()).write()).unwrap(), "b");
    assert!(Token::read_key(&Token::Prefix("b".to_owned()).write()).is_err());
}

#[test]
fn garbage_is_refused() {
    for text in HOSTILE {
        assert_eq!(Token::read(text).unwrap_err().code, Code::InvalidArgument, "{text:?}");
    }
}
