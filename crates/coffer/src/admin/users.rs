//! The commands about users and accounts, the same over the socket and offline.

use coffer_iam::{Action, Ask, Grant, Principal, Resource, authorize};
use coffer_identity::{AddUser, Identity, PolicyText};
use coffer_objects::{ListBuckets, Objects};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Request;
use super::explain;

/// A user, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Whether its requests are served.
    pub enabled: bool,
    /// When it was added, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Its access keys.
    pub access_keys: Vec<String>,
    /// Its policies: names, ARNs, or documents.
    pub policies: Vec<Value>,
    /// The names of its groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A user that was just added; the one time that its secret is told.
#[derive(Clone, Serialize, Deserialize)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// Its access key.
    pub access_key: String,
    /// Its secret key.
    pub secret_key: String,
}

/// An account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number: 12 digits.
    pub id: String,
    /// What its buckets show as their owner.
    pub owner_id: String,
    /// When it was added, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// How many users it has.
    pub users: u64,
}

/// An account that was just added; the one time that the secret of its root is told.
#[derive(Clone, Serialize, Deserialize)]
pub struct MadeAccount {
    /// Its name.
    pub name: String,
    /// Its number: 12 digits.
    pub id: String,
    /// Its root's access key.
    pub access_key: String,
    /// Its secret key.
    pub secret_key: String,
}

/// Does what such a command asks, as root of the store.
pub async fn answer(
    objects: &Objects,
    identity: &Identity,
    request: Request,
) -> anyhow::Result<Value> {
    let users = || grant(&identity.operator_principal(), Action::AdminUsers);
    let accounts = || grant(&identity.operator_principal(), Action::AdminAccounts);
    match request {
        Request::Status | Request::Scrub { .. } | Request::ScrubState => {
            anyhow::bail!("only a running server answers that")
        }
        Request::UserAdd { name, policy } => {
            let policies = vec![PolicyText::of(policy)];
            let request = AddUser { name, policies, ..AddUser::default() };
            let made = identity.add_user(&users()?, request).await?;
            let name = made.user.name;
            tracing::info!(user = name, "a user was added");
            let made = Made { name, access_key: made.access_key, secret_key: made.secret };
            Ok(serde_json::to_value(made)?)
        }
        Request::UserList => {
            let users = identity.all_users(&users()?).await?;
            let shown = users.into_iter().map(|user| User {
                name: user.name,
                enabled: user.enabled,
                created_ms: user.created.0,
                access_keys: user.access_keys,
                policies: user.policies.into_iter().map(policy_value).collect(),
                groups: user.groups,
            });
            Ok(serde_json::to_value(shown.collect::<Vec<_>>())?)
        }
        Request::UserEnable { name } => set_enabled(identity, &users()?, &name, true).await,
        Request::UserDisable { name } => set_enabled(identity, &users()?, &name, false).await,
        Request::UserRemove { name } => {
            identity.remove_user(&users()?, &name).await.map_err(|e| about(&name, &e))?;
            tracing::info!(user = name, "a user was removed");
            Ok(Value::Null)
        }
        Request::AccountAdd { name } => {
            let made = identity.create_account(&accounts()?, &name).await?;
            let (name, id) = (made.account.name, made.account.id.to_string());
            tracing::info!(account = name, id, "an account was added");
            let (access_key, secret_key) = (made.access_key, made.secret);
            Ok(serde_json::to_value(MadeAccount { name, id, access_key, secret_key })?)
        }
        Request::AccountList => {
            let accounts = identity.list_accounts(&accounts()?).await?;
            let shown = accounts.into_iter().map(|account| Account {
                name: account.name,
                id: account.id.to_string(),
                owner_id: account.owner_id,
                created_ms: account.created.0,
                users: account.users,
            });
            Ok(serde_json::to_value(shown.collect::<Vec<_>>())?)
        }
        Request::IamExplain { question } => {
            Ok(serde_json::to_value(explain::answer(objects, identity, &question)?)?)
        }
        Request::AccountRemove { name } => {
            remove_account(objects, identity, &accounts()?, &name).await?;
            tracing::info!(account = name, "an account was removed");
            Ok(Value::Null)
        }
    }
}

async fn remove_account(
    objects: &Objects,
    identity: &Identity,
    grant_accounts: &Grant,
    name: &str,
) -> anyhow::Result<()> {
    let accounts = identity.list_accounts(grant_accounts).await?;
    let found = accounts.into_iter().find(|a| a.name == name || a.id.to_string() == name);
    let account = found.ok_or_else(|| anyhow::anyhow!("account {name}: it does not exist"))?;
    let root = Principal::root(account.id.to_string(), account.owner_id.clone());
    let list = grant(&root, Action::ListAllMyBuckets)?;
    let mut query = ListBuckets { prefix: String::new(), after: None, max: 1000 };
    loop {
        let page = objects.list_buckets(&list, query.clone()).await?;
        if let Some(bucket) = page.buckets.iter().find(|b| b.owner == account.owner_id) {
            anyhow::bail!("account {name}: it has buckets, among them {}", bucket.name);
        }
        match page.next {
            Some(after) => query.after = Some(after),
            None => break,
        }
    }
    let removed = identity.remove_account(grant_accounts, account.id).await;
    removed.map_err(|error| anyhow::anyhow!("account {name}: {error}"))
}

async fn set_enabled(
    identity: &Identity,
    grant: &Grant,
    name: &str,
    enabled: bool,
) -> anyhow::Result<Value> {
    identity.set_user_enabled(grant, name, enabled).await.map_err(|e| about(name, &e))?;
    tracing::info!(user = name, enabled, "a user was changed");
    Ok(Value::Null)
}

fn about(name: &str, error: &coffer_identity::Error) -> anyhow::Error {
    anyhow::anyhow!("user {name}: {error}")
}

fn policy_value(policy: PolicyText) -> Value {
    match policy {
        PolicyText::Canned(name) => Value::String(name),
        PolicyText::Managed(arn) => Value::String(arn),
        // It was checked when it was stored; shown as it is if it no longer reads.
        PolicyText::Json(json) => serde_json::from_str(&json).unwrap_or(Value::String(json)),
    }
}

/// Who may open the socket or the drives acts as root.
fn grant(root: &Principal, action: Action) -> anyhow::Result<Grant> {
    Ok(authorize(root, &Ask::new(action, &Resource::store()))?)
}
