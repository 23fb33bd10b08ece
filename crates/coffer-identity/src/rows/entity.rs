//! `A` `e` id: a user, a group, a role, a managed policy or a provider. What they have in common
//! comes first.

use coffer_base::Timestamp;
use coffer_base::wire::{Put, Reader};

use super::{Row, boolean, optional, pairs, put_optional, put_pairs, put_texts, texts};
use crate::ids::{self, AccountId, Kind};

/// One entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityRow {
    pub account: AccountId,
    pub id: String,
    pub name: String,
    /// Begins and ends with a slash.
    pub path: String,
    pub created: Timestamp,
    pub tags: Vec<(String, String)>,
    /// Inline policies: name and document, in the order of the names.
    pub inline: Vec<(String, String)>,
    /// ARNs of managed policies, in the order of their attaching.
    pub attached: Vec<String>,
    /// The ARN of the policy that is its permissions boundary.
    pub boundary: Option<String>,
    pub detail: Detail,
}

/// What each kind has besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    User {
        /// Whether any key of it works.
        enabled: bool,
        /// Unique ids, in the order of joining.
        groups: Vec<String>,
        access_keys: Vec<String>,
    },
    Group,
    Role {
        description: String,
        trust: String,
        session_secs_max: u32,
    },
    Policy {
        description: String,
        /// Ascending in their numbers.
        versions: Vec<VersionRow>,
        default: u32,
        /// The number of the next one; numbers are not used again.
        next: u32,
        updated: Timestamp,
    },
    Provider {
        client_ids: Vec<String>,
        thumbprints: Vec<String>,
    },
}

/// A version of a managed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionRow {
    pub number: u32,
    pub document: String,
    pub created: Timestamp,
}

impl EntityRow {
    pub(crate) fn kind(&self) -> Kind {
        match self.detail {
            Detail::User { .. } => Kind::User,
            Detail::Group => Kind::Group,
            Detail::Role { .. } => Kind::Role,
            Detail::Policy { .. } => Kind::Policy,
            Detail::Provider { .. } => Kind::Provider,
        }
    }

    pub(crate) fn arn(&self) -> String {
        ids::arn(self.account, self.kind(), &self.path, &self.name)
    }
}

impl Row for EntityRow {
    const NAME: &'static str = "entity";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_u8(self.kind().tag());
        out.put_u64(self.account.0);
        out.put_bytes(self.id.as_bytes());
        out.put_bytes(self.name.as_bytes());
        out.put_bytes(self.path.as_bytes());
        out.put_varint(self.created.0);
        put_pairs(out, &self.tags);
        put_pairs(out, &self.inline);
        put_texts(out, &self.attached);
        put_optional(out, self.boundary.as_deref());
        match &self.detail {
            Detail::User { enabled, groups, access_keys } => {
                out.put_u8(u8::from(*enabled));
                put_texts(out, groups);
                put_texts(out, access_keys);
            }
            Detail::Group => {}
            Detail::Role { description, trust, session_secs_max } => {
                out.put_bytes(description.as_bytes());
                out.put_bytes(trust.as_bytes());
                out.put_varint(u64::from(*session_secs_max));
            }
            Detail::Policy { description, versions, default, next, updated } => {
                out.put_bytes(description.as_bytes());
                out.put_varint(versions.len() as u64);
                for version in versions {
                    out.put_varint(u64::from(version.number));
                    out.put_bytes(version.document.as_bytes());
                    out.put_varint(version.created.0);
                }
                out.put_varint(u64::from(*default));
                out.put_varint(u64::from(*next));
                out.put_varint(updated.0);
            }
            Detail::Provider { client_ids, thumbprints } => {
                put_texts(out, client_ids);
                put_texts(out, thumbprints);
            }
        }
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        let kind = Kind::of_tag(r.u8()?)?;
        let account = AccountId(r.u64()?);
        let text = |r: &mut Reader<'_>| r.str().map(str::to_owned);
        let number = |r: &mut Reader<'_>| u32::try_from(r.varint()?).ok();
        let (id, name, path) = (text(r)?, text(r)?, text(r)?);
        let created = Timestamp(r.varint()?);
        let (tags, inline) = (pairs(r)?, pairs(r)?);
        let attached = texts(r)?;
        let boundary = optional(r)?;
        let detail = match kind {
            Kind::User => {
                Detail::User { enabled: boolean(r)?, groups: texts(r)?, access_keys: texts(r)? }
            }
            Kind::Group => Detail::Group,
            Kind::Role => Detail::Role {
                description: text(r)?,
                trust: text(r)?,
                session_secs_max: number(r)?,
            },
            Kind::Policy => {
                let description = text(r)?;
                let mut versions = Vec::new();
                for _ in 0..r.varint()? {
                    versions.push(VersionRow {
                        number: number(r)?,
                        document: text(r)?,
                        created: Timestamp(r.varint()?),
                    });
                }
                let (default, next) = (number(r)?, number(r)?);
                let updated = Timestamp(r.varint()?);
                if !versions.iter().any(|version| version.number == default) {
                    return None;
                }
                Detail::Policy { description, versions, default, next, updated }
            }
            Kind::Provider => Detail::Provider { client_ids: texts(r)?, thumbprints: texts(r)? },
        };
        Some(EntityRow {
            account,
            id,
            name,
            path,
            created,
            tags,
            inline,
            attached,
            boundary,
            detail,
        })
    }
}
