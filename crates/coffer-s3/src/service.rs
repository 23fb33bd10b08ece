//! One request from its head to its reply.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use coffer_base::{Clock, Rng, Timestamp};
use coffer_iam::{Action, Effect, Principal};
use coffer_identity::Identity;
use coffer_objects::{Bucket, Objects};
use coffer_sigv4::{ChunkSigner, Claim, Expected, SignedHead, SigningKeys};
use http::header::{AUTHORIZATION, CONNECTION, EXPECT, HOST};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::address::Address;
use crate::body::{Body, Payload, SourceError, Supply, Unread};
use crate::error::{Code, S3Error};
use crate::metrics::{Account, Counters, Metrics};
use crate::ops::{self, Operation};
use crate::request::{Asked, Call, CallHead, Query, Signed};
use crate::respond::{Reply, ReplyBody, reply_empty, reply_xml};
use crate::stamps::Stamps;

/// How much of a body that nobody reads is taken in, so that the connection can go on.
const DRAIN_BYTES_MAX: usize = 256 << 10;
/// How long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);
/// How many large documents are in memory at once; more requests that have one wait.
const LARGE_DOCUMENTS_MAX: usize = 8;
/// Whom a request counts for that was refused before it was known what it wants.
const UNROUTED: &str = "none";

/// What a service is told.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// The region that signatures must name.
    pub region: String,
    /// Domains below which a host name names a bucket. Empty: path style only.
    pub base_domains: Vec<String>,
}

/// Answers S3 requests out of a store.
pub struct Service {
    /// The store.
    pub objects: Objects,
    /// What it was told.
    pub settings: ServiceSettings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For request ids.
    pub rng: Arc<dyn Rng>,
    /// Who may sign requests.
    pub identity: Identity,
    /// What was counted.
    pub metrics: Metrics,
    keys: SigningKeys,
    nobody: Arc<Principal>,
    /// One permit for each large document being read or held.
    pub(crate) documents: Arc<Semaphore>,
    host_id: String,
    stamps: Stamps,
}

impl Service {
    /// A service over `objects` for the callers that `identity` knows.
    pub fn new(
        objects: Objects,
        settings: ServiceSettings,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        identity: Identity,
    ) -> Service {
        let mut host_id = [0; 48];
        rng.fill(&mut host_id);
        let host_id = BASE64_STANDARD.encode(host_id);
        Service {
            objects,
            settings,
            clock,
            rng,
            identity,
            metrics: Metrics::default(),
            keys: SigningKeys::default(),
            nobody: Arc::new(Principal::anonymous()),
            documents: Arc::new(Semaphore::new(LARGE_DOCUMENTS_MAX)),
            stamps: Stamps::new(&host_id),
            host_id,
        }
    }

    /// Answers one request. Whatever happens becomes a reply.
    pub async fn handle<B>(&self, request: Request<B>) -> Reply
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<SourceError>,
    {
        let started = self.clock.monotonic();
        let presence = self.metrics.request();
        let now = self.clock.now();
        let request_id = self.stamps.request_id(&*self.rng);
        let (mut parts, body) = request.into_parts();
        if !parts.headers.contains_key(HOST)
            && let Some(authority) = parts.uri.authority()
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            parts.headers.insert(HOST, host);
        }
        let method = parts.method.clone();
        let uri = parts.uri.clone();
        let path = uri.path();
        let expects_continue = parts.headers.contains_key(EXPECT);
        let mut course = Course::default();
        let supply = Supply::new(body.map_err(Into::into).boxed());
        let leftover = supply.leftover();
        let result = self.serve(parts, supply, &request_id, now, &mut course).await;
        let mut reply = match result {
            Ok(reply) => reply,
            Err(error) => self.on_error(error, path, &request_id, &course),
        };
        if let Some(unread) = leftover.take()
            && !Box::pin(drained(unread, expects_continue)).await
        {
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.stamps.put_on(reply.headers_mut(), &request_id, now);
        if method == Method::HEAD || reply.status() == StatusCode::NOT_MODIFIED {
            reply.body_mut().clear();
        }
        let counters = course.counters.unwrap_or_else(|| self.metrics.operation(UNROUTED));
        let (status, clock) = (reply.status(), self.clock.clone());
        let body_bytes = reply.body().size_hint().exact().unwrap_or(0);
        let took_us = self.clock.monotonic().saturating_sub(started).as_micros() as u64;
        tracing::debug!(
            request_id,
            %method,
            path,
            operation = course.operation.unwrap_or(UNROUTED),
            principal = course.principal.as_ref().map_or("-", |principal| principal.name()),
            status = status.as_u16(),
            took_us,
            "request"
        );
        coffer_base::failpoint::pass("reply.before");
        let account = Account::new(counters, clock, started, status, body_bytes, presence);
        reply.body_mut().accounted(account);
        reply
    }

