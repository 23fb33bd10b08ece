//! Whether a question about anything in a bucket could be answered with yes at all.

use crate::ask::{Ask, Question};
use crate::authorize::question;
use crate::policy::{Effect, Policy, Reach, Statement};
use crate::principal::{Attached, Principal};
use crate::resource::{ARN_PREFIX, Resource};

/// Whether `principal` could be allowed the action of `ask` on anything in its bucket, whatever the
/// key and whatever conditions say. No is certain: [`authorize`](crate::authorize()) says no for
/// every key. It is cheap, for what is held or read before keys are known.
pub fn may_reach(principal: &Principal, ask: &Ask<'_>) -> bool {
    let bucket = ask.resource.bucket_name();
    let within = Resource::addressed(Some(bucket), Some("-"));
    let arn = within.arn();
    let objects = Objects { prefix: format!("{ARN_PREFIX}{bucket}/"), ask };
    let q = question(principal, ask, &arn);
    let own =
        !principal.account.is_empty() && ask.owner.is_none_or(|owner| owner == principal.account);
    let policy = ask.resource_policy.filter(|_| own || !ask.restrict_public);
    let identity: &[Attached] = if principal.is_root() { &[] } else { &principal.policies };
    let attached = identity
        .iter()
        .chain(&principal.boundary)
        .chain(principal.session.iter().flatten())
        .map(|attached| &*attached.policy);
    if attached.flat_map(Policy::statements).any(|s| objects.are_all_denied(s))
        || policy.is_some_and(|policy| objects.are_all_denied_to(&q, policy))
    {
        return false;
    }
    let reach = policy.and_then(|policy| objects.reach(&q, policy));
    if !own && reach.is_none() {
        return false;
    }
    // As `decide` combines them: whom the resource names exactly, or who has no account, needs
    // nothing else.
    if principal.account.is_empty() || (own && reach == Some(Reach::Exact)) {
        return reach.is_some();
    }
    let by_resource = own && reach >= Some(Reach::Everyone);
    (by_resource || principal.is_root() || objects.some_allowed_by(identity))
        && principal.boundary.as_slice().iter().all(|b| objects.are_allowed_by(&b.policy))
        && principal.session.as_deref().is_none_or(|session| objects.some_allowed_by(session))
}

/// The objects of a bucket, under one question.
struct Objects<'a> {
    /// How their ARNs begin.
    prefix: String,
    ask: &'a Ask<'a>,
}

