//! Temporary credentials for those who are known: sessions of roles, and of users themselves.

use coffer_iam::{Action, Ask, Grant, Policy, Principal, PrincipalKind, Resource, Scope};
use coffer_identity::{AssumeRole, Issued, Role};

use super::Done;
use crate::call::{Call, Extra, key, request_tags, resource_tags};
use crate::document::Document;
use crate::error::{Code, QueryError};
use crate::form::invalid;

/// AWS's bounds of a duration.
const DURATION_SECS: (u32, u32) = (900, 43_200);
/// AWS's bounds of the length of an external id.
const EXTERNAL_ID_CHARS: std::ops::RangeInclusive<usize> = 2..=1224;
/// The key under which a session keeps who is behind it.
const SOURCE_IDENTITY: &str = "aws:SourceIdentity";

pub(super) fn role(call: &Call<'_>, xml: &mut Document) -> Done {
    let p = &call.parameters;
    let role_arn = p.need("RoleArn")?;
    let session_name = p.need("RoleSessionName")?.to_owned();
    p.refuse(&["SerialNumber", "TokenCode", "TransitiveTagKeys", "ProvidedContexts"])?;
    let (tags, source) = (p.tags("Tags")?, source_identity(call)?);
    let wanted = wanted(call, session_name.clone())?;
    let mut keys = vec![key("sts:RoleSessionName", &session_name)];
    if let Some(external_id) = p.get("ExternalId") {
        if !EXTERNAL_ID_CHARS.contains(&external_id.len()) {
            let what = "Member must have length between 2 and 1224";
            return Err(invalid("ExternalId", what));
        }
        keys.push(key("sts:ExternalId", external_id));
    }
    if let Some(source) = &source {
        keys.push(key("sts:SourceIdentity", source));
    }
    keys.extend(request_tags(&tags));
    if call.caller.is_root() {
        return Err(QueryError::new(
            Code::AccessDenied,
            "Roles may not be assumed by root accounts.",
        ));
    }
    let asking = Asking { principal: &call.caller, action: Action::AssumeRole, keys };
    let (role, trust) =
        call.identity.role_by_arn(role_arn)?.ok_or_else(|| asking.refused(role_arn))?;
    let grant = asking.grant(call, &role, &trust)?;
    if !tags.is_empty() {
        Asking { action: Action::TagSession, ..asking.clone() }.grant(call, &role, &trust)?;
    }
    if source.is_some() {
        Asking { action: Action::SetSourceIdentity, ..asking }.grant(call, &role, &trust)?;
    }
    let request = AssumeRole {
        tags,
        context: source.iter().map(|s| (SOURCE_IDENTITY.to_owned(), s.clone())).collect(),
        chained: matches!(call.caller.kind, PrincipalKind::Role { .. }),
        ..wanted
    };
    let issued = call.identity.assume_role(&grant, request)?;
    session(xml, &issued);
    xml.optional("SourceIdentity", source.as_deref());
    Ok(())
}

/// Who is behind the session: what the caller's own session says, or what the request says.
fn source_identity(call: &Call<'_>) -> Result<Option<String>, QueryError> {
    let own = call.caller.context.get(SOURCE_IDENTITY).and_then(|values| values.first());
    match (own, call.parameters.get("SourceIdentity")) {
        (Some(own), Some(asked)) if own != asked => Err(QueryError::new(
            Code::AccessDenied,
            "The source identity of a session can't be changed.",
        )),
        (Some(own), _) => Ok(Some(own.clone())),
        (None, Some(asked)) => {
            let fits = (2..=64).contains(&asked.len())
                && asked.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
            if fits {
                return Ok(Some(asked.to_owned()));
            }
            let what = "Member must satisfy regular expression pattern: [\\w+=,.@-]{2,64}";
            Err(invalid("SourceIdentity", what))
        }
        (None, None) => Ok(None),
    }
}

/// Somebody who asks for a role.
#[derive(Clone)]
pub(super) struct Asking<'a> {
    /// Who.
    pub(super) principal: &'a Principal,
    /// To do what with it.
    pub(super) action: Action,
    /// What its trust policy may ask about.
    pub(super) keys: Extra,
}

impl Asking<'_> {
    /// Asks iam, with the role's trust policy.
    pub(super) fn grant(
        &self,
        call: &Call<'_>,
        role: &Role,
        trust: &Policy,
    ) -> Result<Grant, QueryError> {
        let mut context = call.context.clone();
        for (key, values) in resource_tags(&role.tags).into_iter().chain(self.keys.clone()) {
            context.set_all(key, values);
        }
        let resource = Resource::iam(Scope::Role, role.arn.clone());
        let owner = role.account.to_string();
        let ask = Ask {
            owner: Some(&owner),
            resource_policy: Some(trust),
            ..Ask::new(self.action, &resource).with_context(&context)
        };
        coffer_iam::authorize(self.principal, &ask)
            .map_err(|denied| self.refused(&role.arn).caused_by(denied))
    }

    /// The same whether there is no such role, or it does not trust the caller.
    pub(super) fn refused(&self, role_arn: &str) -> QueryError {
        let action = self.action;
        QueryError::new(
            Code::AccessDenied,
            match self.principal.kind {
                PrincipalKind::WebIdentity { .. } => {
                    format!("Not authorized to perform {action}")
                }
                _ => format!(
                    "User: {} is not authorized to perform: {action} on resource: {role_arn}",
                    self.principal
                ),
            },
        )
    }
}

/// What the request wants of the session.
pub(super) fn wanted(call: &Call<'_>, session_name: String) -> Result<AssumeRole, QueryError> {
    let (min, max) = DURATION_SECS;
    let p = &call.parameters;
    let arns = p.structures("PolicyArns")?.unwrap_or_default();
    let arn = |entry: &crate::form::Parameters| entry.need("arn").map(str::to_owned);
    Ok(AssumeRole {
        session_name,
        duration_secs: p.number("DurationSeconds", min, max)?,
        policy: p.get("Policy").filter(|text| !text.is_empty()).map(str::to_owned),
        policy_arns: arns.iter().map(arn).collect::<Result<_, _>>()?,
        ..AssumeRole::default()
    })
}

/// A session of a role.
pub(super) fn session(xml: &mut Document, issued: &Issued) {
    credentials(xml, issued);
    xml.within("AssumedRoleUser", |xml| {
        xml.text("AssumedRoleId", &issued.id).text("Arn", &issued.arn);
    });
    xml.plain("PackedPolicySize", issued.packed_percent);
}

fn credentials(xml: &mut Document, issued: &Issued) {
    xml.within("Credentials", |xml| {
        xml.text("AccessKeyId", &issued.access_key)
            .text("SecretAccessKey", &issued.secret)
            .text("SessionToken", &issued.token)
            .moment("Expiration", issued.expires);
    });
}

/// Needs no permission: a session can do what its user can, and no more.
pub(super) fn session_token(call: &Call<'_>, xml: &mut Document) -> Done {
    let p = &call.parameters;
    p.refuse(&["SerialNumber", "TokenCode"])?;
    let duration = p.number("DurationSeconds", 900, 129_600)?;
    if call.is_temporary {
        return Err(QueryError::new(
            Code::AccessDenied,
            "Cannot call GetSessionToken with session credentials",
        ));
    }
    let issued = call.identity.session_token(&call.access_key, duration)?;
    credentials(xml, &issued);
    Ok(())
}