    async fn serve(
        &self,
        parts: Parts,
        supply: Supply,
        request_id: &str,
        now: Timestamp,
        course: &mut Course,
    ) -> Result<Reply, S3Error> {
        let query_raw = parts.uri.query().unwrap_or("");
        let host = parts.headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or("");
        let address = Address::read(host, parts.uri.path(), &self.settings.base_domains)?;
        let query = Query::parse(query_raw)?;
        let Caller { principal, signer, signed } = self.authenticate(&parts, &query, now).await?;
        course.principal = Some(principal.clone());
        let raw_path = parts.uri.path().to_owned();
        let head = CallHead {
            method: parts.method,
            bucket: address.bucket,
            key: address.key,
            query,
            headers: parts.headers,
            raw_path,
            principal,
            request_id: request_id.to_owned(),
            now,
            arrival: parts.extensions.get().copied(),
            signed,
            asked: Asked::default(),
        };
        course.named = (head.bucket.clone(), head.key.clone());
        let operation = ops::route(&head)?;
        course.operation = Some(operation.name());
        let counters = self.metrics.operation(operation.name());
        course.counters = Some(counters.clone());
        // A preflight has no credentials by its nature, and a form upload has them in its body:
        // both go on, to be refused by the operations that are meant.
        let open_to_nobody = matches!(operation, Operation::PostObject | Operation::OptionsObject);
        if head.principal.is_anonymous() && !open_to_nobody {
            // What is not built is not even told to nobody.
            if !operation.is_built() || !self.may_let_in_nobody(&head, operation)? {
                return Err(S3Error::new(Code::AccessDenied));
            }
        }
        let payload_hash = head.signed.as_ref().map(|signed| signed.payload_hash.as_str());
        let payload = Payload::of(&head.headers, payload_hash)?;
        let mut body = Body::over(supply, &head.headers, payload, signer)?;
        body.count_into(counters);
        ops::dispatch(self, operation, Call { head, body }).await
    }

    /// Who asks, and what the signature says about the payload.
    async fn authenticate(
        &self,
        parts: &Parts,
        query: &Query,
        now: Timestamp,
    ) -> Result<Caller, S3Error> {
        let Some(claim) =
            Claim::read(&parts.headers, query, Expected::s3(&[&self.settings.region]))?
        else {
            return Ok(Caller { principal: self.nobody.clone(), signer: None, signed: None });
        };
        let token = claim.security_token.as_deref();
        let found = self.credential(&claim.access_key, token, now).await?;
        let (secret, principal) = found.ok_or_else(|| {
            S3Error::new(Code::InvalidAccessKeyId).extra("AWSAccessKeyId", &claim.access_key)
        })?;
        let head = SignedHead {
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or(""),
            headers: &parts.headers,
        };
        let signer = claim.verify(head, &secret, &self.keys, now)?;
        self.identity.note_use(&claim.access_key, "s3", &self.settings.region, now);
        // A presigned URL signs no payload that chunks could continue from.
        let in_header = parts.headers.contains_key(AUTHORIZATION);
        Ok(Caller {
            principal,
            signer: in_header.then_some(signer),
            signed: Some(Signed { in_header, at: claim.at, payload_hash: claim.payload_hash }),
        })
    }

    /// Whether the bucket of a request has a policy with a statement that may let in who is not
    /// known. Without one nobody unknown may do anything, nor learn anything, nor have a body read.
    fn may_let_in_nobody(&self, head: &CallHead, operation: Operation) -> Result<bool, S3Error> {
        let Some(bucket) = &head.bucket else {
            return Ok(false);
        };
        let facts = self.objects.bucket_facts(bucket)?;
        let Some(policy) = facts.as_ref().and_then(|facts| facts.policy.as_ref()) else {
            return Ok(false);
        };
        // DeleteObjects reads its document before it can ask about the keys in it.
        let deletes = operation == Operation::DeleteObjects;
        Ok(policy.statements().iter().any(|statement| {
            statement.effect() == Effect::Allow
                && statement.reaches_anonymous()
                && (!deletes
                    || statement.is_about(Action::DeleteObject)
                    || statement.is_about(Action::DeleteObjectVersion))
        }))
    }

