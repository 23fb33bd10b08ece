//! The condition keys that follow from the principal and from the question itself.

use std::borrow::Cow;

use crate::ask::Question;
use crate::principal::PrincipalKind;

/// What tags of the principal are asked for with.
const PRINCIPAL_TAG: &str = "aws:PrincipalTag/";

/// Values of a condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Values<'a> {
    /// One that the evaluator knows.
    One(Cow<'a, str>),
    /// Those of a context.
    Many(&'a [String]),
}

impl Values<'_> {
    /// All of them in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self {
            Values::One(one) => (Some(one.as_ref()), &[][..]),
            Values::Many(many) => (None, *many),
        };
        one.into_iter().chain(many.iter().map(String::as_str))
    }
}

impl<'a> Question<'a> {
    /// Whether the key has a value here.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.values(key).is_some()
    }

    /// The values of a key. What the principal's identity says comes before what the credential
    /// says, and that before what the request says.
    pub(crate) fn values(&self, key: &str) -> Option<Values<'a>> {
        match self.of_principal(key) {
            Known::Value(value) => return Some(Values::One(value)),
            Known::Absent => return None,
            Known::NotMine => {}
        }
        let of_request = || self.context.context().get(key);
        let context = self.principal.context.get(key).or_else(of_request)?;
        Some(Values::Many(context))
    }

    fn of_principal(&self, key: &str) -> Known<'a> {
        let p = self.principal;
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        let anonymous = matches!(p.kind, PrincipalKind::Anonymous);
        if is("aws:username") {
            return match &p.kind {
                PrincipalKind::User { name, .. } => Known::Value(Cow::Borrowed(name)),
                _ => Known::Absent,
            };
        }
        if is("aws:userid") {
            return Known::Value(Cow::Borrowed(&p.id));
        }
        if is("aws:PrincipalArn") {
            return match p.kind {
                PrincipalKind::Anonymous | PrincipalKind::WebIdentity { .. } => Known::Absent,
                _ => Known::Value(Cow::Owned(p.role_arn().unwrap_or_else(|| p.arn()))),
            };
        }
        if is("aws:PrincipalAccount") {
            return match p.kind {
                PrincipalKind::WebIdentity { .. } => Known::Absent,
                _ if anonymous => Known::Value(Cow::Borrowed("anonymous")),
                _ => Known::Value(Cow::Borrowed(&p.account)),
            };
        }
        if is("aws:PrincipalType") {
            return Known::Value(Cow::Borrowed(match p.kind {
                PrincipalKind::Root => "Account",
                PrincipalKind::User { .. } => "User",
                PrincipalKind::Role { .. } => "AssumedRole",
                PrincipalKind::WebIdentity { .. } => "FederatedUser",
                PrincipalKind::Anonymous => "Anonymous",
            }));
        }
        if is("aws:PrincipalIsAWSService") || is("aws:ViaAWSService") {
            return Known::Value(Cow::Borrowed("false"));
        }
        if is("aws:ResourceAccount") || (is("s3:ResourceAccount") && self.is_s3()) {
            let owner = self.owner.unwrap_or(&p.account);
            return if owner.is_empty() {
                Known::Absent
            } else {
                Known::Value(Cow::Borrowed(owner))
            };
        }
        if let Some((head, tag)) = key.split_at_checked(PRINCIPAL_TAG.len())
            && head.eq_ignore_ascii_case(PRINCIPAL_TAG)
        {
            let found = p.tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(tag));
            return match found {
                Some((_, value)) => Known::Value(Cow::Borrowed(value)),
                None => Known::Absent,
            };
        }
        Known::NotMine
    }

    fn is_s3(&self) -> bool {
        self.action.get(..3).is_some_and(|service| service.eq_ignore_ascii_case("s3:"))
    }
}

enum Known<'a> {
    Value(Cow<'a, str>),
    /// The key is about the principal, and this one doesn't have it.
    Absent,
    NotMine,
}
