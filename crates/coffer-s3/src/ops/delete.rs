//! DeleteObject and DeleteObjects.

use coffer_iam::{Action, Ask, Grant, Resource};
use coffer_objects::{Delete, Deleted, VersionId};
use http::StatusCode;

use super::documents::{self, Digest};
use super::refuse::unbuilt;
use super::{ack, conditions, version_id};
use crate::error::{Code, S3Error};
use crate::request::{Call, CallHead};
use crate::respond::{Reply, reply_empty, reply_xml};
use crate::service::Service;
use crate::xml::{Element, Writer};

/// Most keys of one DeleteObjects.
const KEYS_MAX: usize = 1000;

/// How many keys are authorised before other requests get their turn: a long policy takes its time
/// for each.
const KEYS_PER_TURN: usize = 16;

/// Longest document of DeleteObjects, in bytes: a thousand of the longest keys, each character
/// escaped.
const DOCUMENT_BYTES_MAX: usize = 8 << 20;
/// Of a `VersionId` in it.
const VERSION_TEXT_BYTES_MAX: usize = 1024;

/// DeleteObject: what is not there is deleted, too, unless `If-Match` wants it to be there.
///
/// "To perform conditional deletes with the If-Match header with the ETag value, you must have the
/// s3:DeleteObject and s3:GetObject permissions."
pub(super) async fn one(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let version = version_id::of(&call)?;
    let (delete, delete_version) = (Action::DeleteObject, Action::DeleteObjectVersion);
    let grant = version_id::grant(service, &call, version, delete, delete_version)?;
    if call.headers.contains_key("if-none-match") {
        return Err(unbuilt("if-none-match on DeleteObject"));
    }
    let condition = conditions::of_write(&call)?;
    if condition.if_match.as_deref().is_some_and(|etag| etag != "*") {
        let (get, get_version) = (Action::GetObject, Action::GetObjectVersion);
        version_id::grant(service, &call, version, get, get_version)?;
    }
    ack::check_bucket_suffices(service, &call, &grant).await?;
    let deleted = match version {
        Some(version) => service.objects.delete_version(&grant, version, condition).await?,
        None if condition.if_match.is_some() => {
            service.objects.delete_if(&grant, condition).await?
        }
        None => service.objects.delete(&grant).await?,
    };
    let mut reply = reply_empty(StatusCode::NO_CONTENT);
    version_id::add_deleted(&mut reply, &deleted)?;
    Ok(reply)
}

/// DeleteObjects: each key is authorised, deleted and answered for itself.
pub(super) async fn many(service: &Service, mut call: Call) -> Result<Reply, S3Error> {
    refuse_conditions(&call)?;
    service.check_bucket_exists(call.bucket()?)?;
    // It is read before any permission is asked: who is not known, or may delete nothing here
    // whatever the keys are, gets no share of the few large documents that there is room for.
    let is_large = |call: &Call| {
        call.body.decoded_length().is_none_or(|bytes| bytes > documents::SMALL_BYTES_MAX as u64)
    };
    let bytes_max = if call.principal.is_anonymous() {
        documents::SMALL_BYTES_MAX
    } else if is_large(&call) && !may_delete_any(service, &call)? {
        return Err(S3Error::new(Code::AccessDenied));
    } else {
        DOCUMENT_BYTES_MAX
    };
    let document = documents::read(service, &mut call, bytes_max, Digest::Required).await?;
    let document = document.ok_or_else(|| S3Error::new(Code::MissingRequestBody))?;
    let asked = Asked::read(&document)?;
    drop(document);

    let mut outcomes: Vec<Outcome> = Vec::with_capacity(asked.keys.len());
    let mut deletes: Vec<Delete> = Vec::new();
    for (i, key) in asked.keys.iter().enumerate() {
        if i % KEYS_PER_TURN == KEYS_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
        let granted =
            key.refusal.clone().map_or(Ok(()), Err).and_then(|()| grant(service, &call, key));
        outcomes.push(granted.map(|grant| {
            deletes.push(Delete { grant, version: key.version });
            Deleted::default()
        }));
    }
    if let Some(Delete { grant, .. }) = deletes.first() {
        ack::check_bucket_suffices(service, &call, grant).await?;
    }
    let mut deleted = service.objects.delete_many(deletes).await.into_iter();
    for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
        *outcome = match deleted.next() {
            Some(result) => result.map_err(S3Error::from),
            None => Err(S3Error::new(Code::InternalError)),
        };
    }
    if let Some(Err(error)) = outcomes.iter().find(|o| concerns_the_bucket(o)) {
        return Err(error.clone());
    }
    Ok(reply_xml(StatusCode::OK, result(&asked, &outcomes)))
}

