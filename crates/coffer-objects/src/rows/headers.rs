//! Headers inside of rows, and the row of cold ones.

use coffer_base::wire::{Put, Reader};

use super::Row;
use crate::types::Headers;

/// Headers whose encoding is longer than this have a row of their own.
pub(crate) const HEAD_HEADERS_BYTES_MAX: usize = 256;

const USER: u8 = 9;

/// The fields in the order of their tags, 1 to 8.
fn fields(headers: &Headers) -> [&Option<String>; 8] {
    [
        &headers.content_type,
        &headers.content_encoding,
        &headers.content_disposition,
        &headers.content_language,
        &headers.cache_control,
        &headers.expires,
        &headers.website_redirect,
        &headers.storage_class,
    ]
}

fn field_mut(headers: &mut Headers, tag: u8) -> Option<&mut Option<String>> {
    Some(match tag {
        1 => &mut headers.content_type,
        2 => &mut headers.content_encoding,
        3 => &mut headers.content_disposition,
        4 => &mut headers.content_language,
        5 => &mut headers.cache_control,
        6 => &mut headers.expires,
        7 => &mut headers.website_redirect,
        8 => &mut headers.storage_class,
        _ => return None,
    })
}

/// Tag and text of each header that is there; user metadata last, tag, name and value each.
pub(crate) fn encode(headers: &Headers) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, field) in (1u8..).zip(fields(headers)) {
        if let Some(text) = field {
            out.put_u8(tag);
            out.put_bytes(text.as_bytes());
        }
    }
    for (name, value) in &headers.user {
        out.put_u8(USER);
        out.put_bytes(name.as_bytes());
        out.put_bytes(value);
    }
    out
}

/// Reads all of `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Option<Headers> {
    let mut headers = Headers::default();
    let mut r = Reader::new(bytes);
    let mut last = 0;
    while !r.is_empty() {
        let tag = r.u8()?;
        if tag < last || tag == last && tag != USER {
            return None;
        }
        last = tag;
        if tag == USER {
            headers.user.push((r.str()?.to_owned(), r.bytes()?.to_vec()));
        } else {
            *field_mut(&mut headers, tag)? = Some(r.str()?.to_owned());
        }
    }
    Some(headers)
}

/// `C` bucket key: the headers of a head that are too long for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColdRow(pub Headers);

impl ColdRow {
    /// The value, of headers that are encoded already.
    pub(crate) fn encode_block(header_block: &[u8]) -> Vec<u8> {
        let mut out = vec![Self::VERSION];
        out.put_bytes(header_block);
        out
    }
}

impl Row for ColdRow {
    const NAME: &'static str = "cold headers";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_bytes(&encode(&self.0));
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        decode(r.bytes()?).map(ColdRow)
    }
}
