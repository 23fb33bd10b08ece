//! What-if: a decision about any action and any ARN, as AWS's policy simulator makes it.

use std::cell::OnceCell;

use crate::action::Action;
use crate::ask::Question;
use crate::context::Context;
use crate::explain::{Explanation, explain_question};
use crate::policy::Policy;
use crate::policy::arn::Head;
use crate::principal::{Attached, Principal};

/// A question in names. Nothing is granted by its answer.
#[derive(Clone, Copy, Debug)]
pub struct Simulation<'a> {
    /// Who would ask, with the policies to be tried.
    pub principal: &'a Principal,
    /// The action's name, of any service.
    pub action: &'a str,
    /// An ARN, or `*`.
    pub resource: &'a str,
    /// The account that owns the resource; `None`: the principal's.
    pub owner: Option<&'a str>,
    /// The resource's policy.
    pub resource_policy: Option<&'a Policy>,
    /// The condition keys of the request.
    pub context: &'a Context,
}

/// What a simulation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// The decision and its reasons.
    pub explanation: Explanation,
    /// Condition keys that the policies ask about and the context doesn't have, in order.
    pub missing_context: Vec<String>,
}

/// Decides it as [`authorize`](crate::authorize()) would.
pub fn simulate(simulation: &Simulation<'_>) -> Simulated {
    let Simulation { principal, action, resource, owner, resource_policy, context } = *simulation;
    let question = Question {
        action,
        known: Action::named(action),
        arn: resource,
        head: Head::of(resource),
        owner,
        resource_policy,
        restrict_public: false,
        context,
        principal,
        arns: OnceCell::new(),
    };
    let explanation = explain_question(&question);
    let policies = principal
        .policies
        .iter()
        .chain(&principal.boundary)
        .chain(principal.session.iter().flatten())
        .map(|attached: &Attached| &*attached.policy)
        .chain(resource_policy);
    let mut missing: Vec<String> =
        policies.flat_map(Policy::context_keys).filter(|key| !question.has_key(key)).collect();
    missing.sort_unstable_by_key(|key| key.to_ascii_lowercase());
    missing.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    Simulated { explanation, missing_context: missing }
}
