//! The form that names, paths, tags and documents have, and how many of everything there may be:
//! AWS's limits, with AWS's words.

use crate::error::{Error, Result};
use crate::ids::{Kind, SESSION_KEY_PREFIX};

#[cfg(test)]
mod tests;

/// Most groups of a user.
pub const GROUPS_PER_USER_MAX: usize = 10;
/// Most access keys of a user.
pub const ACCESS_KEYS_PER_USER_MAX: usize = 2;
/// Most managed policies attached to one user, group or role.
pub const ATTACHED_MAX: usize = 10;
/// Most versions of a managed policy.
pub const VERSIONS_MAX: usize = 5;
/// Most tags of one thing.
pub const TAGS_MAX: usize = 50;
/// Most characters of a managed policy, white space not counted.
pub const MANAGED_CHARS_MAX: usize = 6144;
/// Most characters of a trust policy, white space not counted.
pub const TRUST_CHARS_MAX: usize = 4096;
/// Most characters of a session policy, white space counted.
pub const SESSION_POLICY_CHARS_MAX: usize = 2048;
/// Most managed policies of a session.
pub const SESSION_POLICY_ARNS_MAX: usize = 10;
/// Most client ids of a provider.
pub const CLIENT_IDS_MAX: usize = 100;
/// Most thumbprints of a provider.
pub const THUMBPRINTS_MAX: usize = 5;

/// Most of a kind in one account.
pub fn quota(kind: Kind) -> u64 {
    match kind {
        Kind::User => 5000,
        Kind::Group => 300,
        Kind::Role => 1000,
        Kind::Policy => 1500,
        Kind::Provider => 100,
    }
}

/// The name of that quota.
pub(crate) fn quota_name(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "UsersPerAccount",
        Kind::Group => "GroupsPerAccount",
        Kind::Role => "RolesPerAccount",
        Kind::Policy => "PoliciesPerAccount",
        Kind::Provider => "OpenIdConnectProvidersPerAccount",
    }
}

/// Most characters of all inline policies together, white space not counted.
pub fn inline_chars_max(kind: Kind) -> usize {
    match kind {
        Kind::User => 2048,
        Kind::Group => 5120,
        Kind::Role => 10_240,
        Kind::Policy | Kind::Provider => 0,
    }
}

/// A value of the wrong form, as AWS says it.
pub(crate) fn invalid(field: &str, constraint: &str) -> Error {
    Error::Validation(format!(
        "1 validation error detected: Value at '{field}' failed to satisfy constraint: {constraint}"
    ))
}

pub(crate) fn exceeded(quota: &str, max: usize) -> Error {
    Error::LimitExceeded(format!("Cannot exceed quota for {quota}: {max}"))
}

/// The characters of names.
fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)
}

fn check_word(field: &str, text: &str, lengths: std::ops::RangeInclusive<usize>) -> Result<()> {
    let (least, most) = (lengths.start(), lengths.end());
    if text.len() < *least {
        let what = format!("Member must have length greater than or equal to {least}");
        return Err(invalid(field, &what));
    }
    if text.len() > *most {
        let what = format!("Member must have length less than or equal to {most}");
        return Err(invalid(field, &what));
    }
    if !text.bytes().all(is_name_byte) {
        let what = "Member must satisfy regular expression pattern: [\\w+=,.@-]+";
        return Err(invalid(field, what));
    }
    Ok(())
}

/// The name of an entity.
pub(crate) fn check_name(kind: Kind, name: &str) -> Result<()> {
    match kind {
        Kind::User if name.eq_ignore_ascii_case("root") => {
            Err(Error::InvalidInput("root is not an ordinary user".to_owned()))
        }
        Kind::User => check_word("userName", name, 1..=64),
        Kind::Group => check_word("groupName", name, 1..=128),
        Kind::Role => check_word("roleName", name, 1..=64),
        Kind::Policy => check_word("policyName", name, 1..=128),
        Kind::Provider => Ok(()),
    }
}

/// The name of an inline policy.
pub(crate) fn check_policy_name(name: &str) -> Result<()> {
    check_word("policyName", name, 1..=128)
}

/// The name of a session.
pub(crate) fn check_session_name(name: &str) -> Result<()> {
    check_word("roleSessionName", name, 2..=64)
}

/// A path: `/`, or visible ASCII between two slashes.
pub(crate) fn check_path(path: &str) -> Result<()> {
    if path.len() > 512 {
        return Err(invalid("path", "Member must have length less than or equal to 512"));
    }
    let visible = path.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if path == "/" || path.len() > 2 && path.starts_with('/') && path.ends_with('/') && visible {
        return Ok(());
    }
    Err(Error::Validation(
        "The specified value for path is invalid. It must begin and end with / and contain only \
         alphanumeric characters and/or / characters."
            .to_owned(),
    ))
}

