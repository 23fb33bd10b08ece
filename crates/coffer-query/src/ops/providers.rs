//! Identity providers.

use coffer_iam::Action;
use coffer_identity::{CreateProvider, provider_arn};

use super::Done;
use crate::call::{Call, Extra, request_tags};
use crate::document::Document;

const ARN: &str = "OpenIDConnectProviderArn";

pub(super) async fn create(call: &Call<'_>, xml: &mut Document) -> Done {
    let url = call.parameters.need("Url")?.to_owned();
    let client_ids = call.parameters.list("ClientIDList")?.unwrap_or_default();
    let thumbprints = call.parameters.list("ThumbprintList")?.unwrap_or_default();
    let tags = call.parameters.tags("Tags")?;
    let arn = provider_arn(call.account()?, &url)?;
    let action = Action::CreateOpenIDConnectProvider;
    let grant = call.grant(action, &arn, request_tags(&tags))?;
    if !tags.is_empty() {
        call.grant(Action::TagOpenIDConnectProvider, &arn, request_tags(&tags))?;
    }
    let request = CreateProvider { url, client_ids, thumbprints, tags };
    let provider = call.identity.create_provider(&grant, request).await?;
    xml.text(ARN, &provider.arn).tags(&provider.tags);
    Ok(())
}

pub(super) async fn get(call: &Call<'_>, xml: &mut Document) -> Done {
    let arn = call.parameters.need(ARN)?;
    let grant = call.grant_arn(Action::GetOpenIDConnectProvider, arn, Extra::new())?;
    let provider = call.identity.provider(&grant, arn).await?;
    xml.text("Url", &provider.url)
        .texts("ClientIDList", &provider.client_ids)
        .texts("ThumbprintList", &provider.thumbprints)
        .moment("CreateDate", provider.created)
        .tags(&provider.tags);
    Ok(())
}

pub(super) async fn list(call: &Call<'_>, xml: &mut Document) -> Done {
    let grant = call.grant_account(Action::ListOpenIDConnectProviders)?;
    let providers = call.identity.list_providers(&grant).await?;
    xml.members("OpenIDConnectProviderList", &providers, |xml, provider| {
        xml.text("Arn", &provider.arn);
    });
    Ok(())
}

pub(super) async fn delete(call: &Call<'_>) -> Done {
    let arn = call.parameters.need(ARN)?;
    let grant = call.grant_arn(Action::DeleteOpenIDConnectProvider, arn, Extra::new())?;
    Ok(call.identity.delete_provider(&grant, arn).await?)
}

pub(super) async fn add_client_id(call: &Call<'_>) -> Done {
    let arn = call.parameters.need(ARN)?;
    let client_id = call.parameters.need("ClientID")?.to_owned();
    let grant = call.grant_arn(Action::AddClientIDToOpenIDConnectProvider, arn, Extra::new())?;
    Ok(call.identity.add_client_id(&grant, arn, client_id).await?)
}

pub(super) async fn remove_client_id(call: &Call<'_>) -> Done {
    let arn = call.parameters.need(ARN)?;
    let client_id = call.parameters.need("ClientID")?.to_owned();
    let action = Action::RemoveClientIDFromOpenIDConnectProvider;
    let grant = call.grant_arn(action, arn, Extra::new())?;
    Ok(call.identity.remove_client_id(&grant, arn, client_id).await?)
}

pub(super) async fn update_thumbprints(call: &Call<'_>) -> Done {
    let arn = call.parameters.need(ARN)?;
    let thumbprints = call.parameters.list("ThumbprintList")?.unwrap_or_default();
    let action = Action::UpdateOpenIDConnectProviderThumbprint;
    let grant = call.grant_arn(action, arn, Extra::new())?;
    Ok(call.identity.update_thumbprints(&grant, arn, thumbprints).await?)
}
