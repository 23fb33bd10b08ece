//! Continuation tokens: opaque to clients, and refused when they are not ours.
//!
//! A token is base64url of: a version byte, a kind byte, the name, and the checksum of all before.
//! It carries no secret and gives no right; the checksum only tells garbage from a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use coffer_base::checksum::checksum;
use coffer_objects::ListAfter;

use crate::error::S3Error;

const VERSION: u8 = 1;

/// Seeds the checksum, so that no other checksummed bytes pass for a token.
const SEED: u64 = 0x636f_6666_6572_7331;

/// Where the next page of a listing begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// After this name.
    Key(String),
    /// After everything that begins so.
    Prefix(String),
}

impl Token {
    /// The token as clients see it.
    pub(super) fn write(&self) -> String {
        let (kind, name) = match self {
            Token::Key(name) => (b'k', name),
            Token::Prefix(name) => (b'p', name),
        };
        let mut bytes = vec![VERSION, kind];
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&checksum(SEED, &bytes).to_le_bytes());
        BASE64.encode(bytes)
    }

    /// Reads what [`Token::write`] wrote.
    pub(super) fn read(text: &str) -> Result<Token, S3Error> {
        Self::decode(text).ok_or_else(|| {
            S3Error::invalid_argument(
                "continuation-token",
                text,
                "The continuation token provided is incorrect",
            )
        })
    }

    /// Reads a token of a listing that has no common prefixes.
    pub(super) fn read_key(text: &str) -> Result<String, S3Error> {
        match Self::read(text)? {
            Token::Key(name) => Ok(name),
            Token::Prefix(_) => Err(S3Error::invalid_argument(
                "continuation-token",
                text,
                "The continuation token provided is incorrect",
            )),
        }
    }

    fn decode(text: &str) -> Option<Token> {
        let bytes = BASE64.decode(text).ok()?;
        let (covered, sum) = bytes.split_last_chunk::<8>()?;
        if checksum(SEED, covered) != u64::from_le_bytes(*sum) {
            return None;
        }
        let [VERSION, kind, name @ ..] = covered else {
            return None;
        };
        let name = String::from_utf8(name.to_vec()).ok()?;
        match kind {
            b'k' => Some(Token::Key(name)),
            b'p' => Some(Token::Prefix(name)),
            _ => None,
        }
    }
}

impl From<ListAfter> for Token {
    fn from(after: ListAfter) -> Token {
        match after {
            ListAfter::Key(name) => Token::Key(name),
            ListAfter::Prefix(name) => Token::Prefix(name),
        }
    }
}

impl From<Token> for ListAfter {
    fn from(token: Token) -> ListAfter {
        match token {
            Token::Key(name) => ListAfter::Key(name),
            Token::Prefix(name) => ListAfter::Prefix(name),
        }
    }
}

#[cfg(test)]
mod tests;
