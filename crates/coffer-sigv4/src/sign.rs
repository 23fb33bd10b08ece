//! The client's side of SigV4: for load generators and tests.

use coffer_base::Timestamp;
use http::header::{AUTHORIZATION, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};
use percent_encoding::utf8_percent_encode;

use crate::canonical::{self, PATH, QUERY};
use crate::{ALGORITHM, ChunkSigner, Claim, Query, Service, SignedHead, SigningKey, time};

/// The payload hash of a request whose payload is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// The payload hash of a request whose payload comes in signed chunks.
pub const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
/// The same with signed trailers.
pub const SIGNED_CHUNKS_AND_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
/// The payload hash of a request whose payload comes in unsigned chunks with trailers.
pub const UNSIGNED_CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// Something in a request can't be a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsignable(&'static str);

impl std::fmt::Display for Unsignable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} can't be sent in a request", self.0)
    }
}

impl std::error::Error for Unsignable {}

/// Signs requests with one credential for one region and service.
#[derive(Clone)]
pub struct Signer {
    access_key: String,
    secret: String,
    region: String,
    service: Service,
    token: Option<String>,
}

impl Signer {
    /// A signer for S3.
    pub fn new(
        access_key: impl Into<String>,
        secret: impl Into<String>,
        region: impl Into<String>,
    ) -> Signer {
        Signer {
            access_key: access_key.into(),
            secret: secret.into(),
            region: region.into(),
            service: Service::S3,
            token: None,
        }
    }

    /// The same for another service.
    pub fn for_service(self, service: Service) -> Signer {
        Signer { service, ..self }
    }

    /// The same with the token of a temporary credential.
    pub fn with_token(self, token: impl Into<String>) -> Signer {
        Signer { token: Some(token.into()), ..self }
    }

    /// Adds `host` (if it is missing and `uri` has it), `x-amz-date`, `x-amz-content-sha256` and
    /// `authorization` to `headers`, all of which are signed. `payload_hash` is the payload's
    /// SHA-256 in hex or one of this module's constants. Gives the signer of the payload's chunks.
    pub fn sign_headers(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        payload_hash: &str,
        now: Timestamp,
    ) -> Result<ChunkSigner, Unsignable> {
        if !headers.contains_key(HOST)
            && let Some(authority) = uri.authority()
        {
            headers.insert(HOST, value("host", authority.as_str())?);
        }
        headers.insert("x-amz-date", value("date", &time::amz_date(now))?);
        headers.insert("x-amz-content-sha256", value("payload hash", payload_hash)?);
        if let Some(token) = &self.token {
            headers.insert("x-amz-security-token", value("security token", token)?);
        }
        let mut signed_headers: Vec<String> =
            headers.keys().map(|name| name.as_str().to_owned()).collect();
        signed_headers.sort();
        let mut claim = self.claim(now, signed_headers, payload_hash, None);
        let head =
            SignedHead { method, path: uri.path(), query: uri.query().unwrap_or(""), headers };
        let key = self.complete(&mut claim, head);
        let authorization = format!(
            "{ALGORITHM} Credential={}/{},SignedHeaders={},Signature={}",
            claim.access_key,
            claim.scope(),
            claim.signed_headers.join(";"),
            claim.signature
        );
        headers.insert(AUTHORIZATION, value("access key", &authorization)?);
        Ok(ChunkSigner::new(key, time::amz_date(now), claim.scope(), claim.signature))
    }

    /// `uri`, which must have an authority, with a query that lets anybody do `method` for
    /// `expires_seconds`. If its query has `X-Amz-Content-Sha256`, the payload must have that
    /// SHA-256; else it may be any.
    pub fn presign(
        &self,
        method: &Method,
        uri: &Uri,
        expires_seconds: u64,
        now: Timestamp,
    ) -> Result<Uri, Unsignable> {
        let authority = uri.authority().ok_or(Unsignable("URI without a host"))?;
        let mut headers = HeaderMap::new();
        headers.insert(HOST, value("host", authority.as_str())?);
        let signed_headers = vec!["host".to_owned()];
        let named = uri.query().map(Query::parse).transpose();
        let named = named.map_err(|_| Unsignable("query"))?.unwrap_or_default();
        let payload_hash = named.get("X-Amz-Content-Sha256").unwrap_or(UNSIGNED_PAYLOAD);
        let mut claim = self.claim(now, signed_headers, payload_hash, Some(expires_seconds));
        let credential = format!("{}/{}", claim.access_key, claim.scope());
        let mut query = match uri.query() {
            Some(query) if !query.is_empty() => format!("{query}&"),
            _ => String::new(),
        };
        query += &format!(
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={}&\
             X-Amz-Expires={expires_seconds}&X-Amz-SignedHeaders=host",
            utf8_percent_encode(&credential, QUERY),
            time::amz_date(now)
        );
        if let Some(token) = &self.token {
            query += &format!("&X-Amz-Security-Token={}", utf8_percent_encode(token, QUERY));
        }
        let head = SignedHead { method, path: uri.path(), query: &query, headers: &headers };
        self.complete(&mut claim, head);
        query += &format!("&X-Amz-Signature={}", claim.signature);
        let mut parts = uri.clone().into_parts();
        let path_and_query = PathAndQuery::try_from(format!("{}?{query}", uri.path()))
            .map_err(|_| Unsignable("query"))?;
        parts.path_and_query = Some(path_and_query);
        Uri::from_parts(parts).map_err(|_| Unsignable("query"))
    }

    fn claim(
        &self,
        now: Timestamp,
        signed_headers: Vec<String>,
        payload_hash: &str,
        expires_seconds: Option<u64>,
    ) -> Claim {
        Claim {
            access_key: self.access_key.clone(),
            day: time::amz_date(now)[..8].to_owned(),
            region: self.region.clone(),
            service: self.service,
            security_token: self.token.clone(),
            at: Timestamp(now.seconds() * 1000),
            signed_headers,
            signature: String::new(),
            payload_hash: payload_hash.to_owned(),
            expires_seconds,
        }
    }

    fn complete(&self, claim: &mut Claim, head: SignedHead<'_>) -> SigningKey {
        let key = SigningKey::derive(&self.secret, &claim.day, &self.region, self.service);
        let canonical = canonical::request(head, claim, &canonical::path(self.service, head.path));
        claim.signature = key.sign(canonical::string_to_sign(claim, &canonical).as_bytes());
        key
    }
}

/// A key as it stands in a path.
pub fn encode_path(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

/// A name or value as it stands in a query.
pub fn encode_query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

fn value(what: &'static str, text: &str) -> Result<HeaderValue, Unsignable> {
    HeaderValue::from_str(text).map_err(|_| Unsignable(what))
}
