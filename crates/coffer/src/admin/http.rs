//! The admin port: `/health` (the process lives), `/ready` (it can take writes), `/metrics`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::facts::{Facts, Readiness};
use super::metrics;

/// What the port knows: nothing about the store until it is open.
#[derive(Clone)]
pub struct Watched {
    readiness: watch::Receiver<Readiness>,
}

impl Watched {
    /// Watches `readiness`.
    pub fn new(readiness: watch::Receiver<Readiness>) -> Watched {
        Watched { readiness }
    }

    fn facts(&self) -> Result<Arc<Facts>, String> {
        match &*self.readiness.borrow() {
            Readiness::Serving(facts) => Ok(facts.clone()),
            Readiness::Starting => Err("the store is being opened".to_owned()),
            Readiness::Draining => Err("the server is stopping".to_owned()),
        }
    }
}

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers on `listener` until the task is dropped.
pub async fn serve(listener: TcpListener, watched: Watched) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let slot = slots.clone().acquire_owned().await.expect("it is never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the admin port can't accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let watched = watched.clone();
        tokio::spawn(async move {
            let _slot = slot;
            let service = service_fn(|request| answer(&watched, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the admin port broke");
            }
        });
    }
}

async fn answer(
    watched: &Watched,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    const JSON: &str = "application/json";
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let what = serde_json::json!({"error": "only GET and HEAD are answered here"});
        return Ok(reply(StatusCode::METHOD_NOT_ALLOWED, JSON, what.to_string()));
    }
    Ok(match request.uri().path() {
        "/health" => reply(StatusCode::OK, JSON, r#"{"status":"live"}"#.to_owned()),
        "/ready" => {
            let ready = match watched.facts() {
                // Looking at drives blocks.
                Ok(facts) => match tokio::task::spawn_blocking(move || facts.ready()).await {
                    Ok(ready) => ready,
                    Err(error) => Err(error.to_string()),
                },
                Err(why) => Err(why),
            };
            match ready {
                Ok(degraded) => {
                    let body = serde_json::json!({"ready": true, "degraded": degraded});
                    reply(StatusCode::OK, JSON, body.to_string())
                }
                Err(why) => {
                    let body = serde_json::json!({"ready": false, "why": why});
                    reply(StatusCode::SERVICE_UNAVAILABLE, JSON, body.to_string())
                }
            }
        }
        "/metrics" => match watched.facts() {
            Ok(facts) => {
                // Asking drives for their space blocks.
                let text = tokio::task::spawn_blocking(move || {
                    facts.report().map(|report| {
                        metrics::render(&report, &facts.requests(), &facts.connection_events())
                    })
                });
                match text.await {
                    Ok(Ok(text)) => {
                        reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
                    }
                    Ok(Err(error)) => failed(&error.to_string()),
                    Err(error) => failed(&error.to_string()),
                }
            }
            Err(why) => {
                let body = serde_json::json!({"error": why});
                reply(StatusCode::SERVICE_UNAVAILABLE, JSON, body.to_string())
            }
        },
        _ => {
            let what = serde_json::json!({"error": "there are /health, /ready and /metrics"});
            reply(StatusCode::NOT_FOUND, JSON, what.to_string())
        }
    })
}

fn failed(error: &str) -> Response<Full<Bytes>> {
    tracing::error!(error, "the metrics can't be collected");
    let body = serde_json::json!({"error": error});
    reply(StatusCode::INTERNAL_SERVER_ERROR, "application/json", body.to_string())
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    reply
}