/// Conditions among the headers are none on the keys of DeleteObjects: who sends one must not
/// believe that it holds.
fn refuse_conditions(call: &CallHead) -> Result<(), S3Error> {
    match ["if-match", "if-none-match"].into_iter().find(|name| call.headers.contains_key(*name)) {
        Some(name) => Err(unbuilt(&format!("{name} on DeleteObjects"))),
        None => Ok(()),
    }
}

/// Whether the caller could be allowed to delete anything in the bucket.
fn may_delete_any(service: &Service, call: &CallHead) -> Result<bool, S3Error> {
    let Some(facts) = service.objects.bucket_facts(call.bucket()?)? else {
        return Err(S3Error::new(Code::NoSuchBucket));
    };
    let bucket = Resource::bucket(call.bucket()?);
    let may = |action| {
        let ask = Ask {
            owner: Some(&service.account_of(&facts.bucket)),
            resource_policy: facts.policy.as_deref(),
            restrict_public: facts.is_restricted(),
            ..Ask::new(action, &bucket)
        };
        coffer_iam::may_reach(&call.principal, &ask)
    };
    Ok(may(Action::DeleteObject) || may(Action::DeleteObjectVersion))
}

fn grant(service: &Service, call: &CallHead, key: &Key) -> Result<Grant, S3Error> {
    match key.version {
        None => call.grant_version(service, Action::DeleteObject, &key.name, None),
        Some(version) => {
            let version = version.to_string();
            call.grant_version(service, Action::DeleteObjectVersion, &key.name, Some(&version))
        }
    }
}

/// What became of a key.
type Outcome = Result<Deleted, S3Error>;

/// Whether an outcome is of the request as a whole rather than of a key.
fn concerns_the_bucket(outcome: &Outcome) -> bool {
    matches!(outcome, Err(S3Error { code: Code::NoSuchBucket, .. }))
}

/// What the document asks for.
#[derive(Debug)]
struct Asked {
    keys: Vec<Key>,
    quiet: bool,
}

#[derive(Debug)]
struct Key {
    name: String,
    /// The version that the document names, if it can be one.
    version: Option<VersionId>,
    /// The same as it was written.
    version_text: Option<String>,
    /// Why this key is refused before anything is looked up.
    refusal: Option<S3Error>,
}

impl Asked {
    fn read(document: &Element) -> Result<Asked, S3Error> {
        let malformed = || S3Error::new(Code::MalformedXML);
        if document.name != "Delete" {
            return Err(malformed());
        }
        let keys =
            document.children_named("Object").map(Key::read).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(malformed());
        }
        let quiet = match document.child_text("Quiet").map(str::trim) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(malformed()),
        };
        Ok(Asked { keys, quiet })
    }
}

impl Key {
    fn read(element: &Element) -> Result<Key, S3Error> {
        let name = element.child_text("Key").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| S3Error::new(Code::MalformedXML))?;
        let version = element.child_text("VersionId").filter(|id| !id.is_empty());
        let conditions = ["ETag", "LastModifiedTime", "Size"];
        let condition = conditions.into_iter().find(|c| element.child(c).is_some());
        let refusal = condition.map(|condition| unbuilt(&format!("Object/{condition}")));
        let parsed = version.and_then(VersionId::parse);
        // As S3 has it here: the id of nothing is no version that is there.
        let is_none = version.is_some() && parsed.is_none();
        let refusal = refusal.or(is_none.then(|| S3Error::new(Code::NoSuchVersion)));
        // It is told back; no id that anybody was given is longer than this.
        if version.is_some_and(|id| id.len() > VERSION_TEXT_BYTES_MAX) {
            return Err(S3Error::new(Code::MalformedXML));
        }
        let version_text = version.map(str::to_owned);
        Ok(Key { name: name.to_owned(), version: parsed, version_text, refusal })
    }
}

/// The document that answers.
fn result(asked: &Asked, outcomes: &[Outcome]) -> String {
    let mut xml = Writer::with_root("DeleteResult");
    for (key, outcome) in asked.keys.iter().zip(outcomes) {
        match outcome {
            Ok(_) if asked.quiet => continue,
            Ok(_) => xml.open("Deleted").text("Key", &key.name),
            Err(error) => xml
                .open("Error")
                .text("Key", &key.name)
                .text("Code", error.code.name())
                .text("Message", &error.message),
        };
        if let Some(version) = &key.version_text {
            xml.text("VersionId", version);
        }
        if let Ok(Deleted { version_id: Some(version), delete_marker: true }) = outcome {
            xml.plain("DeleteMarker", true).text("DeleteMarkerVersionId", &version.to_string());
        }
        xml.close();
    }
    xml.finish()
}

#[cfg(test)]
mod tests;
