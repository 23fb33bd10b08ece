//! Users and their access keys.

use coffer_base::Timestamp;
use coffer_base::wire::{Put, Reader};

use super::{Row, boolean};

/// A policy as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PolicyRef {
    /// One that comes with Coffer.
    Canned(String),
    /// A document.
    Json(String),
}

/// `I` name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdentityRow {
    pub created: Timestamp,
    pub enabled: bool,
    pub owner_id: String,
    pub access_keys: Vec<String>,
    pub policies: Vec<PolicyRef>,
}

impl Row for IdentityRow {
    const NAME: &'static str = "identity";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_varint(self.created.0);
        out.put_u8(u8::from(self.enabled));
        out.put_bytes(self.owner_id.as_bytes());
        out.put_varint(self.access_keys.len() as u64);
        self.access_keys.iter().for_each(|key| out.put_bytes(key.as_bytes()));
        out.put_varint(self.policies.len() as u64);
        for policy in &self.policies {
            let (tag, text) = match policy {
                PolicyRef::Canned(name) => (0, name),
                PolicyRef::Json(json) => (1, json),
            };
            out.put_u8(tag);
            out.put_bytes(text.as_bytes());
        }
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        let created = Timestamp(r.varint()?);
        let enabled = boolean(r)?;
        let owner_id = r.str()?.to_owned();
        let mut access_keys = Vec::new();
        for _ in 0..r.varint()? {
            access_keys.push(r.str()?.to_owned());
        }
        let mut policies = Vec::new();
        for _ in 0..r.varint()? {
            policies.push(match r.u8()? {
                0 => PolicyRef::Canned(r.str()?.to_owned()),
                1 => PolicyRef::Json(r.str()?.to_owned()),
                _ => return None,
            });
        }
        Some(IdentityRow { created, enabled, owner_id, access_keys, policies })
    }
}

/// `K` access key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AccessKeyRow {
    pub user: String,
    pub secret: String,
    pub created: Timestamp,
}

impl std::fmt::Debug for AccessKeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKeyRow").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Row for AccessKeyRow {
    const NAME: &'static str = "access key";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_bytes(self.user.as_bytes());
        out.put_bytes(self.secret.as_bytes());
        out.put_varint(self.created.0);
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        Some(AccessKeyRow {
            user: r.str()?.to_owned(),
            secret: r.str()?.to_owned(),
            created: Timestamp(r.varint()?),
        })
    }
}
