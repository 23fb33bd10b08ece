//! One request from its head to its reply.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use coffer_base::{Clock, Rng, Timestamp};
use coffer_iam::{Context, Principal, PrincipalKind};
use coffer_identity::Identity;
use coffer_sigv4::{Claim, Expected, Query, Service, SignedHead, SigningKeys, claimed_key, time};
use http::header::{CONNECTION, CONTENT_TYPE, DATE, HOST, REFERER, SERVER, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use sha2::{Digest as _, Sha256};

use crate::call::Call;
use crate::dispatch::{namespace, operation};
use crate::document::{self, Document, seconds};
use crate::error::{Code, QueryError};
use crate::form::Parameters;
use crate::forms::Forms;
use crate::metrics::Metrics;
use crate::oidc::fetch::Fetch;
use crate::oidc::issuers::Issuers;
use crate::ops;
use crate::table::Operation;

/// The region that clients of IAM and STS sign for when they are not told another.
const GLOBAL_REGION: &str = "us-east-1";

/// How much of a header that the client writes about itself a policy is shown, in bytes: its
/// beginning. Matching is paid for by the byte.
const OF_THE_CLIENT_BYTES_MAX: usize = 4 << 10;

/// What a service is told.
#[derive(Clone, Debug)]
pub struct QuerySettings {
    /// The store's region, which signatures may name besides `us-east-1`.
    pub region: String,
}

/// How a request came.
#[derive(Clone, Copy, Debug)]
pub struct Came {
    /// The other end of the connection, if it is known.
    pub peer: Option<SocketAddr>,
    /// Whether it came by TLS.
    pub secure: bool,
}

/// Answers requests to IAM and STS.
pub struct QueryService {
    identity: Identity,
    settings: QuerySettings,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    keys: SigningKeys,
    issuers: Issuers,
    forms: Forms,
    metrics: Arc<Metrics>,
}

impl QueryService {
    /// A service over the store of identities.
    pub fn new(
        identity: Identity,
        settings: QuerySettings,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        fetch: Arc<dyn Fetch>,
    ) -> QueryService {
        let issuers = Issuers::new(fetch, clock.clone());
        let (keys, forms) = (SigningKeys::default(), Forms::default());
        let metrics = Arc::default();
        QueryService { identity, settings, clock, rng, keys, issuers, forms, metrics }
    }

    /// What was counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Answers one request. Whatever happens becomes a reply.
    pub async fn handle<B>(&self, request: Request<B>, came: Came) -> Response<Full<Bytes>>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = self.clock.monotonic();
        let now = self.clock.now();
        let request_id = request_id(&*self.rng);
        let (mut parts, body) = request.into_parts();
        if !parts.headers.contains_key(HOST)
            && let Some(authority) = parts.uri.authority()
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            parts.headers.insert(HOST, host);
        }
        let mut course = Course::default();
        let form = match self.is_from_somebody(&parts, now).await {
            Ok(true) => self.forms.of_somebody(body).await,
            Ok(false) => self.forms.of_anybody(body).await,
            Err(error) => Err(error),
        };
        let (result, is_read) = match form {
            Ok(form) => (self.serve(&parts, &form.bytes, came, now, &mut course).await, true),
            Err(error) => (Err(error), false),
        };
        let service = course.operation.map_or_else(|| claimed(&parts), Operation::service);
        let operation = course.operation.map_or("none", Operation::name);
        let principal = course.principal.as_deref().unwrap_or("-");
        let (status, document) = match result {
            Ok(document) => {
                let has_result = course.operation.is_some_and(Operation::has_result);
                let body = has_result.then_some(document.as_str());
                let reply = document::reply(operation, namespace(service), body, &request_id);
                (StatusCode::OK, reply)
            }
            Err(error) => {
                let (code, status) = (error.code.name(), error.code.status());
                let cause = error.cause.as_deref();
                if status.is_server_error() && error.code != Code::NotImplemented {
                    tracing::error!(request_id, operation, principal, code, cause, "{error}");
                } else {
                    tracing::debug!(request_id, operation, principal, code, cause, "{error}");
                }
                (status, error.to_xml(namespace(service), &request_id))
            }
        };
        let took = self.clock.monotonic().saturating_sub(started);
        self.metrics.book(service, course.operation, status, took);
        tracing::debug!(
            request_id,
            service = service.name(),
            operation,
            principal,
            status = status.as_u16(),
            took_us = took.as_micros() as u64,
            "request"
        );
        let mut reply = Response::new(Full::new(Bytes::from(document)));
        *reply.status_mut() = status;
        let value = |text: &str| HeaderValue::from_str(text).expect("hex and dates fit");
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
        headers.insert("x-amzn-requestid", value(&request_id));
        headers.insert(SERVER, HeaderValue::from_static("Coffer"));
        headers.insert(DATE, value(&time::http_date(now)));
        if !is_read {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    /// Whether the request says that it is signed with a key that somebody has. One that nobody
    /// has is refused.
    async fn is_from_somebody(&self, parts: &Parts, now: Timestamp) -> Result<bool, QueryError> {
        let query = Query::parse(parts.uri.query().unwrap_or(""))?;
        let Some((access_key, token)) = claimed_key(&parts.headers, &query) else {
            return Ok(false);
        };
        let found = self.identity.credential(access_key, token, now).await?;
        match found.is_some_and(|found| found.enabled) {
            true => Ok(true),
            false => Err(QueryError::unknown_caller()),
        }
    }

    async fn serve(
        &self,
        parts: &Parts,
        form: &[u8],
        came: Came,
        now: Timestamp,
        course: &mut Course,
    ) -> Result<String, QueryError> {
        let query = Query::parse(parts.uri.query().unwrap_or(""))?;
        let parameters = Parameters::read(form, &query)?;
        let operation = operation(&parameters)?;
        course.operation = Some(operation);
        let caller = self.authenticate(parts, &query, form, operation, now).await?;
        course.principal = Some(caller.principal.arn());
        if !operation.is_built() {
            return Err(QueryError::not_implemented(operation.name()));
        }
        check_session(&caller, operation)?;
        let call = Call {
            identity: &self.identity,
            issuers: &self.issuers,
            caller: caller.principal,
            access_key: caller.access_key,
            is_temporary: caller.is_temporary,
            parameters,
            context: context(parts, came, now),
            now,
        };
        let mut document = Document::new();
        ops::run(operation, &call, &mut document).await?;
        Ok(document.finish())
    }

    /// Who asks.
    async fn authenticate(
        &self,
        parts: &Parts,
        query: &Query,
        form: &[u8],
        operation: Operation,
        now: Timestamp,
    ) -> Result<Caller, QueryError> {
        let hash = hex::encode(Sha256::digest(form));
        let service = operation.service();
        let expected = Expected {
            service,
            regions: &[&self.settings.region, GLOBAL_REGION],
            body_sha256: Some(&hash),
        };
        let Some(claim) = Claim::read(&parts.headers, query, expected)? else {
            // What it is known by is a parameter.
            if operation == Operation::AssumeRoleWithWebIdentity {
                return Ok(Caller {
                    principal: Arc::new(Principal::anonymous()),
                    access_key: String::new(),
                    is_temporary: false,
                });
            }
            return Err(QueryError::new(
                Code::MissingAuthenticationToken,
                "Request is missing Authentication Token",
            ));
        };
        let token = claim.security_token.as_deref();
        let found = self.identity.credential(&claim.access_key, token, now).await?;
        let credential =
            found.filter(|found| found.enabled).ok_or_else(QueryError::unknown_caller)?;
        let head = SignedHead {
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or(""),
            headers: &parts.headers,
        };
        claim.verify(head, &credential.secret, &self.keys, now)?;
        self.identity.note_use(&claim.access_key, service.name(), &claim.region, now);
        Ok(Caller {
            principal: credential.principal,
            access_key: claim.access_key,
            is_temporary: token.is_some(),
        })
    }
}

/// Who sent a request.
struct Caller {
    principal: Arc<Principal>,
    access_key: String,
    is_temporary: bool,
}

/// What became known of a request on its way.
#[derive(Default)]
struct Course {
    operation: Option<Operation>,
    principal: Option<String>,
}

/// "You cannot call any IAM API operations unless MFA authentication information is included in
/// the request. You cannot call any AWS STS API except AssumeRole or GetCallerIdentity." (AWS STS
/// API reference, GetSessionToken, of the credentials it gives.)
fn check_session(caller: &Caller, operation: Operation) -> Result<(), QueryError> {
    let is_own = matches!(caller.principal.kind, PrincipalKind::User { .. } | PrincipalKind::Root);
    if !caller.is_temporary || !is_own {
        return Ok(());
    }
    match (operation.service(), operation) {
        // It says for itself what is wrong.
        (_, Operation::GetSessionToken | Operation::AssumeRole | Operation::GetCallerIdentity) => {
            Ok(())
        }
        (Service::Sts, _) => Err(QueryError::new(
            Code::AccessDenied,
            format!("Cannot call {} with session credentials", operation.name()),
        )),
        _ => Err(QueryError::unknown_caller()),
    }
}

/// The condition keys that every request has.
fn context(parts: &Parts, came: Came, now: Timestamp) -> Context {
    let mut context = Context::new();
    context.set("aws:CurrentTime", seconds(now));
    context.set("aws:EpochTime", now.seconds().to_string());
    if let Some(peer) = came.peer {
        context.set("aws:SourceIp", peer.ip().to_canonical().to_string());
    }
    context.set("aws:SecureTransport", came.secure.to_string());
    for (key, header) in [("aws:UserAgent", USER_AGENT), ("aws:Referer", REFERER)] {
        if let Some(text) = parts.headers.get(header).and_then(|value| value.to_str().ok()) {
            // Visible ASCII, so it can be cut anywhere.
            context.set(key, &text[..text.len().min(OF_THE_CLIENT_BYTES_MAX)]);
        }
    }
    context
}

/// Whose words an error is told in when the operation is not known.
fn claimed(parts: &Parts) -> Service {
    let query = Query::parse(parts.uri.query().unwrap_or("")).unwrap_or_default();
    let claimed = Service::claimed(&parts.headers, &query);
    claimed.filter(|service| *service == Service::Sts).unwrap_or(Service::Iam)
}

/// As AWS's: a random UUID.
fn request_id(rng: &dyn Rng) -> String {
    let (high, low) = (rng.next_u64(), rng.next_u64());
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests;