impl Objects<'_> {
    fn some_allowed_by(&self, policies: &[Attached]) -> bool {
        policies.iter().any(|attached| self.are_allowed_by(&attached.policy))
    }

    /// Whether a statement could allow it on one of them.
    fn are_allowed_by(&self, policy: &Policy) -> bool {
        policy.statements().iter().any(|statement| self.may_allow(statement))
    }

    fn may_allow(&self, statement: &Statement) -> bool {
        statement.effect() == Effect::Allow
            && statement.is_about(self.ask.action)
            && statement.may_match_below(self.prefix.as_bytes())
    }

    /// How closely the resource's policy names the caller where it could allow it.
    fn reach(&self, q: &Question<'_>, policy: &Policy) -> Option<Reach> {
        let statements = policy.statements().iter().filter(|statement| self.may_allow(statement));
        statements.filter_map(|statement| statement.reach(q)).max()
    }

    /// Whether a statement denies it on all of them, under all conditions.
    fn are_all_denied(&self, statement: &Statement) -> bool {
        statement.effect() == Effect::Deny
            && statement.is_about(self.ask.action)
            && statement.matches_all_below(&self.prefix)
    }

    fn are_all_denied_to(&self, q: &Question<'_>, policy: &Policy) -> bool {
        let denies = |s: &Statement| self.are_all_denied(s) && s.reach(q).is_some();
        policy.statements().iter().any(denies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;
    use crate::policy::Kind;

    const ACCOUNT: &str = "111122223333";

    fn policy(kind: Kind, statement: &str) -> Policy {
        let json = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        Policy::parse(&json, kind).unwrap()
    }

    fn ada(statements: &[&str]) -> Principal {
        let mut ada = Principal::user(ACCOUNT, "c", "ada", "AIDAADA");
        ada.policies =
            statements.iter().map(|s| Attached::new("p", policy(Kind::Identity, s))).collect();
        ada
    }

    fn may(principal: &Principal, owner: &str, resource_policy: Option<&Policy>) -> bool {
        let bucket = Resource::bucket("docs");
        let ask = Ask::new(Action::DeleteObject, &bucket);
        may_reach(principal, &Ask { owner: Some(owner), resource_policy, ..ask })
    }

    fn statement(effect: &str, action: &str, resource: &str, more: &str) -> String {
        format!(r#"{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"{more}}}"#)
    }

    #[test]
    fn who_has_nothing_there_may_reach_nothing() {
        let one = |action: &str, resource: &str| {
            may(&ada(&[&statement("Allow", action, resource, "")]), ACCOUNT, None)
        };
        assert!(!may(&ada(&[]), ACCOUNT, None));
        assert!(one("s3:*", "*") && one("s3:Delete*", "arn:aws:s3:::*"));
        assert!(one("s3:DeleteObject", "arn:aws:s3:::docs/a/*"));
        assert!(one("s3:DeleteObject", "arn:aws:s3:::d*/${aws:username}"));
        assert!(one("s3:DeleteObject", "arn:aws:s3:::docs/one"));
        assert!(!one("s3:GetObject", "*"), "another action");
        assert!(!one("s3:DeleteObject", "arn:aws:s3:::docs-2/*"), "another bucket");
        assert!(!one("s3:DeleteObject", "arn:aws:s3:::docs"), "the bucket itself");
        assert!(may(&Principal::root(ACCOUNT, "c"), ACCOUNT, None));
        assert!(!may(&Principal::root("999999999999", "d"), ACCOUNT, None));
    }

    #[test]
    fn what_is_denied_whole_is_not_reached_and_what_is_denied_in_part_is() {
        let allow = statement("Allow", "s3:*", "*", "");
        let with = |deny: &str| may(&ada(&[&allow, deny]), ACCOUNT, None);
        assert!(!with(&statement("Deny", "s3:*", "arn:aws:s3:::docs/*", "")));
        assert!(!with(&statement("Deny", "s3:DeleteObject", "*", "")));
        assert!(with(&statement("Deny", "s3:*", "arn:aws:s3:::docs/a*", "")));
        assert!(with(&statement("Deny", "s3:*", "arn:aws:s3:::other/*", "")));
        let condition = r#","Condition":{"Bool":{"aws:SecureTransport":"false"}}"#;
        assert!(with(&statement("Deny", "s3:*", "*", condition)));
    }

    #[test]
    fn the_policy_of_the_bucket_counts_as_it_does_for_an_object() {
        let bucket = |principal: &str| {
            let more = format!(r#","Principal":{principal}"#);
            policy(Kind::Resource, &statement("Allow", "s3:*", "arn:aws:s3:::docs/*", &more))
        };
        let everyone = bucket(r#""*""#);
        assert!(may(&ada(&[]), ACCOUNT, Some(&everyone)));
        let eve = bucket(r#"{"AWS":"arn:aws:iam::111122223333:user/eve"}"#);
        assert!(!may(&ada(&[]), ACCOUNT, Some(&eve)), "somebody else is named");
        let own = bucket(r#"{"AWS":"arn:aws:iam::111122223333:user/ada"}"#);
        assert!(may(&ada(&[]), ACCOUNT, Some(&own)));
        let mut bound = ada(&[]);
        bound.session = Some(Vec::new());
        assert!(!may(&bound, ACCOUNT, Some(&everyone)), "a session without policies");
        assert!(!may(&ada(&[]), "999999999999", Some(&everyone)), "its own account is silent");
        assert!(may(&Principal::anonymous(), ACCOUNT, Some(&everyone)));
        assert!(!may(&Principal::anonymous(), ACCOUNT, None));
    }
}
