//! Buckets: creating, finding, listing, deleting, and what is set on them.

use coffer_base::Ack;
use coffer_iam::Action;
use coffer_objects::{CreateBucket, ListBuckets};
use http::StatusCode;

use super::documents::{self, Digest};
use super::parameters;
use super::token::Token;
use super::{ack, caller, refuse};
use crate::error::{Code, S3Error};
use crate::request::Call;
use crate::respond::{Reply, reply_empty, reply_xml, set_header};
use crate::service::Service;
use crate::time;
use crate::xml::{Element, NAMESPACE, Writer, escape_into};

/// How a document begins that has text in its root and so is written by hand.
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Longest document that comes with CreateBucket or PutBucketAck, in bytes.
const DOCUMENT_BYTES_MAX: usize = 16 << 10;

/// Most buckets of one page, and the page when nothing is said.
const PAGE_MAX: usize = 10_000;

/// The region of S3 that has no name in a location constraint.
const NAMELESS_REGION: &str = "us-east-1";

/// CreateBucket.
pub(super) async fn create(service: &Service, mut call: Call) -> Result<Reply, S3Error> {
    // Policies may ask where the bucket is to be, and only the document says that; what is wrong
    // with it is told to who may make the bucket.
    let document = documents::read(service, &mut call, DOCUMENT_BYTES_MAX, Digest::Optional).await;
    if let Ok(Some(document)) = &document
        && let Some(constraint) = document.child_text("LocationConstraint").map(str::trim)
        && !constraint.is_empty()
    {
        call.head.let_ask(service, "s3:locationconstraint", constraint);
    }
    let grant = call.grant(service, Action::CreateBucket)?;
    let document = document?;
    let ack = ack::asked(&call)?;
    if let Some(document) = &document {
        check_configuration(document, &service.settings.region)?;
    }
    let region = service.settings.region.clone();
    service.objects.create_bucket(&grant, CreateBucket { region, ack }).await?;
    let mut reply = reply_empty(StatusCode::OK);
    set_header(&mut reply, "location", format!("/{}", call.bucket()?))?;
    Ok(reply)
}

/// Refuses a CreateBucketConfiguration that asks for another place than `region`, or for more
/// than a place.
fn check_configuration(document: &Element, region: &str) -> Result<(), S3Error> {
    if document.name != "CreateBucketConfiguration" {
        return Err(S3Error::new(Code::MalformedXML));
    }
    for child in &document.children {
        match child.name.as_str() {
            "LocationConstraint" => check_location(child.text.trim(), region)?,
            "Tags" if child.children.is_empty() => {}
            "Location" | "Bucket" | "Tags" => {
                return Err(refuse::unbuilt(&format!("CreateBucketConfiguration/{}", child.name)));
            }
            _ => return Err(S3Error::new(Code::MalformedXML)),
        }
    }
    Ok(())
}

/// An empty constraint means here, whatever the region is called; S3 has `EU` for `eu-west-1`.
fn check_location(constraint: &str, region: &str) -> Result<(), S3Error> {
    let here = constraint.is_empty()
        || constraint == region
        || (constraint == "EU" && region == "eu-west-1");
    if here {
        return Ok(());
    }
    if !names_a_region(constraint) {
        return Err(
            S3Error::new(Code::InvalidLocationConstraint).extra("LocationConstraint", constraint)
        );
    }
    Err(S3Error::with_message(
        Code::IllegalLocationConstraintException,
        format!(
            "The {constraint} location constraint is incompatible for the region specific \
             endpoint this request was sent to."
        ),
    ))
}

/// Whether `text` looks like `eu-central-1` or `us-gov-west-1`.
fn names_a_region(text: &str) -> bool {
    if text == "EU" {
        return true;
    }
    let words: Vec<&str> = text.split('-').collect();
    let [first, middle @ .., last] = words.as_slice() else {
        return false;
    };
    let letters = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    !middle.is_empty()
        && first.len() == 2
        && letters(first)
        && middle.iter().all(|word| letters(word))
        && parameters::digits(last).is_some()
}

/// HeadBucket.
pub(super) async fn head(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::ListBucket)?;
    let bucket = service.objects.bucket(&grant).await?;
    let mut reply = reply_empty(StatusCode::OK);
    set_header(&mut reply, "x-amz-bucket-region", &bucket.region)?;
    Ok(reply)
}

