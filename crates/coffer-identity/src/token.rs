//! Session tokens: all that is known of a temporary credential, sealed, in the hands of its
//! holder. The store keeps nothing of it. What it stands on (the role, the user, the key that it
//! was made with) is looked up at every use, and its policies are read as they are then.
//!
//! A token is the base64 of a version byte and a sealed text (see [`crate::seal`]), bound to the
//! session's access key.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use coffer_base::wire::{Put, Reader};
use coffer_base::{Rng, Timestamp};

use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::rows::{optional, pairs, put_optional, put_pairs, put_texts, texts};
use crate::seal::Sealer;

#[cfg(test)]
mod tests;

/// The version of tokens that are made; it is sealed over as well.
const VERSION: u8 = 1;

/// The longest token that is read. HTTP heads have room for it.
pub const TOKEN_CHARS_MAX: usize = 12 << 10;

/// Whom a session acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The root of the account, by one of its keys.
    Root { access_key: String },
    /// A user, by one of its keys.
    User { id: String, access_key: String },
    /// A role.
    Role { id: String, session: String },
    /// The store's operator, by its key pair: another secret is another operator.
    Operator { access_key: String, secret_mac: [u8; 32] },
}

/// What a token says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub secret: String,
    pub issued: Timestamp,
    pub expires: Timestamp,
    pub account: AccountId,
    pub subject: Subject,
    /// Session policies: a document, and ARNs of managed policies.
    pub policies: Option<(Option<String>, Vec<String>)>,
    pub tags: Vec<(String, String)>,
    /// Condition keys that were fixed when it began.
    pub context: Vec<(String, String)>,
}

impl Session {
    /// The token for its holder.
    pub(crate) fn seal(&self, sealer: &Sealer, rng: &dyn Rng, access_key: &str) -> Result<String> {
        let mut text = Vec::new();
        text.put_bytes(self.secret.as_bytes());
        text.put_varint(self.issued.0);
        text.put_varint(self.expires.0);
        text.put_u64(self.account.0);
        match &self.subject {
            Subject::Root { access_key } => {
                text.put_u8(0);
                text.put_bytes(access_key.as_bytes());
            }
            Subject::User { id, access_key } => {
                text.put_u8(1);
                text.put_bytes(id.as_bytes());
                text.put_bytes(access_key.as_bytes());
            }
            Subject::Role { id, session } => {
                text.put_u8(2);
                text.put_bytes(id.as_bytes());
                text.put_bytes(session.as_bytes());
            }
            Subject::Operator { access_key, secret_mac } => {
                text.put_u8(3);
                text.put_bytes(access_key.as_bytes());
                text.put_bytes(secret_mac);
            }
        }
        text.put_u8(u8::from(self.policies.is_some()));
        if let Some((document, arns)) = &self.policies {
            put_optional(&mut text, document.as_deref());
            put_texts(&mut text, arns);
        }
        put_pairs(&mut text, &self.tags);
        put_pairs(&mut text, &self.context);
        let mut token = vec![VERSION];
        token.append(&mut sealer.seal(rng, &bound_to(access_key), &text));
        let token = BASE64_STANDARD.encode(token);
        if token.len() > TOKEN_CHARS_MAX {
            let percent = token.len() * 100 / TOKEN_CHARS_MAX;
            return Err(Error::PackedPolicyTooLarge(format!(
                "Packed size of session tags and policies consumes {percent}% of allotted space"
            )));
        }
        Ok(token)
    }

    /// Reads a token that this store made for `access_key`.
    pub(crate) fn open(sealer: &Sealer, access_key: &str, token: &str) -> Result<Session> {
        if token.len() > TOKEN_CHARS_MAX {
            return Err(Error::InvalidToken);
        }
        let token = BASE64_STANDARD.decode(token).map_err(|_| Error::InvalidToken)?;
        let Some((&VERSION, sealed)) = token.split_first() else {
            return Err(Error::InvalidToken);
        };
        let text = sealer.open(&bound_to(access_key), sealed).ok_or(Error::InvalidToken)?;
        Session::decode(&text).ok_or(Error::InvalidToken)
    }

    fn decode(text: &[u8]) -> Option<Session> {
        let mut reader = Reader::new(text);
        let r = &mut reader;
        let text = |r: &mut Reader<'_>| r.str().map(str::to_owned);
        let secret = text(r)?;
        let (issued, expires) = (Timestamp(r.varint()?), Timestamp(r.varint()?));
        let account = AccountId(r.u64()?);
        let subject = match r.u8()? {
            0 => Subject::Root { access_key: text(r)? },
            1 => Subject::User { id: text(r)?, access_key: text(r)? },
            2 => Subject::Role { id: text(r)?, session: text(r)? },
            3 => {
                Subject::Operator { access_key: text(r)?, secret_mac: r.bytes()?.try_into().ok()? }
            }
            _ => return None,
        };
        let policies = match r.u8()? {
            0 => None,
            1 => Some((optional(r)?, texts(r)?)),
            _ => return None,
        };
        let (tags, context) = (pairs(r)?, pairs(r)?);
        let session =
            Session { secret, issued, expires, account, subject, policies, tags, context };
        reader.is_empty().then_some(session)
    }
}

/// The version is bound, too.
fn bound_to(access_key: &str) -> String {
    format!("{VERSION} {access_key}")
}
