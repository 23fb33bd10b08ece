//! From a question to a grant.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use crate::action::Action;
use crate::ask::{Ask, Question};
use crate::decide::{Answer, Layer, decide};
use crate::explain::{StatementRef, locate};
use crate::policy::arn::Head;
use crate::principal::Principal;
use crate::resource::Resource;

#[cfg(test)]
mod tests;

/// The proof that a principal may do an action on a resource. [`authorize`] alone makes it, so
/// a function that takes one can't be called without the question having been asked.
///
/// ```compile_fail
/// let forged = coffer_iam::Grant { action: coffer_iam::Action::GetObject };
/// ```
#[derive(Clone, Debug)]
pub struct Grant {
    principal: Arc<str>,
    account: Arc<str>,
    owner_id: Arc<str>,
    root: bool,
    action: Action,
    resource: Resource,
    bucket_id: Option<u64>,
}

impl Grant {
    /// The name of who asked.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The account of who asked; empty for those without one.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The owner id of the account of who asked.
    pub fn owner_id(&self) -> &str {
        &self.owner_id
    }

    /// Whether the root of an account asked.
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

    /// The bucket it was granted on; empty for an action on anything else.
    pub fn bucket(&self) -> &str {
        self.resource.bucket_name()
    }

    /// The id of the very bucket it was granted on; `None` if it is for any of its name.
    pub fn bucket_id(&self) -> Option<u64> {
        self.bucket_id
    }

    /// The object key it was granted on, for an action on an object.
    pub fn key(&self) -> Option<&str> {
        self.resource.key()
    }
}

/// Why the answer is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A statement denies it.
    Explicit(Box<StatementRef>),
    /// This kind of policy would have had to allow it.
    Implicit(Layer),
    /// The action is not one on this kind of resource (a bucket action with a key, say).
    WrongScope,
}

/// The answer no, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The ARN of who asked.
    pub principal: String,
    /// For what.
    pub action: Action,
    /// On what.
    pub resource: Resource,
    /// Why not. It names policies: for logs and for the principal's administrator.
    pub reason: Reason,
}

impl Denied {
    /// What AWS tells the caller: which kind of policy decided, but not which statement.
    pub fn message(&self) -> String {
        let Denied { principal, action, resource, reason } = self;
        let arn = resource.arn();
        let because = match reason {
            Reason::Explicit(found) => {
                let article = if found.layer == Layer::Identity { "an" } else { "a" };
                format!("with an explicit deny in {article} {}", found.layer.name())
            }
            Reason::Implicit(layer) => {
                format!("because no {} allows the {action} action", layer.name())
            }
            Reason::WrongScope => "because the action does not apply to such a resource".to_owned(),
        };
        format!(
            "User: {principal} is not authorized to perform: {action} on resource: {arn} {because}"
        )
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        match &self.reason {
            Reason::Explicit(found) => write!(f, " ({found})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Denied {}

/// Whether `principal` may do what `ask` says.
pub fn authorize(principal: &Principal, ask: &Ask<'_>) -> Result<Grant, Denied> {
    let denied = |reason| Denied {
        principal: principal.arn(),
        action: ask.action,
        resource: ask.resource.clone(),
        reason,
    };
    if !ask.action.scope().admits(ask.resource.scope()) {
        return Err(denied(Reason::WrongScope));
    }
    let arn = ask.resource.arn();
    let question = question(principal, ask, &arn);
    match decide(&question, |_| false) {
        Answer::Allowed(..) => Ok(Grant {
            principal: principal.name().into(),
            account: principal.account.as_str().into(),
            owner_id: principal.owner_id.as_str().into(),
            root: principal.is_root(),
            action: ask.action,
            resource: ask.resource.clone(),
            bucket_id: ask.bucket_id,
        }),
        Answer::Denied(found) => Err(denied(Reason::Explicit(Box::new(locate(&question, found))))),
        Answer::NotAllowed(layer) => Err(denied(Reason::Implicit(layer))),
    }
}

pub(crate) fn question<'a>(principal: &'a Principal, ask: &Ask<'a>, arn: &'a str) -> Question<'a> {
    Question {
        action: ask.action.name(),
        known: Some(ask.action),
        arn,
        head: Head::of(arn),
        owner: ask.owner,
        resource_policy: ask.resource_policy,
        restrict_public: ask.restrict_public,
        context: ask.context,
        principal,
        arns: OnceCell::new(),
    }
}
