//! A header that may be given once.

use http::header::ValueIter;
use http::{HeaderMap, HeaderValue};

use crate::Error;

/// With more headers than this a name is looked up by its hash.
const SCANNED_MAX: usize = 24;

/// The values of header `name`.
///
/// Most requests have few headers and are asked for many that they do not have. Looking at each is
/// several times as quick as parsing and hashing the name that is looked for.
pub fn values<'a>(headers: &'a HeaderMap, name: &str) -> Values<'a> {
    // Names of headers are in lower case; what is looked for may come from a request.
    let few = headers.len() <= SCANNED_MAX && !name.bytes().any(|b| b.is_ascii_uppercase());
    match few {
        false => Values::LookedUp(headers.get_all(name).iter()),
        true => match headers.keys().find(|known| known.as_str() == name) {
            Some(known) => Values::LookedUp(headers.get_all(known).iter()),
            None => Values::None,
        },
    }
}

/// The values of one header, in the order they came.
pub enum Values<'a> {
    /// There are none.
    None,
    /// These.
    LookedUp(ValueIter<'a, HeaderValue>),
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a HeaderValue;

    fn next(&mut self) -> Option<&'a HeaderValue> {
        match self {
            Values::None => None,
            Values::LookedUp(values) => values.next(),
        }
    }
}

/// The only value of header `name` as text; an error when there are several or it isn't ASCII.
pub fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Error> {
    let mut values = values(headers, name);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::Repeated(name.to_owned()));
    }
    value.to_str().map(Some).map_err(|_| Error::NotText(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_given_once() {
        for more in [0, SCANNED_MAX] {
            let mut headers = HeaderMap::new();
            headers.insert("one", "1".parse().unwrap());
            headers.append("two", "1".parse().unwrap());
            headers.append("two", "2".parse().unwrap());
            headers.insert("odd", HeaderValue::from_bytes(b"\xfc").unwrap());
            for i in 0..more {
                let name: http::HeaderName = format!("more-{i}").parse().unwrap();
                headers.insert(name, "x".parse().unwrap());
            }
            assert_eq!(single(&headers, "one").unwrap(), Some("1"));
            assert_eq!(single(&headers, "none").unwrap(), None);
            assert_eq!(single(&headers, "two").unwrap_err(), Error::Repeated("two".to_owned()));
            assert_eq!(single(&headers, "odd").unwrap_err(), Error::NotText("odd".to_owned()));
            let two: Vec<_> = values(&headers, "two").collect();
            assert_eq!(two, ["1", "2"]);
            assert_eq!(values(&headers, "Two").count(), 2);
            assert_eq!(values(&headers, "none").count(), 0);
        }
    }
}
