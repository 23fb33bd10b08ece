//! A header that may be given once.

use http::HeaderMap;
use http::header::AsHeaderName;

use crate::Error;

/// The only value of header `name` as text; an error when there are several or it isn't ASCII.
pub fn single(
    headers: &HeaderMap,
    name: impl AsHeaderName + Copy + AsRef<str>,
) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::Repeated(name.as_ref().to_owned()));
    }
    value.to_str().map(Some).map_err(|_| Error::NotText(name.as_ref().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_given_once() {
        let mut headers = HeaderMap::new();
        headers.insert("one", "1".parse().unwrap());
        headers.append("two", "1".parse().unwrap());
        headers.append("two", "2".parse().unwrap());
        headers.insert("odd", http::HeaderValue::from_bytes(b"\xfc").unwrap());
        assert_eq!(single(&headers, "one").unwrap(), Some("1"));
        assert_eq!(single(&headers, "none").unwrap(), None);
        assert_eq!(single(&headers, "two").unwrap_err(), Error::Repeated("two".to_owned()));
        assert_eq!(single(&headers, "odd").unwrap_err(), Error::NotText("odd".to_owned()));
    }
}
