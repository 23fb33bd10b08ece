//! ETags as S3 forms them.

use std::fmt;

use coffer_base::wire::{Put, Reader};

use crate::digest::{hex_into, md5};

/// An object's ETag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Etag {
    /// MD5 of the bytes.
    Single([u8; 16]),
    /// MD5 of the MD5s of the parts, and their number.
    Multipart([u8; 16], u32),
}

impl Etag {
    /// The ETag of an object completed from parts with these MD5s.
    pub(crate) fn of_parts<'a>(parts: impl Iterator<Item = &'a [u8; 16]>) -> Etag {
        let mut all = Vec::new();
        parts.for_each(|part| all.extend_from_slice(part));
        Etag::Multipart(md5(&all), (all.len() / 16) as u32)
    }

    /// How many parts it was uploaded in, if by multipart.
    pub(crate) fn parts(&self) -> Option<u32> {
        match self {
            Etag::Single(_) => None,
            Etag::Multipart(_, parts) => Some(*parts),
        }
    }

    /// Sixteen bytes, and for a multipart one a varint.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Etag::Single(md5) => out.extend_from_slice(md5),
            Etag::Multipart(md5, parts) => {
                out.extend_from_slice(md5);
                out.put_varint(u64::from(*parts));
            }
        }
    }

    /// Reads what [`Etag::encode`] wrote.
    pub(crate) fn decode(r: &mut Reader<'_>, multipart: bool) -> Option<Etag> {
        let md5 = r.take(16)?.try_into().ok()?;
        if !multipart {
            return Some(Etag::Single(md5));
        }
        Some(Etag::Multipart(md5, u32::try_from(r.varint()?).ok()?))
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Etag::Single(md5) | Etag::Multipart(md5, _)) = self;
        let mut digits = [0; 32];
        f.write_str(hex_into(md5, &mut digits))?;
        match self.parts() {
            None => Ok(()),
            Some(parts) => write!(f, "-{parts}"),
        }
    }
}
