//! What S3 asks of the policy of a bucket, beyond the grammar.

use super::{Resources, Statement};
use crate::action::{Action, Scope};
use crate::resource::ARN_PREFIX;
use crate::wildcard::Glob;

/// Condition keys of S3 that the policy of a general purpose bucket may ask about. Not among them are
/// those that requests have in S3 and not here: a policy that relied on one would not hold.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>
pub const S3_KEYS: &[&str] = &[
    "s3:AccessGrantsInstanceArn",
    "s3:AccessPointNetworkOrigin",
    "s3:authType",
    "s3:BucketTag/",
    "s3:BypassGovernanceRetention",
    "s3:DataAccessPointAccount",
    "s3:DataAccessPointArn",
    "s3:delimiter",
    "s3:DestinationRegion",
    "s3:ExistingObjectTag/",
    "s3:if-match",
    "s3:if-none-match",
    "s3:InventoryAccessibleOptionalFields",
    "s3:JobSuspendedCause",
    "s3:locationconstraint",
    "s3:max-keys",
    "s3:object-lock-legal-hold",
    "s3:object-lock-mode",
    "s3:object-lock-remaining-retention-days",
    "s3:object-lock-retain-until-date",
    "s3:ObjectCreationOperation",
    "s3:prefix",
    "s3:RequestObjectTag/",
    "s3:RequestObjectTagKeys",
    "s3:ResourceAccount",
    "s3:signatureAge",
    "s3:signatureversion",
    "s3:TlsVersion",
    "s3:versionid",
    "s3:x-amz-acl",
    "s3:x-amz-content-sha256",
    "s3:x-amz-copy-source",
    "s3:x-amz-grant-full-control",
    "s3:x-amz-grant-read",
    "s3:x-amz-grant-read-acp",
    "s3:x-amz-grant-write",
    "s3:x-amz-grant-write-acp",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-object-ownership",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm",
    "s3:x-amz-storage-class",
    "s3:x-amz-website-redirect-location",
];

/// Refuses statements that S3 refuses in the policy of `bucket`.
pub(super) fn check(statements: &[Statement], bucket: &str) -> Result<(), String> {
    statements.iter().enumerate().try_for_each(|(i, statement)| {
        check_one(statement, bucket).map_err(|why| format!("{why} (statement {})", i + 1))
    })
}

fn check_one(statement: &Statement, bucket: &str) -> Result<(), String> {
    let mut scopes = Vec::new();
    for pattern in &statement.resources_written {
        scopes.extend(scope_within(pattern, bucket).ok_or("Policy has invalid resource")?);
    }
    for pattern in statement.actions.written() {
        let glob = Glob::pattern(&pattern.to_ascii_lowercase());
        let matched: Vec<Action> = Action::ALL
            .iter()
            .copied()
            .filter(|action| matches!(action.service(), "s3" | "coffer"))
            .filter(|action| glob.matches(&action.name().to_ascii_lowercase()))
            .collect();
        let of_bucket = matched.iter().any(|a| matches!(a.scope(), Scope::Bucket | Scope::Object));
        if !of_bucket {
            return Err("Policy has invalid action".to_owned());
        }
        let told =
            !statement.actions.is_negated() && matches!(statement.resources, Resources::These(_));
        if told && !matched.iter().any(|action| scopes.contains(&action.scope())) {
            return Err("Action does not apply to any resource(s) in statement".to_owned());
        }
    }
    for key in statement.conditions.iter().map(|c| c.key.as_str()) {
        let known = |known: &&str| match known.strip_suffix('/') {
            Some(_) => key.get(..known.len()).is_some_and(|k| k.eq_ignore_ascii_case(known)),
            None => key.eq_ignore_ascii_case(known),
        };
        let global = key.get(..4).is_some_and(|service| service.eq_ignore_ascii_case("aws:"));
        if !global && !S3_KEYS.iter().any(known) {
            return Err("Policy has an invalid condition key".to_owned());
        }
    }
    Ok(())
}

/// What kinds of resources within `bucket` a pattern can match; `None` if it is not within it.
fn scope_within(pattern: &str, bucket: &str) -> Option<Vec<Scope>> {
    let rest = pattern.strip_prefix(ARN_PREFIX)?.strip_prefix(bucket)?;
    match rest.as_bytes() {
        [] => Some(vec![Scope::Bucket]),
        [b'/', ..] => Some(vec![Scope::Object]),
        // `bucket*` reaches the bucket and its keys, but its name must end there.
        b"*" => Some(vec![Scope::Bucket, Scope::Object]),
        _ => None,
    }
}
