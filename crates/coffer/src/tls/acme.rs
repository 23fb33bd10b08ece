//! Certificates from an ACME server (RFC 8555), by the challenge TLS-ALPN-01 (RFC 8737): the
//! server connects to the domain's port 443, which must lead to the S3 port, and finds the answer
//! in the handshake. Nothing else needs to be open.
//!
//! The account and the certificate with its key are kept in the drive directories.

mod client;
mod renewal;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use coffer_base::{Clock as _, SystemClock, SystemRng};
use coffer_http::Certificate;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::settings::Settings;
use crate::store::HeldDrive;

use super::Shown;
use super::kept::{Drives, names_of, pair_text};
use client::HttpsClient;
use renewal::Renewal;

/// Key and chain.
const PAIR: &str = "tls-acme.pem";
/// The account's key, and where the account is.
const ACCOUNT: &str = "tls-acme-account.json";

/// For the server to look at the challenges, and to sign.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(90);

/// What is asked of which server.
#[derive(Clone, Debug)]
pub struct Acme {
    domains: Vec<String>,
    directory: String,
    email: Option<String>,
    ca: Option<PathBuf>,
}

/// What is kept of an account.
#[derive(Serialize, Deserialize)]
struct KeptAccount {
    /// It is of no use with another server.
    directory: String,
    credentials: instant_acme::AccountCredentials,
}

impl Acme {
    /// What `settings` say.
    pub fn of(settings: &Settings) -> Result<Acme, Fault> {
        let mut domains = Vec::new();
        for domain in &settings.acme_domain {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
            if domain.starts_with("*.") {
                return Err(Fault::Usage(format!(
                    "acme_domain: {domain}: an ACME server gives wildcards only to those who \
                     control the DNS; name each host, or use tls_cert"
                )));
            }
            if !domain.chars().all(is_name) || domain.starts_with(['.', '-']) {
                return Err(Fault::Usage(format!("acme_domain: {domain:?} is not a host name")));
            }
            domains.push(domain.to_ascii_lowercase());
        }
        if !settings.acme_directory.starts_with("https://") {
            return Err(Fault::Usage("acme_directory must begin with https://".to_owned()));
        }
        let (directory, email) = (settings.acme_directory.clone(), settings.acme_email.clone());
        Ok(Acme { domains, directory, email, ca: settings.acme_ca.clone() })
    }

    /// For messages.
    pub fn name(&self) -> String {
        format!("ACME, {}", self.directory)
    }

    /// The kept certificate for these domains that is valid longest, if one is valid at all.
    pub fn kept(&self, held: &[HeldDrive]) -> Result<Option<Certificate>, Fault> {
        let now = SystemClock.now();
        let texts = Drives::of(held).read(PAIR);
        let mine = texts.iter().filter(|text| {
            let names = names_of(text);
            self.domains.iter().all(|domain| names.contains(domain))
        });
        let read = mine.filter_map(|text| {
            Certificate::from_pem(text.as_bytes(), text.as_bytes())
                .inspect_err(|e| tracing::warn!("{PAIR} can't be used: {e}"))
                .ok()
        });
        let valid = read.filter(|certificate| certificate.validity.includes(now));
        Ok(valid.max_by_key(|certificate| certificate.validity.until_secs))
    }

    /// The account of `drives`, or a new one.
    async fn account(&self, drives: &Arc<Drives>) -> anyhow::Result<Account> {
        let http = || -> anyhow::Result<_> {
            Ok(Account::builder_with_http(Box::new(HttpsClient::new(self.ca.as_deref())?)))
        };
        let reading = drives.clone();
        let texts = tokio::task::spawn_blocking(move || reading.read(ACCOUNT)).await?;
        for text in texts {
            match serde_json::from_str::<KeptAccount>(&text) {
                Ok(kept) if kept.directory == self.directory => {
                    match http()?.from_credentials(kept.credentials).await {
                        Ok(account) => return Ok(account),
                        Err(instant_acme::Error::KeyRejected) => {
                            tracing::warn!("{ACCOUNT} has no good key: a new account is made");
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::warn!("{ACCOUNT} can't be read: {error}"),
            }
        }
        let contact = self.email.as_ref().map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = http()?.create(&wanted, self.directory.clone(), None).await?;
        let kept = KeptAccount { directory: self.directory.clone(), credentials };
        let (text, writing) = (serde_json::to_string_pretty(&kept)?, drives.clone());
        tokio::task::spawn_blocking(move || writing.write(ACCOUNT, &text)).await??;
        tracing::info!(directory = self.directory, "an ACME account was made");
        Ok(account)
    }

    /// Gets a new certificate; kept before it is returned.
    async fn order(&self, shown: &Shown, drives: &Arc<Drives>) -> anyhow::Result<Certificate> {
        let account = self.account(drives).await?;
        let names: Vec<Identifier> = self.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        // They are answered until the order is ready.
        let mut answers = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                status => anyhow::bail!("an authorization is {status:?}"),
            }
            let domain = authorization.identifier().to_string();
            let mut challenge = authorization
                .challenge(ChallengeType::TlsAlpn01)
                .ok_or_else(|| anyhow::anyhow!("{domain}: the server offers no tls-alpn-01"))?;
            let digest: [u8; 32] = challenge.key_authorization().digest().as_ref().try_into()?;
            answers.push(shown.certificates.challenge(&domain, &digest)?);
            challenge.set_ready().await.with_context(|| format!("the challenge for {domain}"))?;
        }
        let patience = RetryPolicy::new().timeout(ANSWER_TIME_MAX);
        let context = || format!("the challenges for {}", self.domains.join(", "));
        let status = order.poll_ready(&patience).await.with_context(context)?;
        if status != OrderStatus::Ready {
            let mut whys = Vec::new();
            let mut authorizations = order.authorizations();
            while let Some(authorization) = authorizations.next().await {
                let mut authorization = authorization?;
                let state = authorization.refresh().await?;
                let said = state.challenges.iter().filter_map(|c| c.error.as_ref());
                whys.extend(said.map(|problem| format!("{}: {problem}", state.identifier())));
            }
            anyhow::bail!("the order is {status:?}: {}", whys.join("; "));
        }
        drop(answers);
        let mut params = CertificateParams::new(self.domains.clone())?;
        params.distinguished_name = DistinguishedName::new();
        let key = KeyPair::generate()?;
        order.finalize_csr(params.serialize_request(&key)?.der()).await?;
        let chain = order.poll_certificate(&patience).await?;
        let certificate = Certificate::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes())?;
        let text = pair_text(&self.domains, &chain, &key.serialize_pem());
        let writing = drives.clone();
        tokio::task::spawn_blocking(move || writing.write(PAIR, &text)).await??;
        Ok(certificate)
    }
}

/// Orders a certificate whenever one is due, until the task is dropped.
pub(super) async fn renew(acme: Acme, shown: Arc<Shown>, drives: Drives) {
    let drives = Arc::new(drives);
    let mut renewal = Renewal::new(&shown);
    loop {
        if let Some(wait) = renewal.wait(&shown, SystemClock.now()) {
            tokio::time::sleep(wait).await;
            continue;
        }
        let result = acme.order(&shown, &drives).await;
        let result = result.map_err(|error| format!("{}: {error:#}", acme.name()));
        let pause = renewal.ended(&shown, result, SystemClock.now(), &SystemRng);
        tokio::time::sleep(pause).await;
    }
}
