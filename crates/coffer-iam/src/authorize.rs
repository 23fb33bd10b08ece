//! The decision: explicit deny, then allow, else no.

use std::fmt;

use crate::action::Action;
use crate::policy::{Effect, Policy};
use crate::resource::Resource;

#[cfg(test)]
mod tests;

/// Who asks: the authenticated caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user's name, for messages.
    pub name: String,
    /// Whose buckets it makes: the id that listings show as the owner.
    pub owner_id: String,
    /// The store's root, who is not subject to policies.
    pub root: bool,
    /// What it may do.
    pub policies: Vec<Policy>,
}

impl Principal {
    /// The store's root.
    pub fn root(owner_id: impl Into<String>) -> Self {
        Self {
            name: "root".to_owned(),
            owner_id: owner_id.into(),
            root: true,
            policies: Vec::new(),
        }
    }
}

/// The proof that a principal may do an action on a resource. [`authorize`] alone makes it, so
/// a function that takes one can't be called without the question having been asked.
///
/// ```compile_fail
/// let forged = coffer_iam::Grant { action: coffer_iam::Action::GetObject };
/// ```
#[derive(Clone, Debug)]
pub struct Grant {
    principal: String,
    owner_id: String,
    root: bool,
    action: Action,
    resource: Resource,
}

impl Grant {
    /// The name of who asked.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The owner id of who asked.
    pub fn owner_id(&self) -> &str {
        &self.owner_id
    }

    /// Whether root asked.
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// What was granted.
    pub fn action(&self) -> Action {
        self.action
    }

    /// On what it was granted.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The bucket it was granted on; empty for an action on the store as a whole.
    pub fn bucket(&self) -> &str {
        &self.resource.bucket
    }

    /// The object key it was granted on, for an action on an object.
    pub fn key(&self) -> Option<&str> {
        self.resource.key.as_deref()
    }
}

/// Why the answer is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A statement denies it; counted from 1.
    Explicit {
        /// Which of the principal's policies.
        policy: usize,
        /// Which statement of it.
        statement: usize,
        /// The statement's Sid.
        sid: Option<String>,
    },
    /// No statement allows it.
    Implicit,
    /// The action is not one on this kind of resource (a bucket action with a key, say).
    WrongScope,
}

/// The answer no, with its reason. It names policies: for logs and the principal's
/// administrator. Callers of S3 get AccessDenied and the action's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Who asked.
    pub principal: String,
    /// For what.
    pub action: Action,
    /// On what.
    pub resource: Resource,
    /// Why not.
    pub reason: Reason,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not authorized to perform {} on {:?}: ",
            self.principal,
            self.action,
            self.resource.arn()
        )?;
        match &self.reason {
            Reason::Explicit { policy, statement, sid: None } => {
                write!(f, "statement {statement} of policy {policy} denies it")
            }
            Reason::Explicit { policy, statement, sid: Some(sid) } => {
                write!(f, "statement {statement} ({sid:?}) of policy {policy} denies it")
            }
            Reason::Implicit => f.write_str("no statement allows it"),
            Reason::WrongScope => f.write_str("the action does not apply to such a resource"),
        }
    }
}

impl std::error::Error for Denied {}

/// Whether `principal` may do `action` on `resource`.
pub fn authorize(
    principal: &Principal,
    action: Action,
    resource: &Resource,
) -> Result<Grant, Denied> {
    let denied = |reason| Denied {
        principal: principal.name.clone(),
        action,
        resource: resource.clone(),
        reason,
    };
    if action.scope() != resource.scope() {
        return Err(denied(Reason::WrongScope));
    }
    let mut allowed = principal.root;
    if !principal.root {
        for (p, policy) in principal.policies.iter().enumerate() {
            for (s, statement) in policy.statements().iter().enumerate() {
                if !statement.applies(action, resource) {
                    continue;
                }
                match statement.effect() {
                    Effect::Allow => allowed = true,
                    Effect::Deny => {
                        return Err(denied(Reason::Explicit {
                            policy: p + 1,
                            statement: s + 1,
                            sid: statement.sid().map(str::to_owned),
                        }));
                    }
                }
            }
        }
    }
    if !allowed {
        return Err(denied(Reason::Implicit));
    }
    Ok(Grant {
        principal: principal.name.clone(),
        owner_id: principal.owner_id.clone(),
        root: principal.root,
        action,
        resource: resource.clone(),
    })
}
