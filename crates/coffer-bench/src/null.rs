//! The null server: on Coffer's HTTP stack it does for a PUT what no durable S3 server can leave
//! out (check the signature, hash the body, write and sync it), and nothing else. Nothing it takes
//! can be read.

use anyhow::{Result, bail};
use bytes::Bytes;
use coffer_base::{Clock as _, SystemClock};
use coffer_http::{Answer, RequestBody};
use coffer_sigv4::{Claim, Expected, Query, SignedHead, SigningKeys};
use http::header::ETAG;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use md5::{Digest as _, Md5};

use crate::lane::Lane;

/// Answers PUTs when they are durable, and everything else with nothing.
pub struct NullServer {
    /// Who may ask.
    pub access_key: String,
    /// Their secret.
    pub secret: String,
    /// The region that signatures must name.
    pub region: String,
    /// Where bodies go.
    pub lane: Lane,
    /// Derived keys, remembered as Coffer remembers them.
    pub keys: SigningKeys,
}

impl NullServer {
    async fn serve(&self, request: Request<RequestBody>) -> Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or("");
        let parsed = Query::parse(query)?;
        let regions = [self.region.as_str()];
        let Some(claim) = Claim::read(&parts.headers, &parsed, Expected::s3(&regions))? else {
            bail!("the request is not signed");
        };
        if claim.access_key != self.access_key {
            bail!("there is no access key {}", claim.access_key);
        }
        let head = SignedHead {
            method: &parts.method,
            path: parts.uri.path(),
            query,
            headers: &parts.headers,
        };
        claim.verify(head, &self.secret, &self.keys, SystemClock.now())?;
        let mut response = Response::new(Full::default());
        match parts.method {
            Method::PUT => {
                let body = match body.collect().await {
                    Ok(body) => body.to_bytes(),
                    Err(error) => bail!("the body broke off: {error}"),
                };
                let etag = format!("\"{}\"", hex::encode(Md5::digest(&body)));
                if !body.is_empty() {
                    self.lane.commit(body).await?;
                }
                response.headers_mut().insert(ETAG, etag.parse()?);
            }
            Method::HEAD => {}
            _ => *response.status_mut() = StatusCode::NO_CONTENT,
        }
        Ok(response)
    }
}

impl Answer for NullServer {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        self.serve(request).await.unwrap_or_else(|error| {
            let mut response = Response::new(Full::from(format!("{error:#}\n")));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        })
    }
}
