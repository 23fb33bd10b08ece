//! The question: may this be done to that?

use std::cell::OnceCell;

use crate::action::Action;
use crate::context::{self, Keys};
use crate::policy::Policy;
use crate::policy::arn::Head;
use crate::principal::Principal;
use crate::resource::Resource;

/// What a request wants, and what the resource says about it.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What is to be done.
    pub action: Action,
    /// To what.
    pub resource: &'a Resource,
    /// The account that owns the resource; `None`: the caller's own (a bucket to be made, the
    /// store).
    pub owner: Option<&'a str>,
    /// The id of the very bucket that was looked at: the grant is for no later one of its name.
    pub bucket_id: Option<u64>,
    /// The policy of the resource: a bucket's, or the trust policy of a role.
    pub resource_policy: Option<&'a Policy>,
    /// Whether the resource's policy is public and access is restricted for that
    /// (`RestrictPublicBuckets`): then only the owner's account may use it.
    pub restrict_public: bool,
    /// The condition keys of the request.
    pub context: &'a dyn Keys,
}

impl<'a> Ask<'a> {
    /// A question about what is the caller's own, without a policy of the resource and without a
    /// context.
    pub fn new(action: Action, resource: &'a Resource) -> Ask<'a> {
        Ask {
            action,
            resource,
            owner: None,
            bucket_id: None,
            resource_policy: None,
            restrict_public: false,
            context: &context::EMPTY,
        }
    }

    /// With these condition keys.
    pub fn with_context(self, context: &'a dyn Keys) -> Ask<'a> {
        Ask { context, ..self }
    }
}

/// The same question in names, so that also actions and resources can be asked about that Coffer
/// does not have.
pub(crate) struct Question<'a> {
    pub(crate) action: &'a str,
    /// The action, if Coffer has it.
    pub(crate) known: Option<Action>,
    pub(crate) arn: &'a str,
    /// The head of `arn`.
    pub(crate) head: Head,
    pub(crate) owner: Option<&'a str>,
    pub(crate) resource_policy: Option<&'a Policy>,
    pub(crate) restrict_public: bool,
    pub(crate) context: &'a dyn Keys,
    pub(crate) principal: &'a Principal,
    /// The caller's ARN and that of its role, made when they are first asked for.
    pub(crate) arns: OnceCell<(String, Option<String>)>,
}

impl Question<'_> {
    fn arns(&self) -> &(String, Option<String>) {
        self.arns.get_or_init(|| (self.principal.arn(), self.principal.role_arn()))
    }

    /// The ARN of the caller's requests.
    pub(crate) fn arn_of_caller(&self) -> &str {
        &self.arns().0
    }

    /// The ARN of the role whose session the caller is.
    pub(crate) fn role_arn(&self) -> Option<&str> {
        self.arns().1.as_deref()
    }
}
