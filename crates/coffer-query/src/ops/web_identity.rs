//! Temporary credentials for the bearer of a token of an identity provider.

use coffer_iam::{Action, Context, Principal};
use coffer_identity::{AssumeRole, Kind, parse_arn};

use super::Done;
use super::assume::{Asking, session, wanted};
use crate::call::{Call, key};
use crate::document::Document;
use crate::error::{Code, QueryError};
use crate::oidc::token::Token;

pub(super) async fn assume(call: &Call<'_>, xml: &mut Document) -> Done {
    let p = &call.parameters;
    let role_arn = p.need("RoleArn")?;
    let session_name = p.need("RoleSessionName")?.to_owned();
    let token = p.need("WebIdentityToken")?;
    p.refuse(&["ProviderId"])?;
    let wanted = wanted(call, session_name.clone())?;
    let Some((Some(account), Kind::Role, _, _)) = parse_arn(role_arn) else {
        return Err(QueryError::new(
            Code::ValidationError,
            format!("{role_arn} is not the ARN of a role."),
        ));
    };
    let token = Token::parse(token)?;
    let name = token.provider()?;
    let unknown = || {
        QueryError::new(
            Code::InvalidIdentityToken,
            format!("No OpenIDConnect provider found in your account for {}", token.issuer),
        )
    };
    let provider = call.identity.provider_of_issuer(account, &token.issuer)?;
    let provider = provider.filter(|provider| provider.url == name).ok_or_else(unknown)?;
    token.check_time(call.now)?;
    token.check_audience(&provider.client_ids)?;

    // Whether the role would be given, if the issuer signed the token: for one that is not, nothing
    // is fetched. Nothing of the token is believed before its signature is.
    let mut claims: Vec<(String, String)> =
        vec![("aws:FederatedProvider".to_owned(), provider.arn.clone())];
    let claim = |name: &str| format!("{}:{name}", provider.url);
    claims.push((claim("sub"), token.subject.clone()));
    let mut context = Context::new();
    for (key, value) in &claims {
        context.set(key.clone(), value.clone());
    }
    context.set_all(claim("aud"), token.audience.clone());
    if let [audience] = &token.audience[..] {
        claims.push((claim("aud"), audience.clone()));
    }
    if let Some(original) = &token.original_audience {
        context.set_all(claim("oaud"), original.clone());
    }
    if !token.methods.is_empty() {
        context.set_all(claim("amr"), token.methods.clone());
    }
    let bearer = Principal::web_identity(provider.arn.clone(), context);
    let asking = Asking {
        principal: &bearer,
        action: Action::AssumeRoleWithWebIdentity,
        keys: vec![key("sts:RoleSessionName", &session_name)],
    };
    let role = call.identity.role_by_arn(role_arn)?;
    let granted = role
        .ok_or_else(|| asking.refused(role_arn))
        .and_then(|(role, trust)| asking.grant(call, &role, &trust));
    let is_forged = || call.issuers.signed_by_kept(&token, &provider.thumbprints) == Some(false);
    if granted.is_ok() || is_forged() {
        call.issuers.check_signature(&token, &provider.thumbprints).await?;
    }
    let grant = granted?;
    let request = AssumeRole { context: claims, ..wanted };
    let issued = call.identity.assume_role(&grant, request)?;
    session(xml, &issued);
    xml.text("SubjectFromWebIdentityToken", &token.subject)
        .text("Provider", &token.issuer)
        .text("Audience", &token.audience.join(" "));
    Ok(())
}
