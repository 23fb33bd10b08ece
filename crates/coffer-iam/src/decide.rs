//! The decision: an explicit deny anywhere, else what must allow allows, else no.

use crate::action::Action;
use crate::ask::Question;
use crate::policy::{Effect, Policy, Reach};
use crate::principal::{Attached, PrincipalKind};

/// A kind of policy that takes part in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The principal's own policies and those of its groups.
    Identity,
    /// The principal's permissions boundary.
    Boundary,
    /// The policies of the principal's session.
    Session,
    /// The resource's policy: a bucket's, or the trust policy of a role.
    Resource,
}

impl Layer {
    /// As AWS's messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Identity => "identity-based policy",
            Layer::Boundary => "permissions boundary",
            Layer::Session => "session policy",
            Layer::Resource => "resource-based policy",
        }
    }
}

/// A statement that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) layer: Layer,
    /// Which policy of the layer, from 0.
    pub(crate) policy: usize,
    /// Which statement of it, from 0.
    pub(crate) statement: usize,
    pub(crate) effect: Effect,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Yes, by what this layer says: by this statement, unless the account itself asks.
    Allowed(Layer, Option<Found>),
    /// A statement denies it.
    Denied(Found),
    /// This layer would have had to allow it.
    NotAllowed(Layer),
}

/// What a layer says, its denies aside.
#[derive(Clone, Copy, Debug, Default)]
struct Says {
    allows: bool,
    /// The statement that does: the first, of a resource's policy the first that names the
    /// principal most closely.
    by: Option<Found>,
    /// For a resource's policy: how closely it names the principal.
    reach: Option<Reach>,
}

/// Goes through all policies that take part, tells `note` of each statement that applies, and
/// decides. `note` says whether to go on after a deny, for who wants to know all of them.
pub(crate) fn decide(q: &Question<'_>, mut note: impl FnMut(Found) -> bool) -> Answer {
    let p = q.principal;
    let mut denied: Option<Found> = None;
    let mut look = |layer: Layer, index: usize, policy: &Policy, says: &mut Says| -> bool {
        for (statement, rule) in policy.statements().iter().enumerate() {
            let reach = match layer {
                Layer::Resource => match rule.reach(q) {
                    Some(reach) => Some(reach),
                    None => continue,
                },
                _ => None,
            };
            if !rule.applies(q) {
                continue;
            }
            if layer == Layer::Resource && rule.effect() == Effect::Deny && keeps_policy(q) {
                continue;
            }
            let found = Found { layer, policy: index, statement, effect: rule.effect() };
            let more = note(found);
            match rule.effect() {
                Effect::Deny => {
                    denied = denied.or(Some(found));
                    if !more {
                        return false;
                    }
                }
                Effect::Allow => {
                    says.allows = true;
                    if says.by.is_none() || reach > says.reach {
                        says.by = Some(found);
                        says.reach = reach;
                    }
                }
            }
        }
        true
    };
    let (mut identity, mut boundary, mut session) =
        (Says::default(), Says::default(), Says::default());
    let mut resource = Says::default();
    let root = p.kind == PrincipalKind::Root;
    let mut look_at = |layer: Layer, policies: &[Attached], says: &mut Says| {
        policies.iter().enumerate().all(|(i, attached)| look(layer, i, &attached.policy, says))
    };
    // The account itself has no policies of its own.
    let whole = (root || look_at(Layer::Identity, &p.policies, &mut identity))
        && look_at(Layer::Boundary, p.boundary.as_slice(), &mut boundary)
        && look_at(Layer::Session, p.session.as_deref().unwrap_or(&[]), &mut session)
        && q.resource_policy.is_none_or(|policy| look(Layer::Resource, 0, policy, &mut resource));
    if let Some(found) = denied {
        return Answer::Denied(found);
    }
    debug_assert!(whole, "only a deny ends the walk");
    identity.allows |= root;
    boundary.allows |= p.boundary.is_none();
    session.allows |= p.session.is_none();
    combine(q, identity, boundary, session, resource)
}

/// The root of an account always reaches the policies of its own buckets, so that a policy which
/// denies everything to everyone can be taken back.
fn keeps_policy(q: &Question<'_>) -> bool {
    let own = q.owner.is_none_or(|owner| owner == q.principal.account);
    let policy = matches!(
        q.known,
        Some(Action::GetBucketPolicy | Action::PutBucketPolicy | Action::DeleteBucketPolicy)
    );
    q.principal.is_root() && own && policy
}

/// Whether the resource is of the caller's account.
fn is_own(q: &Question<'_>) -> bool {
    let account = &q.principal.account;
    !account.is_empty() && q.owner.is_none_or(|owner| owner == account)
}

/// Whether RestrictPublicBuckets keeps the resource's policy from the caller.
pub(crate) fn is_restricted(q: &Question<'_>) -> bool {
    q.restrict_public && !is_own(q)
}

/// "Determining whether a request is allowed or denied within an account" and "Cross-account
/// policy evaluation logic" of AWS's user guide; and its table of resource policies and implicit
/// denies in other policies.
fn combine(
    q: &Question<'_>,
    identity: Says,
    boundary: Says,
    session: Says,
    resource: Says,
) -> Answer {
    let p = q.principal;
    let no_account = p.account.is_empty();
    let own = is_own(q);
    let resource = if is_restricted(q) { Says::default() } else { resource };
    let needs_trust = q.known.is_some_and(Action::needs_trust);
    if (needs_trust || !own) && !resource.allows {
        return Answer::NotAllowed(Layer::Resource);
    }
    if no_account {
        return Answer::Allowed(Layer::Resource, resource.by);
    }
    // Whoever is named by the very ARN of its requests is granted it, whatever else is silent.
    if own && resource.reach == Some(Reach::Exact) {
        return Answer::Allowed(Layer::Resource, resource.by);
    }
    let by_resource = own && resource.reach >= Some(Reach::Everyone);
    if !by_resource && !identity.allows {
        return Answer::NotAllowed(Layer::Identity);
    }
    if !boundary.allows {
        return Answer::NotAllowed(Layer::Boundary);
    }
    if !session.allows {
        return Answer::NotAllowed(Layer::Session);
    }
    match identity.allows {
        true => Answer::Allowed(Layer::Identity, identity.by),
        false => Answer::Allowed(Layer::Resource, resource.by),
    }
}
