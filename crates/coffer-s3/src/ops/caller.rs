//! Who owns things, and who the client believes does.

use crate::error::{Code, S3Error};
use crate::request::CallHead;
use crate::xml::Writer;

/// Refuses a request whose header `name` expects another owner than the store has.
pub(super) fn check_owner(head: &CallHead, name: &'static str) -> Result<(), S3Error> {
    match head.header(name)? {
        Some(expected) if expected != head.principal.owner_id => {
            Err(S3Error::new(Code::AccessDenied))
        }
        _ => Ok(()),
    }
}

/// Writes who owns what the caller sees.
pub(super) fn write_owner(xml: &mut Writer, tag: &'static str, head: &CallHead) {
    xml.open(tag).text("ID", &head.principal.owner_id).text("DisplayName", "coffer").close();
}
