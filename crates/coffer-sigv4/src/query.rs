//! A query string, or a form body: decoded names and values in order.

use percent_encoding::percent_decode_str;

use crate::Error;

/// The parameters of a query string, percent-decoded, in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a raw query string. `+` is a space here, as everywhere in a query.
    pub fn parse(raw: &str) -> Result<Query, Error> {
        raw.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_, Error>>()
            .map(Query)
    }

    /// The first value of `name`; names are case-sensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Whether `name` is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

/// Decodes a name or value, where `+` is a space. A malformed escape, or bytes that aren't UTF-8,
/// are an error.
fn decode(raw: &str) -> Result<String, Error> {
    let bytes = raw.as_bytes();
    for (i, _) in raw.match_indices('%') {
        let escaped = bytes.get(i + 1..i + 3).is_some_and(|e| e.iter().all(u8::is_ascii_hexdigit));
        if !escaped {
            return Err(Error::BadQuery);
        }
    }
    let spaced = raw.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| Error::BadQuery)?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_in_order() {
        let query = Query::parse("a=1&b&&a=2&prefix=x+y%2Bz%2F&=v&c==").unwrap();
        let pairs: Vec<_> = query.iter().collect();
        let expected =
            [("a", "1"), ("b", ""), ("a", "2"), ("prefix", "x y+z/"), ("", "v"), ("c", "=")];
        assert_eq!(pairs, expected);
        assert_eq!(query.get("a"), Some("1"));
        assert!(query.has("b") && !query.has("B"));
        assert_eq!(Query::parse("").unwrap(), Query::default());
        for wrong in ["a=%", "%f=1", "a=%ff"] {
            assert_eq!(Query::parse(wrong).unwrap_err(), Error::BadQuery);
        }
    }
}