    /// Refuses a request about a bucket that does not exist before its body is taken in: for
    /// DeleteObjects no permission on the bucket is needed, and as in S3 every known caller may
    /// learn that a bucket is not there.
    pub(crate) fn check_bucket_exists(&self, bucket: &str) -> Result<(), S3Error> {
        let facts = self.objects.bucket_facts(bucket)?;
        facts.map(|_| ()).ok_or_else(|| S3Error::new(Code::NoSuchBucket))
    }

    /// The number of the account that owns a bucket.
    pub(crate) fn account_of<'a>(&self, bucket: &'a Bucket) -> Cow<'a, str> {
        match bucket.account.as_str() {
            // Made before there were several accounts: of the one that there was.
            "" => Cow::Owned(self.identity.default_account().to_string()),
            account => Cow::Borrowed(account),
        }
    }

    /// The secret and the principal of an access key that exists and is enabled.
    async fn credential(
        &self,
        access_key: &str,
        session_token: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<(String, Arc<Principal>)>, S3Error> {
        let found = self.identity.credential(access_key, session_token, now).await?;
        Ok(found.filter(|c| c.enabled).map(|c| (c.secret, c.principal)))
    }

    /// The reply that tells `error`.
    fn on_error(&self, mut error: S3Error, path: &str, request_id: &str, course: &Course) -> Reply {
        let operation = course.operation.unwrap_or(UNROUTED);
        let (code, status) = (error.code.name(), error.code.status());
        let cause = error.cause.take();
        if status.is_server_error() && error.code != Code::NotImplemented {
            tracing::error!(request_id, operation, path, code, cause, "{}", error.message);
        } else {
            tracing::debug!(request_id, operation, path, code, cause, "{}", error.message);
        }
        match (error.code, &course.named) {
            (Code::NoSuchBucket | Code::BucketNotEmpty, (Some(bucket), _)) => {
                error = error.extra("BucketName", bucket);
            }
            (Code::NoSuchKey, (_, Some(key))) => error = error.extra("Key", key),
            _ => {}
        }
        let mut reply = if status == StatusCode::NOT_MODIFIED {
            reply_empty(status)
        } else {
            reply_xml(status, error.to_xml(path, request_id, &self.host_id))
        };
        for (name, value) in error.headers {
            reply.headers_mut().insert(name, value);
        }
        reply
    }
}

/// Who sent a request, and what the signature says about its payload.
struct Caller {
    principal: Arc<Principal>,
    /// For payloads in signed chunks, how their signatures go on.
    signer: Option<ChunkSigner>,
    /// How it is signed.
    signed: Option<Signed>,
}

/// What became known of a request on its way.
#[derive(Default)]
struct Course {
    operation: Option<&'static str>,
    principal: Option<Arc<Principal>>,
    /// Bucket and key.
    named: (Option<String>, Option<String>),
    counters: Option<Arc<Counters>>,
}

impl coffer_http::Answer for Service {
    type Body = ReplyBody;

    async fn answer(&self, request: Request<coffer_http::RequestBody>) -> Reply {
        self.handle(request).await
    }
}

/// Takes in what is left of a body, within bounds: whether its end was reached, so that the
/// connection can carry another request. A client that waits for `100 Continue` sends nothing.
async fn drained(unread: Unread, expects_continue: bool) -> bool {
    let Unread { mut source, touched } = unread;
    let hopeless = source.size_hint().lower() > DRAIN_BYTES_MAX as u64;
    if hopeless || (expects_continue && !touched) {
        return false;
    }
    let draining = async {
        let mut bytes = 0;
        while let Some(frame) = source.frame().await {
            let Ok(frame) = frame else { return false };
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DRAIN_BYTES_MAX {
                return false;
            }
        }
        true
    };
    timeout(DRAIN_TIME_MAX, draining).await.unwrap_or(false)
}
