//! Why a request would be allowed or denied: `coffer iam explain`, over the socket and offline.

use coffer_iam::{
    Action, Ask, Context, Explanation, Principal, Resource, Scope, StatementRef, explain,
};
use coffer_identity::Identity;
use coffer_objects::Objects;
use serde::{Deserialize, Serialize};

/// A request that somebody could make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// The ARN of a user, of a role or of a role's session, or `anonymous`.
    pub principal: String,
    /// The action's name.
    pub action: String,
    /// An ARN, a bucket, or a bucket and a key.
    pub resource: String,
    /// Condition keys, each with a value; a key may come several times.
    pub context: Vec<(String, String)>,
}

/// A statement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Statement {
    /// The kind of policy it is in.
    pub layer: String,
    /// The policy's name.
    pub policy: String,
    /// Which of the policy's statements, from 1.
    pub statement: usize,
    /// Its Sid.
    pub sid: Option<String>,
    /// `Allow` or `Deny`.
    pub effect: String,
}

/// What one kind of policy says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The kind of policy.
    pub layer: String,
    /// Whether there is one.
    pub present: bool,
    /// What it says for itself: `allowed`, `explicitDeny`, `implicitDeny`.
    pub decision: String,
    /// Its statements that apply.
    pub statements: Vec<Statement>,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// `allowed`, `explicitDeny`, `implicitDeny`.
    pub decision: String,
    /// The kind of policy that decided it: that would have had to allow it, where nothing did.
    pub decided_by: Option<String>,
    /// The statement that decided it.
    pub statement: Option<Statement>,
    /// All kinds of policies.
    pub verdicts: Vec<Verdict>,
    /// RestrictPublicBuckets keeps the bucket's policy from this caller.
    #[serde(default)]
    pub restricted: bool,
}

/// Answers as the server would decide.
pub fn answer(objects: &Objects, identity: &Identity, q: &Question) -> anyhow::Result<Told> {
    let principal = principal(identity, &q.principal)?;
    let action = Action::named(&q.action)
        .ok_or_else(|| anyhow::anyhow!("there is no action {}", q.action))?;
    let resource = resource(action, &q.resource)?;
    let mut context = Context::new();
    for (key, value) in &q.context {
        context.add(key.clone(), value.as_str());
    }
    let ask = Ask::new(action, &resource).with_context(&context);
    let explained = match &resource {
        Resource::Bucket(name) | Resource::Object { bucket: name, .. }
            if action != Action::CreateBucket =>
        {
            let facts = objects.bucket_facts(name)?;
            let facts = facts.ok_or_else(|| anyhow::anyhow!("there is no bucket {name}"))?;
            let owner = match facts.bucket.account.as_str() {
                "" => identity.default_account().to_string(),
                account => account.to_owned(),
            };
            explain(
                &principal,
                &Ask {
                    owner: Some(&owner),
                    resource_policy: facts.policy.as_deref(),
                    restrict_public: facts.is_restricted(),
                    ..ask
                },
            )
        }
        Resource::Iam { scope: Scope::Role, arn } => {
            let trust = match action.needs_trust() {
                true => identity.role_by_arn(arn)?,
                false => None,
            };
            let trust = trust.map(|(_, policy)| policy);
            let owner = arn.split(':').nth(4);
            explain(&principal, &Ask { owner, resource_policy: trust.as_deref(), ..ask })
        }
        Resource::Iam { arn, .. } => {
            let owner = arn.split(':').nth(4).filter(|account| !account.is_empty());
            explain(&principal, &Ask { owner, ..ask })
        }
        _ => explain(&principal, &ask),
    };
    Ok(told(explained))
}

fn principal(identity: &Identity, text: &str) -> anyhow::Result<Principal> {
    if text == "anonymous" {
        return Ok(Principal::anonymous());
    }
    let found = identity.principal_by_arn(text)?;
    found.ok_or_else(|| anyhow::anyhow!("there is no principal {text}"))
}

/// An ARN, or for an action of S3 also `bucket` and `bucket/key`.
fn resource(action: Action, text: &str) -> anyhow::Result<Resource> {
    let scope = action.scope();
    let text = text.strip_prefix("arn:aws:s3:::").unwrap_or(text);
    let resource = match scope {
        Scope::Store => Resource::store(),
        Scope::Bucket if !text.is_empty() && !text.contains('/') => Resource::bucket(text),
        Scope::Object => match text.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                Resource::object(bucket, key)
            }
            _ => anyhow::bail!("{action} is about an object: --resource BUCKET/KEY"),
        },
        Scope::Bucket => anyhow::bail!("{action} is about a bucket: --resource BUCKET"),
        Scope::Identity => {
            let kind = text.split(':').nth(5).unwrap_or("");
            let scope = match kind.split('/').next() {
                Some("user") => Scope::User,
                Some("group") => Scope::Group,
                Some("role") => Scope::Role,
                _ => anyhow::bail!("{action} is about a user, a group or a role: --resource ARN"),
            };
            Resource::iam(scope, text)
        }
        scope => Resource::iam(scope, text),
    };
    Ok(resource)
}

fn told(explained: Explanation) -> Told {
    let statement = |found: StatementRef| Statement {
        layer: found.layer.name().to_owned(),
        policy: found.policy.to_string(),
        statement: found.statement,
        sid: found.sid,
        effect: format!("{:?}", found.effect),
    };
    Told {
        decision: explained.decision.name().to_owned(),
        decided_by: explained.decided_by.map(|layer| layer.name().to_owned()),
        statement: explained.statement.map(statement),
        restricted: explained.restricted,
        verdicts: explained
            .verdicts
            .into_iter()
            .map(|verdict| Verdict {
                layer: verdict.layer.name().to_owned(),
                present: verdict.present,
                decision: verdict.decision.name().to_owned(),
                statements: verdict.statements.into_iter().map(statement).collect(),
            })
            .collect(),
    }
}
