//! Tags of users, roles, policies and providers.

use coffer_iam::{Action, Grant};

use crate::entities::{Subject, find, put, subject};
use crate::error::{Error, Result};
use crate::form::{check_tags, merge_tags};
use crate::identity::Identity;
use crate::ids::{Kind, parse_arn};
use crate::paging::{Page, Paging};
use crate::rows::Rows;
use crate::rows::entity::EntityRow;

/// What is tagged: users and roles by name, policies and providers by ARN.
fn tagged(subject: &Subject, rows: &impl Rows, kind: Kind, which: &str) -> Result<EntityRow> {
    match kind {
        Kind::User | Kind::Role => subject.entity(rows, kind, which),
        Kind::Policy | Kind::Provider => subject.by_arn(rows, kind, which),
        Kind::Group => Err(Error::InvalidInput("Groups have no tags.".to_owned())),
    }
}

fn by_kind(kind: Kind, actions: [Action; 4]) -> Action {
    let [user, role, policy, provider] = actions;
    match kind {
        Kind::User => user,
        Kind::Role => role,
        Kind::Policy => policy,
        Kind::Provider => provider,
        Kind::Group => panic!("groups have no tags"),
    }
}

/// What conditions may ask about an entity that something is done to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
}

impl Identity {
    /// Tags and boundary of what has this ARN, of whatever kind; none of what is not there. No
    /// policy is read, so whoever has one that can't be read is described all the same.
    pub fn described_by_arn(&self, arn: &str) -> Result<Described> {
        let Some((Some(account), kind, _, name)) = parse_arn(arn) else {
            return Ok(Described::default());
        };
        let row = find(&self.snapshot(), account, kind, name)?;
        let row = row.filter(|row| row.arn() == arn);
        Ok(row.map_or_else(Described::default, |row| Described {
            tags: row.tags,
            boundary: row.boundary,
        }))
    }

    /// Adds tags; those with a key that is there are replaced. `which` is the name of a user or
    /// role, the ARN of a policy or provider.
    pub async fn tag(
        &self,
        grant: &Grant,
        kind: Kind,
        which: &str,
        tags: Vec<(String, String)>,
    ) -> Result<()> {
        let actions =
            [Action::TagUser, Action::TagRole, Action::TagPolicy, Action::TagOpenIDConnectProvider];
        let subject = subject(grant, by_kind(kind, actions))?;
        check_tags(&tags)?;
        let which = which.to_owned();
        self.change(subject.account, move |txn| {
            let mut row = tagged(&subject, txn, kind, &which)?;
            merge_tags(&mut row.tags, &tags);
            check_tags(&row.tags)?;
            put(txn, &row);
            Ok(())
        })
        .await
    }

    /// Removes the tags with these keys; those that are not there do not matter.
    pub async fn untag(
        &self,
        grant: &Grant,
        kind: Kind,
        which: &str,
        tag_keys: Vec<String>,
    ) -> Result<()> {
        let actions = [
            Action::UntagUser,
            Action::UntagRole,
            Action::UntagPolicy,
            Action::UntagOpenIDConnectProvider,
        ];
        let subject = subject(grant, by_kind(kind, actions))?;
        let which = which.to_owned();
        self.change(subject.account, move |txn| {
            let mut row = tagged(&subject, txn, kind, &which)?;
            row.tags.retain(|(key, _)| !tag_keys.iter().any(|gone| gone.eq_ignore_ascii_case(key)));
            put(txn, &row);
            Ok(())
        })
        .await
    }

    /// The tags, in the order of their keys.
    pub async fn list_tags(
        &self,
        grant: &Grant,
        kind: Kind,
        which: &str,
        paging: &Paging,
    ) -> Result<Page<(String, String)>> {
        let actions = [
            Action::ListUserTags,
            Action::ListRoleTags,
            Action::ListPolicyTags,
            Action::ListOpenIDConnectProviderTags,
        ];
        let subject = subject(grant, by_kind(kind, actions))?;
        let mut tags = tagged(&subject, &self.snapshot(), kind, which)?.tags;
        tags.sort();
        paging.piece(tags, |(key, _)| key.clone())
    }
}
