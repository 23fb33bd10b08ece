//! One port, two faces: S3, and the query protocol of IAM and STS.

use std::sync::Arc;

use bytes::Bytes;
use coffer_http::{Answer, Arrival, RequestBody};
use coffer_query::QueryService;
use coffer_query::dispatch::is_query;
use coffer_query::service::Came;
use coffer_s3::{ReplyBody, Service};
use http::{Request, Response};
use http_body_util::{Either, Full};

/// Answers every request by the face it is for.
pub struct Faces {
    /// S3.
    pub s3: Arc<Service>,
    /// IAM and STS.
    pub query: QueryService,
}

impl Answer for Faces {
    type Body = Either<ReplyBody, Full<Bytes>>;

    async fn answer(&self, request: Request<RequestBody>) -> Response<Self::Body> {
        let (parts, body) = request.into_parts();
        if !is_query(&parts) {
            let request = Request::from_parts(parts, body);
            return self.s3.answer(request).await.map(Either::Left);
        }
        let arrival = parts.extensions.get::<Arrival>();
        let came = Came {
            peer: arrival.map(|arrival| arrival.peer),
            secure: arrival.is_some_and(|arrival| arrival.is_secure()),
        };
        // On the heap: requests of S3 need not have room for one of these.
        let handled = Box::pin(self.query.handle(Request::from_parts(parts, body), came));
        handled.await.map(Either::Right)
    }
}
