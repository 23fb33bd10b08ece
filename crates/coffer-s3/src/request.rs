//! What a verb is given: the head of a request whose caller is known, and its body.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use coffer_base::Timestamp;
use coffer_http::Arrival;
use coffer_iam::{Action, Ask, Context, Denied, Grant, Keys, Policy, Principal, Resource};
use coffer_objects::BucketFacts;
pub use coffer_sigv4::Query;
use http::{HeaderMap, Method};

use crate::body::Body;
use crate::error::{Code, S3Error};
use crate::ops::caller::{BUCKET_OWNER, SOURCE_OWNER, check_expected};
use crate::ops::{self, Operation};
use crate::service::Service;

/// Everything about a request but its body.
#[derive(Debug)]
pub struct CallHead {
    /// The HTTP method.
    pub method: Method,
    /// The bucket it names.
    pub bucket: Option<String>,
    /// The key it names, percent-decoded once; never empty.
    pub key: Option<String>,
    /// The query, decoded.
    pub query: Query,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The path as it came, still encoded.
    pub raw_path: String,
    /// Who asks.
    pub principal: Arc<Principal>,
    /// What the reply's `x-amz-request-id` says.
    pub request_id: String,
    /// When the request was read.
    pub now: Timestamp,
    /// How it came, if that is known.
    pub arrival: Option<Arrival>,
    /// How it is signed; `None` if it is not.
    pub signed: Option<Signed>,
    /// What policies may ask about it, once its operation is known and its headers are complete.
    pub(crate) asked: Asked,
}

/// What policies may ask about a request. It is made when the first of them asks.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Without one nothing can be asked.
    pub operation: Option<Operation>,
    context: OnceLock<Context>,
}

/// A request in a region, for policies to ask about.
#[derive(Debug)]
struct Asking<'a> {
    head: &'a CallHead,
    region: &'a str,
    /// The version in question, where the query does not name it.
    version: Option<&'a str>,
    /// The context with that version.
    of_version: OnceLock<Context>,
}

impl Asking<'_> {
    /// What may be asked about the request.
    fn of_request(&self) -> &Context {
        let Asked { operation, context } = &self.head.asked;
        context.get_or_init(|| {
            // Without its keys a Deny on a condition would not hold.
            let operation = operation.expect("nothing is asked before the operation is known");
            ops::context_of(self.region, operation, self.head)
        })
    }
}

impl Keys for Asking<'_> {
    fn context(&self) -> &Context {
        match self.version {
            None => self.of_request(),
            Some(version) => self.of_version.get_or_init(|| {
                let mut context = self.of_request().clone();
                context.set("s3:versionid", version);
                context
            }),
        }
    }
}

/// How a request is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// In the header, and not in the query of a presigned URL.
    pub in_header: bool,
    /// When.
    pub at: Timestamp,
    /// What the signature covers as the payload's hash, `UNSIGNED-PAYLOAD` for instance.
    pub payload_hash: String,
}

impl CallHead {
    /// The bucket, for verbs that `route` chose because there is one.
    pub fn bucket(&self) -> Result<&str, S3Error> {
        self.bucket.as_deref().ok_or_else(|| S3Error::new(Code::InvalidBucketName))
    }

    /// The key, for verbs that `route` chose because there is one.
    pub fn key(&self) -> Result<&str, S3Error> {
        self.key.as_deref().ok_or_else(|| {
            S3Error::with_message(Code::InvalidRequest, "This operation needs an object key.")
        })
    }

    /// A header as text: `None` when absent, an error when it isn't visible ASCII or comes twice.
    pub fn header(&self, name: &str) -> Result<Option<&str>, S3Error> {
        single(&self.headers, name)
    }

    /// Asks iam whether the caller may do `action` to the bucket and key of this request.
    pub(crate) fn grant(&self, service: &Service, action: Action) -> Result<Grant, S3Error> {
        let bucket = self.bucket.as_deref().unwrap_or("");
        self.grant_on(service, action, bucket, self.key.as_deref())
    }

    /// Asks iam whether the caller may do `action` to the bucket and key given.
    ///
    /// The question has the bucket's owner and policy, and the grant is for that very bucket: it
    /// does not hold for one that is made in its place later. A bucket that is not there is told
    /// only to who may do the action to buckets of its own.
    pub(crate) fn grant_on(
        &self,
        service: &Service,
        action: Action,
        bucket: &str,
        key: Option<&str>,
    ) -> Result<Grant, S3Error> {
        let own = self.bucket.as_deref() == Some(bucket);
        let expected = own.then_some(BUCKET_OWNER);
        self.grant_expecting(service, action, (bucket, key), expected, &self.asking(service, None))
    }

