//! The headers that every reply has, made with as little as can be: the date once a second, the host's
//! id once, and the numbers of requests many at a time.

use std::sync::Mutex;

use coffer_base::{Rng, Timestamp};
use http::header::{DATE, SERVER};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::time;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
static HOST_ID: HeaderName = HeaderName::from_static("x-amz-id-2");

/// How many request ids are drawn at once: drawing one costs a call to the system.
const IDS_AT_ONCE: usize = 64;

/// Makes them.
pub(crate) struct Stamps {
    host_id: HeaderValue,
    /// The second that is told now, and its text.
    date: Mutex<(u64, HeaderValue)>,
    /// Ids that were drawn and not given yet.
    ids: Mutex<Vec<u64>>,
}

impl Stamps {
    pub(crate) fn new(host_id: &str) -> Stamps {
        let at = Timestamp(0);
        Stamps {
            host_id: HeaderValue::from_str(host_id).expect("base64 fits"),
            date: Mutex::new((at.seconds(), date_of(at))),
            ids: Mutex::default(),
        }
    }

    /// An id for the next request: 16 digits, random.
    pub(crate) fn request_id(&self, rng: &dyn Rng) -> String {
        let mut ids = self.ids.lock().expect("no holder panics");
        let id = ids.pop().unwrap_or_else(|| {
            let mut bytes = [[0; 8]; IDS_AT_ONCE];
            rng.fill(bytes.as_flattened_mut());
            ids.extend(bytes.map(u64::from_be_bytes));
            ids.pop().expect("some were just drawn")
        });
        drop(ids);
        let digit = |at: u32| b"0123456789ABCDEF"[(id >> (60 - 4 * at) & 15) as usize];
        (0..16).map(|at| char::from(digit(at))).collect()
    }

    /// Puts them on a reply at `now`.
    pub(crate) fn put_on(&self, headers: &mut HeaderMap, request_id: &str, now: Timestamp) {
        let request_id = HeaderValue::from_str(request_id).expect("hex fits");
        headers.insert(REQUEST_ID.clone(), request_id);
        headers.insert(HOST_ID.clone(), self.host_id.clone());
        headers.insert(SERVER, HeaderValue::from_static("Coffer"));
        headers.insert(DATE, self.date(now));
    }

    fn date(&self, now: Timestamp) -> HeaderValue {
        let mut date = self.date.lock().expect("no holder panics");
        if date.0 != now.seconds() {
            *date = (now.seconds(), date_of(now));
        }
        date.1.clone()
    }
}

fn date_of(at: Timestamp) -> HeaderValue {
    HeaderValue::from_str(&time::http_date(at)).expect("dates fit")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use coffer_base::rng::SeededRng;

    use super::*;

    #[test]
    fn no_id_is_given_twice() {
        let (stamps, rng) = (Stamps::new("host"), SeededRng::new(1));
        let ids: HashSet<String> = (0..1000).map(|_| stamps.request_id(&rng)).collect();
        assert_eq!(ids.len(), 1000);
        let fits = |id: &String| {
            id.len() == 16 && id.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
        };
        assert!(ids.iter().all(fits), "{ids:?}");
    }

    #[test]
    fn the_date_is_that_of_now() {
        let stamps = Stamps::new("host");
        for (at, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (999, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778_000, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
        ] {
            let mut headers = HeaderMap::new();
            stamps.put_on(&mut headers, "00000000000000AB", Timestamp(at));
            assert_eq!(headers["date"], date);
            assert_eq!(headers["x-amz-request-id"], "00000000000000AB");
            assert_eq!(
                (&headers["server"], &headers["x-amz-id-2"]),
                (&"Coffer".parse().unwrap(), &"host".parse().unwrap())
            );
        }
    }
}
