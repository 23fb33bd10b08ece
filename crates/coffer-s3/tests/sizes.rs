//! What a request costs before anything of it is looked at.

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;

use crate::store::Store;

/// A request's future is moved when it begins, with all the room for whatever it may wait for.
#[tokio::test]
async fn a_request_is_small_to_move() {
    let store = Store::start().await;
    let handled = store.service.handle(Request::new(Empty::<Bytes>::new()));
    let bytes = size_of_val(&handled);
    drop(handled);
    assert!(bytes <= 8 << 10, "{bytes} bytes");
}
