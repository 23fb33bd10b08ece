//! The user commands, the same over the socket and offline.

use coffer_iam::{Action, Ask, Grant, Policy, Principal, Resource, authorize};
use coffer_objects::users::account_of;
use coffer_objects::{AddUser, Objects, PolicyText};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Request;

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
    /// Its policies: names, or documents.
    pub policies: Vec<Value>,
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

/// Does what a user command asks, as root of the store.
pub async fn answer(objects: &Objects, owner_id: &str, request: Request) -> anyhow::Result<Value> {
    let grant = grant(owner_id)?;
    match request {
        Request::Status | Request::Scrub { .. } | Request::ScrubState => {
            anyhow::bail!("only a running server answers that")
        }
        Request::UserAdd { name, policy } => {
            let policy = match Policy::canned(&policy) {
                Some(_) => PolicyText::Canned(policy),
                None => PolicyText::Json(policy),
            };
            let request = AddUser { name, policies: vec![policy], ..AddUser::default() };
            let made = objects.add_user(&grant, request).await?;
            let name = made.user.name;
            tracing::info!(user = name, "a user was added");
            let made = Made { name, access_key: made.access_key, secret_key: made.secret };
            Ok(serde_json::to_value(made)?)
        }
        Request::UserList => {
            let users = objects.list_users(&grant).await?;
            let shown = users.into_iter().map(|user| User {
                name: user.name,
                enabled: user.enabled,
                created_ms: user.created.0,
                access_keys: user.access_keys,
                policies: user.policies.into_iter().map(policy_value).collect(),
            });
            Ok(serde_json::to_value(shown.collect::<Vec<_>>())?)
        }
        Request::UserEnable { name } => set_enabled(objects, &grant, &name, true).await,
        Request::UserDisable { name } => set_enabled(objects, &grant, &name, false).await,
        Request::UserRemove { name } => {
            objects.remove_user(&grant, &name).await.map_err(|e| about(&name, &e))?;
            tracing::info!(user = name, "a user was removed");
            Ok(Value::Null)
        }
    }
}

async fn set_enabled(
    objects: &Objects,
    grant: &Grant,
    name: &str,
    enabled: bool,
) -> anyhow::Result<Value> {
    objects.set_user_enabled(grant, name, enabled).await.map_err(|e| about(name, &e))?;
    tracing::info!(user = name, enabled, "a user was changed");
    Ok(Value::Null)
}

fn about(name: &str, error: &coffer_objects::Error) -> anyhow::Error {
    anyhow::anyhow!("user {name}: {error}")
}

fn policy_value(policy: PolicyText) -> Value {
    match policy {
        PolicyText::Canned(name) => Value::String(name),
        // It was checked when it was stored; shown as it is if it no longer reads.
        PolicyText::Json(json) => serde_json::from_str(&json).unwrap_or(Value::String(json)),
    }
}

/// Who may open the socket or the drives acts as root.
fn grant(owner_id: &str) -> anyhow::Result<Grant> {
    let root = Principal::root(account_of(owner_id), owner_id);
    Ok(authorize(&root, &Ask::new(Action::AdminUsers, &Resource::store()))?)
}
