//! Why the answer is what it is: each kind of policy's verdict, and the statement that decided.

use std::fmt;
use std::sync::Arc;

use crate::ask::{Ask, Question};
use crate::authorize::question;
use crate::decide::{Answer, Found, Layer, decide, is_restricted};
use crate::policy::{Effect, Policy};
use crate::principal::Principal;

/// Which statement of which policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRef {
    /// The kind of policy.
    pub layer: Layer,
    /// The policy's name.
    pub policy: Arc<str>,
    /// The statement in it, counted from 1.
    pub statement: usize,
    /// The statement's Sid.
    pub sid: Option<String>,
    /// What it does.
    pub effect: Effect,
}

impl fmt::Display for StatementRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement {}", self.statement)?;
        if let Some(sid) = &self.sid {
            write!(f, " {sid:?}")?;
        }
        write!(f, " of {} {:?}", self.layer.name(), &*self.policy)
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// A statement denies it.
    ExplicitDeny,
    /// Nothing that must allow it does.
    ImplicitDeny,
}

impl Decision {
    /// As `EvalDecision` of AWS's policy simulator.
    pub fn name(self) -> &'static str {
        match self {
            Decision::Allowed => "allowed",
            Decision::ExplicitDeny => "explicitDeny",
            Decision::ImplicitDeny => "implicitDeny",
        }
    }
}

/// What one kind of policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The kind of policy.
    pub layer: Layer,
    /// Whether there is a policy of this kind at all.
    pub present: bool,
    /// What it says, for itself.
    pub decision: Decision,
    /// The statements that apply.
    pub statements: Vec<StatementRef>,
}

/// The answer with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub decision: Decision,
    /// The kind of policy that decided it: that denies, that allows, or that would have had to
    /// allow. `None`: the action does not apply to such a resource.
    pub decided_by: Option<Layer>,
    /// The statement that decided it, unless nothing applied.
    pub statement: Option<StatementRef>,
    /// Identity, boundary, session and resource policies, in this order.
    pub verdicts: Vec<Verdict>,
    /// The resource's policy is public and kept to the owner's account (RestrictPublicBuckets):
    /// what it allows does not count for this caller.
    pub restricted: bool,
}

/// As [`authorize`](crate::authorize()), with the reasons.
pub fn explain(principal: &Principal, ask: &Ask<'_>) -> Explanation {
    let arn = ask.resource.arn();
    let question = question(principal, ask, &arn);
    let mut explanation = explain_question(&question);
    if !ask.action.scope().admits(ask.resource.scope()) {
        explanation.decision = Decision::ImplicitDeny;
        explanation.decided_by = None;
        explanation.statement = None;
    }
    explanation
}

pub(crate) fn explain_question(q: &Question<'_>) -> Explanation {
    let mut all = Vec::new();
    let answer = decide(q, |found| {
        all.push(locate(q, found));
        true
    });
    let verdict = |layer: Layer, present: bool| {
        let statements: Vec<_> = all.iter().filter(|s| s.layer == layer).cloned().collect();
        let any = |effect| statements.iter().any(|s: &StatementRef| s.effect == effect);
        let decision = if any(Effect::Deny) {
            Decision::ExplicitDeny
        } else if any(Effect::Allow) {
            Decision::Allowed
        } else {
            Decision::ImplicitDeny
        };
        Verdict { layer, present, decision, statements }
    };
    let p = q.principal;
    let verdicts = vec![
        verdict(Layer::Identity, !p.policies.is_empty()),
        verdict(Layer::Boundary, p.boundary.is_some()),
        verdict(Layer::Session, p.session.is_some()),
        verdict(Layer::Resource, q.resource_policy.is_some()),
    ];
    let (decision, layer, statement) = match answer {
        Answer::Allowed(layer, by) => (Decision::Allowed, layer, by.map(|found| locate(q, found))),
        Answer::Denied(found) => (Decision::ExplicitDeny, found.layer, Some(locate(q, found))),
        Answer::NotAllowed(layer) => (Decision::ImplicitDeny, layer, None),
    };
    let restricted = is_restricted(q);
    Explanation { decision, decided_by: Some(layer), statement, verdicts, restricted }
}

/// The names of what was found.
pub(crate) fn locate(q: &Question<'_>, found: Found) -> StatementRef {
    let Found { layer, policy: index, statement, effect } = found;
    let p = q.principal;
    let attached = match layer {
        Layer::Identity => p.policies.get(index),
        Layer::Boundary => p.boundary.as_ref(),
        Layer::Session => p.session.as_ref().and_then(|session| session.get(index)),
        Layer::Resource => None,
    };
    let name = attached.map_or_else(|| Arc::from("of the resource"), |a| a.name.clone());
    let policy: Option<&Policy> = match attached {
        Some(attached) => Some(&attached.policy),
        None => q.resource_policy,
    };
    let rule = policy.and_then(|policy| policy.statements().get(statement));
    let sid = rule.and_then(|rule| rule.sid()).map(str::to_owned);
    StatementRef { layer, policy: name, statement: statement + 1, sid, effect }
}