pub(crate) fn check_description(description: &str) -> Result<()> {
    if description.chars().count() > 1000 {
        return Err(invalid("description", "Member must have length less than or equal to 1000"));
    }
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r') || !c.is_control();
    if description.chars().all(allowed) {
        return Ok(());
    }
    Err(invalid("description", "Member must not hold control characters"))
}

pub(crate) fn check_session_secs_max(secs: u32) -> Result<()> {
    if (3600..=43_200).contains(&secs) {
        return Ok(());
    }
    Err(invalid("maxSessionDuration", "Member must have value between 3600 and 43200, inclusive"))
}

/// Tags as a whole, once new ones are merged in.
pub(crate) fn check_tags(tags: &[(String, String)]) -> Result<()> {
    if tags.len() > TAGS_MAX {
        return Err(Error::LimitExceeded(format!(
            "The number of tags has reached the maximum limit: {TAGS_MAX}"
        )));
    }
    for (i, (key, value)) in tags.iter().enumerate() {
        let allowed = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
        if !(1..=128).contains(&key.chars().count()) || !key.chars().all(allowed) {
            return Err(invalid(
                &format!("tags.{}.member.key", i + 1),
                "Member must have length between 1 and 128 and satisfy regular expression \
                 pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+",
            ));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Error::InvalidInput(
                "The following tag prefixes are reserved: aws:".to_owned(),
            ));
        }
        if value.chars().count() > 256 || !value.chars().all(allowed) {
            return Err(invalid(
                &format!("tags.{}.member.value", i + 1),
                "Member must have length less than or equal to 256 and satisfy regular \
                 expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*",
            ));
        }
        if tags[..i].iter().any(|(other, _)| other.eq_ignore_ascii_case(key)) {
            return Err(Error::InvalidInput(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive."
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

/// Puts `new` into `tags`: what has the same key is replaced.
pub(crate) fn merge_tags(tags: &mut Vec<(String, String)>, new: &[(String, String)]) {
    for (key, value) in new {
        match tags.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
            Some(tag) => *tag = (key.clone(), value.clone()),
            None => tags.push((key.clone(), value.clone())),
        }
    }
}

/// The access key that a person chose.
pub(crate) fn check_access_key(access_key: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !is_access_key(access_key) || !access_key.bytes().all(allowed) {
        return Err(Error::InvalidInput(
            "an access key has 3 to 128 letters, digits, _ and -".to_owned(),
        ));
    }
    if access_key.starts_with(SESSION_KEY_PREFIX) {
        return Err(Error::InvalidInput(format!(
            "access keys that begin with {SESSION_KEY_PREFIX} are those of sessions"
        )));
    }
    Ok(())
}

/// Whether it may be the access key of anybody, so that it is worth looking up.
pub(crate) fn is_access_key(access_key: &str) -> bool {
    (3..=128).contains(&access_key.len())
}

/// The secret that a person chose.
pub(crate) fn check_secret(secret: &str) -> Result<()> {
    if (8..=128).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::InvalidInput("a secret has 8 to 128 printable ASCII characters".to_owned()))
}

/// Characters that count towards the limit of a document.
pub(crate) fn document_chars(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// A provider's URL without its scheme, as its ARN has it.
pub(crate) fn provider_name(url: &str) -> Result<String> {
    let wrong = || Error::InvalidInput("Invalid Open ID Connect Provider URL".to_owned());
    let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let is_fine = |b: u8| b.is_ascii_graphic() && !b"?#\\\"<>^`{|}@".contains(&b);
    let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    if host.is_empty() || !host.bytes().all(is_host) || !rest.bytes().all(is_fine) {
        return Err(wrong());
    }
    if url.len() > 255 {
        return Err(invalid("url", "Member must have length less than or equal to 255"));
    }
    Ok(rest.to_owned())
}

pub(crate) fn check_client_ids(client_ids: &[String]) -> Result<()> {
    if client_ids.len() > CLIENT_IDS_MAX {
        return Err(exceeded("ClientIdsPerOpenIdConnectProvider", CLIENT_IDS_MAX));
    }
    if client_ids.iter().any(|id| !(1..=255).contains(&id.len())) {
        return Err(invalid(
            "clientIDList",
            "Member must have length less than or equal to 255, greater than or equal to 1",
        ));
    }
    Ok(())
}

pub(crate) fn check_thumbprints(thumbprints: &[String]) -> Result<()> {
    if thumbprints.len() > THUMBPRINTS_MAX {
        return Err(Error::InvalidInput(format!(
            "Thumbprint list must contain fewer than {THUMBPRINTS_MAX} entries."
        )));
    }
    let is_hash = |t: &String| t.len() == 40 && t.bytes().all(|b| b.is_ascii_hexdigit());
    if thumbprints.iter().all(is_hash) {
        return Ok(());
    }
    Err(invalid(
        "thumbprintList",
        "Member must have length less than or equal to 40, 40 hex digits",
    ))
}
