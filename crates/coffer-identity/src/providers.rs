//! Issuers of OpenID Connect tokens that an account trusts.

use coffer_base::Timestamp;
use coffer_iam::{Action, Grant};

use crate::entities::{self, find, insert, put, remove, subject};
use crate::error::Result;
use crate::form::{check_client_ids, check_tags, check_thumbprints, provider_name};
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, arn, parse_arn, random_id};
use crate::paging::Paging;
use crate::rows::entity::{Detail, EntityRow};
use crate::users::not_a;

/// An issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its account.
    pub account: AccountId,
    /// Its ARN.
    pub arn: String,
    /// Its URL without `https://`, which is the name that condition keys have: `URL:sub`.
    pub url: String,
    /// For whom its tokens may be.
    pub client_ids: Vec<String>,
    /// SHA-1 of certificates that its host may show, in hexadecimal.
    pub thumbprints: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

impl Provider {
    fn of(row: &EntityRow) -> Result<Provider> {
        let Detail::Provider { client_ids, thumbprints } = &row.detail else {
            return Err(not_a(row, Kind::Provider));
        };
        Ok(Provider {
            account: row.account,
            arn: row.arn(),
            url: row.name.clone(),
            client_ids: client_ids.clone(),
            thumbprints: thumbprints.clone(),
            created: row.created,
            tags: row.tags.clone(),
        })
    }
}

/// An issuer to be trusted.
#[derive(Clone, Debug, Default)]
pub struct CreateProvider {
    /// Its URL: `https://…`.
    pub url: String,
    /// For whom its tokens may be.
    pub client_ids: Vec<String>,
    /// SHA-1 of certificates that its host may show, in hexadecimal.
    pub thumbprints: Vec<String>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// The ARN that the provider of a URL has in an account.
pub fn provider_arn(account: AccountId, url: &str) -> Result<String> {
    Ok(arn(account, Kind::Provider, "/", &provider_name(url)?))
}

impl Identity {
    /// Trusts an issuer.
    pub async fn create_provider(
        &self,
        grant: &Grant,
        request: CreateProvider,
    ) -> Result<Provider> {
        let subject = subject(grant, Action::CreateOpenIDConnectProvider)?;
        let CreateProvider { url, client_ids, thumbprints, tags } = request;
        let name = provider_name(&url)?;
        check_client_ids(&client_ids)?;
        check_thumbprints(&thumbprints)?;
        check_tags(&tags)?;
        subject.check(&arn(subject.account, Kind::Provider, "/", &name))?;
        let row = EntityRow {
            account: subject.account,
            id: random_id(self.rng(), Kind::Provider),
            name,
            path: "/".to_owned(),
            created: self.now(),
            tags,
            inline: Vec::new(),
            attached: Vec::new(),
            boundary: None,
            detail: Detail::Provider { client_ids, thumbprints },
        };
        let provider = Provider::of(&row)?;
        self.change(subject.account, move |txn| insert(txn, &row)).await?;
        Ok(provider)
    }

    /// An issuer.
    pub async fn provider(&self, grant: &Grant, provider_arn: &str) -> Result<Provider> {
        let subject = subject(grant, Action::GetOpenIDConnectProvider)?;
        Provider::of(&subject.by_arn(&self.snapshot(), Kind::Provider, provider_arn)?)
    }

    /// All issuers, in the order of their URLs.
    pub async fn list_providers(&self, grant: &Grant) -> Result<Vec<Provider>> {
        let subject = subject(grant, Action::ListOpenIDConnectProviders)?;
        let all = Paging::most();
        let snapshot = self.snapshot();
        let page = entities::list(&snapshot, subject.account, Kind::Provider, &all, |row| {
            Provider::of(row).map(Some)
        })?;
        Ok(page.items)
    }

    /// Trusts an issuer no longer. Sessions that are under way go on.
    pub async fn delete_provider(&self, grant: &Grant, provider_arn: &str) -> Result<()> {
        let subject = subject(grant, Action::DeleteOpenIDConnectProvider)?;
        let arn = provider_arn.to_owned();
        self.change(subject.account, move |txn| {
            let row = subject.by_arn(txn, Kind::Provider, &arn)?;
            remove(txn, &row)
        })
        .await
    }

    /// Adds one for whom tokens may be; one that is there already stays so.
    pub async fn add_client_id(
        &self,
        grant: &Grant,
        provider_arn: &str,
        client_id: String,
    ) -> Result<()> {
        let action = Action::AddClientIDToOpenIDConnectProvider;
        self.change_provider(grant, action, provider_arn, move |client_ids, _| {
            if !client_ids.contains(&client_id) {
                client_ids.push(client_id.clone());
            }
        })
        .await
    }

    /// Removes one for whom tokens may be; one that is not there does not matter.
    pub async fn remove_client_id(
        &self,
        grant: &Grant,
        provider_arn: &str,
        client_id: String,
    ) -> Result<()> {
        let action = Action::RemoveClientIDFromOpenIDConnectProvider;
        self.change_provider(grant, action, provider_arn, move |client_ids, _| {
            client_ids.retain(|known| *known != client_id);
        })
        .await
    }

    /// Replaces the hashes of certificates.
    pub async fn update_thumbprints(
        &self,
        grant: &Grant,
        provider_arn: &str,
        new: Vec<String>,
    ) -> Result<()> {
        let action = Action::UpdateOpenIDConnectProviderThumbprint;
        self.change_provider(grant, action, provider_arn, move |_, thumbprints| {
            thumbprints.clone_from(&new);
        })
        .await
    }

    async fn change_provider(
        &self,
        grant: &Grant,
        action: Action,
        provider_arn: &str,
        change: impl Fn(&mut Vec<String>, &mut Vec<String>) + Send + Sync + 'static,
    ) -> Result<()> {
        let subject = subject(grant, action)?;
        let arn = provider_arn.to_owned();
        self.change(subject.account, move |txn| {
            let mut row = subject.by_arn(txn, Kind::Provider, &arn)?;
            let Detail::Provider { client_ids, thumbprints } = &mut row.detail else {
                return Err(not_a(&row, Kind::Provider));
            };
            change(client_ids, thumbprints);
            check_client_ids(client_ids)?;
            check_thumbprints(thumbprints)?;
            put(txn, &row);
            Ok(())
        })
        .await
    }

    /// The provider that this ARN names, for asking whether its tokens are taken; `None` if it is
    /// not trusted.
    pub fn provider_by_arn(&self, provider_arn: &str) -> Result<Option<Provider>> {
        let Some((Some(account), Kind::Provider, _, name)) = parse_arn(provider_arn) else {
            return Ok(None);
        };
        let row = find(&self.snapshot(), account, Kind::Provider, name)?;
        row.map(|row| Provider::of(&row)).transpose()
    }

    /// The provider that has the issuer of a token as its URL, if the account trusts it.
    pub fn provider_of_issuer(&self, account: AccountId, issuer: &str) -> Result<Option<Provider>> {
        let Ok(name) = provider_name(issuer) else { return Ok(None) };
        let row = find(&self.snapshot(), account, Kind::Provider, &name)?;
        row.map(|row| Provider::of(&row)).transpose()
    }
}
