//! One call whose caller is known: what an operation is given.

use std::sync::Arc;

use coffer_base::Timestamp;
use coffer_iam::action::Scope;
use coffer_iam::{Action, Ask, Context, Grant, Principal, PrincipalKind, Resource};
use coffer_identity::{AccountId, Identity, Kind, Paging, arn};

use crate::error::{Code, QueryError};
use crate::form::Parameters;
use crate::oidc::issuers::Issuers;

/// A call.
pub(crate) struct Call<'a> {
    /// The store of identities.
    pub(crate) identity: &'a Identity,
    /// The keys of identity providers.
    pub(crate) issuers: &'a Issuers,
    /// Who asks.
    pub(crate) caller: Arc<Principal>,
    /// By which key; empty for those without one.
    pub(crate) access_key: String,
    /// Whether that is a temporary one.
    pub(crate) is_temporary: bool,
    /// What is asked.
    pub(crate) parameters: Parameters,
    /// The condition keys that every request has.
    pub(crate) context: Context,
    /// When the request was read.
    pub(crate) now: Timestamp,
}

/// Keys that a grant is asked with besides those that every request has.
pub(crate) type Extra = Vec<(String, Vec<String>)>;

impl Call<'_> {
    /// The caller's account.
    pub(crate) fn account(&self) -> Result<AccountId, QueryError> {
        AccountId::parse(&self.caller.account).ok_or_else(|| {
            QueryError::new(Code::AccessDenied, "Only identities of an account may ask this.")
        })
    }

    /// Asks iam whether the caller may do `action` to what has this ARN.
    pub(crate) fn grant(
        &self,
        action: Action,
        resource_arn: &str,
        extra: Extra,
    ) -> Result<Grant, QueryError> {
        // An action on any identity acts on the kind that the ARN says.
        let scope = match action.scope() {
            Scope::Identity if resource_arn.contains(":group/") => Scope::Group,
            Scope::Identity if resource_arn.contains(":role/") => Scope::Role,
            Scope::Identity => Scope::User,
            scope => scope,
        };
        let mut context = self.context.clone();
        for (key, values) in extra {
            context.set_all(key, values);
        }
        let resource = Resource::iam(scope, resource_arn);
        Ok(coffer_iam::authorize(
            &self.caller,
            &Ask::new(action, &resource).with_context(&context),
        )?)
    }

    /// Asks for what concerns the account as a whole.
    pub(crate) fn grant_account(&self, action: Action) -> Result<Grant, QueryError> {
        self.grant(action, "*", Extra::new())
    }

    /// Asks for a list of a kind.
    pub(crate) fn grant_list(&self, action: Action, kind: Kind) -> Result<Grant, QueryError> {
        let of_kind = arn(self.account()?, kind, self.path_prefix(), "");
        self.grant(action, &of_kind, Extra::new())
    }

    /// Asks for an action on a user, group or role by its name.
    pub(crate) fn grant_named(
        &self,
        action: Action,
        kind: Kind,
        name: &str,
    ) -> Result<Grant, QueryError> {
        self.grant_named_with(action, kind, name, Extra::new())
    }

    /// The same with more keys. What `extra` says goes before what the entity says of itself.
    pub(crate) fn grant_named_with(
        &self,
        action: Action,
        kind: Kind,
        name: &str,
        extra: Extra,
    ) -> Result<Grant, QueryError> {
        let account = self.account()?;
        let found = self.identity.arn_of(account, kind, name)?;
        // What is not there is asked for as well, so that only who may know is told so.
        let entity_arn = found.unwrap_or_else(|| arn(account, kind, "/", name));
        let mut all = self.of_entity(&entity_arn)?;
        all.extend(extra);
        self.grant(action, &entity_arn, all)
    }

    /// Asks for an action on a managed policy or a provider by its ARN.
    pub(crate) fn grant_arn(
        &self,
        action: Action,
        resource_arn: &str,
        extra: Extra,
    ) -> Result<Grant, QueryError> {
        let mut all = self.of_entity(resource_arn)?;
        all.extend(extra);
        self.grant(action, resource_arn, all)
    }

    /// What conditions may ask about what is there: its tags, its boundary.
    pub(crate) fn of_entity(&self, entity_arn: &str) -> Result<Extra, QueryError> {
        let described = self.identity.described_by_arn(entity_arn)?;
        let mut keys = resource_tags(&described.tags);
        if let Some(boundary) = described.boundary {
            keys.push(("iam:PermissionsBoundary".to_owned(), vec![boundary]));
        }
        Ok(keys)
    }

    /// A grant for a part of an operation that was granted as a whole: asked in the name of the
    /// account.
    pub(crate) fn grant_part(
        &self,
        action: Action,
        scope: Scope,
        resource_arn: &str,
    ) -> Result<Grant, QueryError> {
        let account = Principal::root(self.caller.account.clone(), self.caller.owner_id.clone());
        let resource = Resource::iam(scope, resource_arn);
        Ok(coffer_iam::authorize(&account, &Ask::new(action, &resource))?)
    }

    /// The name of the user that is meant: the one that is named, or the caller; `None` for the
    /// root of the account.
    pub(crate) fn user_meant(&self) -> Result<Option<String>, QueryError> {
        if let Some(name) = self.parameters.get("UserName") {
            if name.is_empty() {
                return self.parameters.need("UserName").map(|name| Some(name.to_owned()));
            }
            return Ok(Some(name.to_owned()));
        }
        match &self.caller.kind {
            PrincipalKind::User { name, .. } => Ok(Some(name.clone())),
            PrincipalKind::Root => Ok(None),
            _ => Err(QueryError::new(
                Code::ValidationError,
                "Must specify userName when calling with non-User credentials",
            )),
        }
    }

    /// Asks for an action on that user or root.
    pub(crate) fn grant_user_meant(
        &self,
        action: Action,
        user: Option<&str>,
    ) -> Result<Grant, QueryError> {
        match user {
            Some(name) => self.grant_named(action, Kind::User, name),
            None => {
                let root = format!("arn:aws:iam::{}:root", self.account()?);
                self.grant(action, &root, Extra::new())
            }
        }
    }

    /// How the paths begin of what is listed.
    pub(crate) fn path_prefix(&self) -> &str {
        self.parameters.get("PathPrefix").filter(|prefix| !prefix.is_empty()).unwrap_or("/")
    }

    /// Which piece of a list is wanted.
    pub(crate) fn paging(&self) -> Result<Paging, QueryError> {
        let items_max = self.parameters.number("MaxItems", 1, 1000)?.unwrap_or(100) as usize;
        let marker = self.parameters.get("Marker").filter(|marker| !marker.is_empty());
        Ok(Paging { marker: marker.map(str::to_owned), items_max })
    }
}

/// The tags of a resource as conditions ask for them.
pub(crate) fn resource_tags(tags: &[(String, String)]) -> Extra {
    let under = |prefix: &str| {
        let prefix = prefix.to_owned();
        tags.iter().map(move |(key, value)| (format!("{prefix}/{key}"), vec![value.clone()]))
    };
    under("aws:ResourceTag").chain(under("iam:ResourceTag")).collect()
}

/// The tags that a request would set, as conditions ask for them.
pub(crate) fn request_tags(tags: &[(String, String)]) -> Extra {
    if tags.is_empty() {
        return Extra::new();
    }
    let mut keys: Extra = tags
        .iter()
        .map(|(key, value)| (format!("aws:RequestTag/{key}"), vec![value.clone()]))
        .collect();
    keys.push(("aws:TagKeys".to_owned(), tags.iter().map(|(key, _)| key.clone()).collect()));
    keys
}

/// One key more.
pub(crate) fn key(name: &str, value: &str) -> (String, Vec<String>) {
    (name.to_owned(), vec![value.to_owned()])
}