    /// The same for the source of a copy; `version`: the one that is named.
    pub(crate) fn grant_source(
        &self,
        service: &Service,
        action: Action,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Grant, S3Error> {
        let asking = self.asking(service, version);
        let place = (bucket, Some(key));
        self.grant_expecting(service, action, place, Some(SOURCE_OWNER), &asking)
    }

    /// The same for a version of a key in the bucket of this request, which the query does not name.
    pub(crate) fn grant_version(
        &self,
        service: &Service,
        action: Action,
        key: &str,
        version: Option<&str>,
    ) -> Result<Grant, S3Error> {
        let asking = self.asking(service, version);
        let place = (self.bucket()?, Some(key));
        self.grant_expecting(service, action, place, Some(BUCKET_OWNER), &asking)
    }

    fn grant_expecting(
        &self,
        service: &Service,
        action: Action,
        (bucket, key): (&str, Option<&str>),
        expected: Option<&'static str>,
        asking: &Asking<'_>,
    ) -> Result<Grant, S3Error> {
        let resource = Resource::addressed(Some(bucket), key);
        let ask = Ask::new(action, &resource).with_context(asking);
        if bucket.is_empty() || action == Action::CreateBucket {
            return self.ask(&ask);
        }
        match service.objects.bucket_facts(bucket)? {
            Some(facts) => {
                let account = service.account_of(&facts.bucket);
                self.grant_in(Some((&facts, &account)), &ask, expected)
            }
            None => self.grant_in(None, &ask, expected),
        }
    }

    /// Asks iam about a bucket of which these facts are known and whose account this is. The owner
    /// that the header `expected` names is compared with the very facts that the grant is made
    /// from.
    fn grant_in(
        &self,
        found: Option<(&BucketFacts, &str)>,
        ask: &Ask<'_>,
        expected: Option<&'static str>,
    ) -> Result<Grant, S3Error> {
        if let Some(name) = expected {
            let owner = found.map(|(facts, account)| (facts.bucket.owner.as_str(), account));
            check_expected(self, name, owner)?;
        }
        let Some((facts, account)) = found else {
            return self.ask(ask).and(Err(S3Error::new(Code::NoSuchBucket)));
        };
        self.ask(&Ask {
            owner: Some(account),
            bucket_id: Some(facts.bucket.id.0),
            resource_policy: facts.policy.as_deref(),
            restrict_public: facts.is_restricted(),
            ..*ask
        })
    }

    /// Refuses a policy under which the caller could no longer do `action` to the bucket.
    pub(crate) fn would_keep(
        &self,
        service: &Service,
        action: Action,
        policy: &Policy,
    ) -> Result<(), S3Error> {
        let Some(facts) = service.objects.bucket_facts(self.bucket()?)? else {
            return Err(S3Error::new(Code::NoSuchBucket));
        };
        let resource = Resource::bucket(self.bucket()?);
        self.ask(&Ask {
            owner: Some(&service.account_of(&facts.bucket)),
            resource_policy: Some(policy),
            ..Ask::new(action, &resource).with_context(&self.asking(service, None))
        })?;
        Ok(())
    }

    /// Lets policies ask for one key more, which the body told.
    pub(crate) fn let_ask(&mut self, service: &Service, key: &'static str, value: &str) {
        let mut context = self.asking(service, None).context().clone();
        context.set(key, value);
        self.asked.context = OnceLock::from(context);
    }

    fn asking<'a>(&'a self, service: &'a Service, version: Option<&'a str>) -> Asking<'a> {
        let region = &service.settings.region;
        Asking { head: self, region, version, of_version: OnceLock::new() }
    }

    fn ask(&self, ask: &Ask<'_>) -> Result<Grant, S3Error> {
        coffer_iam::authorize(&self.principal, ask).map_err(|denied| self.refused(&denied))
    }

    fn refused(&self, denied: &Denied) -> S3Error {
        tracing::debug!(
            request_id = self.request_id,
            principal = self.principal.name(),
            action = denied.action.name(),
            bucket = denied.resource.bucket_name(),
            key = denied.resource.key(),
            "denied: {denied}"
        );
        S3Error::new(Code::AccessDenied)
    }
}

/// The only value of header `name` as text; an error when there are several or it isn't ASCII.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, S3Error> {
    Ok(coffer_sigv4::header::single(headers, name)?)
}

/// A request whose caller is known. Its head's fields are reached directly.
pub struct Call {
    /// Everything but the body.
    pub head: CallHead,
    /// The payload.
    pub body: Body,
}

impl Deref for Call {
    type Target = CallHead;
    fn deref(&self) -> &CallHead {
        &self.head
    }
}

#[cfg(test)]
mod tests;
