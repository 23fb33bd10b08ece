//! Whether a policy lets in the public, as S3's Block Public Access counts it: "The meaning of
//! public" in the user guide.
//!
//! A policy is public unless every statement that allows names fixed principals, or is for
//! everyone under a condition that holds fixed values of one of a few keys.

use super::who::{Named, Who};
use super::{Effect, Statement};
use crate::condition::{Condition, Quantifier, Test};
use crate::policy::arn::ArnPattern;
use crate::policy::pattern::Pattern;

/// Keys that tie a statement to someone, if their values are fixed.
const TYING_KEYS: &[&str] = &[
    "aws:SourceArn",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:SourceOwner",
    "aws:SourceAccount",
    "aws:userid",
    "aws:PrincipalOrgID",
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:DataAccessPointArn",
    "s3:DataAccessPointAccount",
];

pub(super) fn is_public(statements: &[Statement]) -> bool {
    statements.iter().any(|statement| {
        let everyone = match &statement.who {
            Who::Bearer => false,
            Who::These(named) => named.contains(&Named::Everyone),
            Who::AllBut(_) => true,
        };
        statement.effect == Effect::Allow && everyone && !statement.conditions.iter().any(ties)
    })
}

/// Whether a condition ties its statement to someone.
fn ties(condition: &Condition) -> bool {
    if condition.negated || condition.if_exists || condition.quantifier == Quantifier::ForAll {
        return false;
    }
    let key = condition.key.as_str();
    if key.eq_ignore_ascii_case("aws:SourceIp") {
        return match &condition.test {
            Test::Addresses(ranges) => !ranges.iter().any(|range| range.is_wide()),
            _ => false,
        };
    }
    if !TYING_KEYS.iter().any(|known| key.eq_ignore_ascii_case(known)) {
        return false;
    }
    // What nobody in particular has in such a key.
    let is_nobodys = |value: &Pattern| value.prefix().eq_ignore_ascii_case(b"anonymous");
    match &condition.test {
        Test::Strings { values, .. } => values.iter().all(|v| v.is_fixed() && !is_nobodys(v)),
        Test::Arns(values) => values.iter().all(ArnPattern::is_fixed),
        _ => false,
    }
}