/// DeleteBucket.
pub(super) async fn delete(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::DeleteBucket)?;
    service.objects.delete_bucket(&grant).await?;
    Ok(reply_empty(StatusCode::NO_CONTENT))
}

/// GetBucketLocation. The answer for the nameless region is empty.
pub(super) async fn location(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::GetBucketLocation)?;
    let bucket = service.objects.bucket(&grant).await?;
    let mut xml = format!("{DECLARATION}<LocationConstraint xmlns=\"{NAMESPACE}\">");
    if bucket.region != NAMELESS_REGION {
        escape_into(&mut xml, &bucket.region);
    }
    xml.push_str("</LocationConstraint>");
    Ok(reply_xml(StatusCode::OK, xml))
}

/// ListBuckets.
pub(super) async fn list(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::ListAllMyBuckets)?;
    let max = match parameters::count(&call, "max-buckets")? {
        None => PAGE_MAX,
        Some(max @ 1..=PAGE_MAX) => max,
        Some(other) => {
            return Err(S3Error::invalid_argument(
                "max-buckets",
                other.to_string(),
                format!("max-buckets must be between 1 and {PAGE_MAX}."),
            ));
        }
    };
    let prefix = call.query.get("prefix").unwrap_or("");
    let after = match call.query.get("continuation-token") {
        Some(token) if !token.is_empty() => Some(Token::read_key(token)?),
        _ => None,
    };
    let here = call.query.get("bucket-region").is_none_or(|r| r == service.settings.region);
    let page = if here {
        let query = ListBuckets { prefix: prefix.to_owned(), after, max };
        service.objects.list_buckets(&grant, query).await?
    } else {
        Default::default()
    };

    let mut xml = Writer::with_root("ListAllMyBucketsResult");
    caller::write_owner(&mut xml, "Owner", &call.principal.owner_id);
    xml.open("Buckets");
    for bucket in &page.buckets {
        xml.open("Bucket")
            .text("Name", &bucket.name)
            .text("CreationDate", &time::iso8601(bucket.created))
            .text("BucketRegion", &bucket.region)
            .close();
    }
    xml.close();
    if let Some(next) = page.next {
        xml.text("ContinuationToken", &Token::Key(next).write());
    }
    if !prefix.is_empty() {
        xml.text("Prefix", prefix);
    }
    Ok(reply_xml(StatusCode::OK, xml.finish()))
}

/// GetBucketAck, Coffer's own: the level that the bucket's writes are acknowledged at, and whether
/// the bucket says so itself.
pub(super) async fn get_ack(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::GetBucketAck)?;
    let bucket = service.objects.bucket(&grant).await?;
    let mut xml = Writer::with_root("AckConfiguration");
    xml.text("Ack", bucket.ack.unwrap_or(Ack::All).name());
    xml.plain("Explicit", bucket.ack.is_some());
    let mut reply = reply_xml(StatusCode::OK, xml.finish());
    set_header(&mut reply, "x-coffer-ack", bucket.ack.unwrap_or(Ack::All).name())?;
    Ok(reply)
}

/// PutBucketAck, Coffer's own: the level in the query's value, in the header, or in a document
/// like the one that GetBucketAck gives.
pub(super) async fn put_ack(service: &Service, mut call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::PutBucketAck)?;
    let from_query = call.query.get("x-coffer-ack").filter(|text| !text.is_empty());
    let from_query = from_query.map(ack::parse).transpose()?;
    let from_header = ack::asked(&call)?;
    let document =
        documents::read(service, &mut call, DOCUMENT_BYTES_MAX, Digest::Optional).await?;
    let from_document = document.as_deref().map(ack_in).transpose()?;
    let levels = [from_query, from_header, from_document];
    let mut levels = levels.into_iter().flatten();
    let Some(ack) = levels.next() else {
        return Err(S3Error::new(Code::MissingRequestBody));
    };
    if levels.any(|other| other != ack) {
        return Err(S3Error::with_message(
            Code::InvalidArgument,
            "The request names several acknowledgement levels.",
        ));
    }
    service.objects.set_bucket_ack(&grant, ack).await?;
    Ok(reply_empty(StatusCode::OK))
}

fn ack_in(document: &Element) -> Result<Ack, S3Error> {
    match document.child_text("Ack") {
        Some(text) if document.name == "AckConfiguration" => ack::parse(text.trim()),
        _ => Err(S3Error::new(Code::MalformedXML)),
    }
}

#[cfg(test)]
mod tests;
