use super::*;
use crate::xml;

fn asked(inside: &str) -> Result<Versioning, Code> {
    let document = format!("<VersioningConfiguration>{inside}</VersioningConfiguration>");
    read(&xml::parse(document.as_bytes(), 1 << 20).unwrap()).map_err(|error| error.code)
}

#[test]
fn a_state_is_read_and_nothing_else() {
    let enabled = "<Status>Enabled</Status>";
    assert_eq!(asked(enabled), Ok(Versioning::Enabled));
    assert_eq!(asked("<Status>Suspended</Status>"), Ok(Versioning::Suspended));
    let off = "<MfaDelete>Disabled</MfaDelete>";
    assert_eq!(asked(&format!("{off}{enabled}")), Ok(Versioning::Enabled));
    let on = "<MfaDelete>Enabled</MfaDelete>";
    assert_eq!(asked(&format!("{enabled}{on}")), Err(Code::NotImplemented));
    assert_eq!(asked(off), Err(Code::IllegalVersioningConfiguration));
    assert_eq!(asked(""), Err(Code::IllegalVersioningConfiguration));
    for bad in [
        "<Status/>",
        "<Status>enabled</Status>",
        "<Status>Enabled</Status><Status>Suspended</Status>",
        "<MfaDelete>Maybe</MfaDelete>",
        "<Other>Enabled</Other>",
    ] {
        assert_eq!(asked(bad), Err(Code::MalformedXML), "{bad}");
    }
    let other = xml::parse(b"<Other><Status>Enabled</Status></Other>", 1 << 20).unwrap();
    assert_eq!(read(&other).unwrap_err().code, Code::MalformedXML);
}
