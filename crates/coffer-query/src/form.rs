//! The parameters of a call: what stands in its form or its query string, with AWS's way to write
//! lists and structures (`Tags.member.1.Key=a`).
//!
//! A name that is given twice is refused: two readers could take it for different things.

use std::collections::BTreeMap;

use coffer_sigv4::Query;

use crate::error::{Code, QueryError};

#[cfg(test)]
mod tests;

/// The longest form that is read.
pub const FORM_BYTES_MAX: usize = 1 << 20;
/// The longest form of a request that nobody has signed: a token of 20,000 characters, a policy.
pub const UNSIGNED_FORM_BYTES_MAX: usize = 64 << 10;
/// The most parameters of a call.
pub const PARAMETERS_MAX: usize = 4096;
/// The most entries of one list.
pub const LIST_ENTRIES_MAX: usize = 1000;

/// The parameters of a call, or of a structure in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a form and a query string, either of which may be empty. What belongs to a presigned
    /// URL's signature is left out.
    pub(crate) fn read(form: &[u8], query: &Query) -> Result<Parameters, QueryError> {
        let malformed = |why: &'static str| QueryError::new(Code::MalformedQueryString, why);
        if form.len() > FORM_BYTES_MAX {
            return Err(QueryError::new(
                Code::RequestEntityTooLarge,
                format!("The request must not be longer than {FORM_BYTES_MAX} bytes."),
            ));
        }
        let form = std::str::from_utf8(form).map_err(|_| malformed("The form is not UTF-8."))?;
        // Before they are decoded, which costs many times their length.
        let pairs = form.split('&').filter(|pair| !pair.is_empty());
        if pairs.take(PARAMETERS_MAX + 1).count() > PARAMETERS_MAX {
            return Err(malformed("There are too many parameters."));
        }
        let form =
            Query::parse(form.trim_end()).map_err(|_| malformed("The form can't be decoded."))?;
        let mut all = BTreeMap::new();
        for (name, value) in query.iter().chain(form.iter()) {
            if name.starts_with("X-Amz-") {
                continue;
            }
            if all.len() == PARAMETERS_MAX {
                return Err(malformed("There are too many parameters."));
            }
            if all.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(malformed("A parameter is given twice."));
            }
        }
        Ok(Parameters(all))
    }

    /// The value of `name`, if it is there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of `name`, which must be there and not be empty.
    pub(crate) fn need(&self, name: &str) -> Result<&str, QueryError> {
        match self.get(name) {
            Some(value) if !value.is_empty() => Ok(value),
            Some(_) => Err(invalid(name, "Member must have length greater than or equal to 1")),
            None => Err(invalid(name, "Member must not be null")),
        }
    }

    /// A truth value.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, QueryError> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(invalid(name, "Member must be true or false")),
        }
    }

    /// A whole number between `min` and `max`.
    pub(crate) fn number(&self, name: &str, min: u32, max: u32) -> Result<Option<u32>, QueryError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(invalid(
                name,
                &format!("Member must have value between {min} and {max}, inclusive"),
            )),
        }
    }

    /// A list of texts; `None` when it is not there. An empty one is `name=`.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<String>>, QueryError> {
        let Some(entries) = self.structures(name)? else {
            return Ok(None);
        };
        let text = |entry: Parameters| match entry.0.len() {
            1 => entry.0.get("").cloned(),
            _ => None,
        };
        let texts: Option<Vec<String>> = entries.into_iter().map(text).collect();
        texts.map(Some).ok_or_else(|| invalid(name, "Member must be a list of texts"))
    }

    /// A list of structures, each with its fields by their names; `None` when it is not there.
    /// Their numbers must be 1, 2, 3 and so on without a gap.
    pub(crate) fn structures(&self, name: &str) -> Result<Option<Vec<Parameters>>, QueryError> {
        let wrong = || invalid(name, "Member must be a list, its entries counted from 1");
        let prefix = format!("{name}.");
        let mut entries: BTreeMap<usize, Parameters> = BTreeMap::new();
        for (key, value) in self.0.range(prefix.clone()..) {
            let Some(rest) = key.strip_prefix(&prefix) else {
                break;
            };
            let rest = rest.strip_prefix("member.").ok_or_else(wrong)?;
            let (number, field) = rest.split_once('.').unwrap_or((rest, ""));
            let number: usize = number.parse().map_err(|_| wrong())?;
            if !(1..=LIST_ENTRIES_MAX).contains(&number) {
                return Err(wrong());
            }
            let entry = entries.entry(number).or_default();
            if entry.0.insert(field.to_owned(), value.clone()).is_some() {
                // 1 and 01.
                return Err(wrong());
            }
        }
        match (self.get(name), entries.is_empty()) {
            (None, true) => return Ok(None),
            (Some(""), true) => return Ok(Some(Vec::new())),
            (Some(_), _) => return Err(wrong()),
            (None, false) => {}
        }
        if entries.keys().copied().ne(1..=entries.len()) {
            return Err(wrong());
        }
        Ok(Some(entries.into_values().collect()))
    }

    /// The tags of the parameter `name`.
    pub(crate) fn tags(&self, name: &str) -> Result<Vec<(String, String)>, QueryError> {
        let entries = self.structures(name)?.unwrap_or_default();
        entries
            .into_iter()
            .map(|entry| {
                let value = entry
                    .get("Value")
                    .ok_or_else(|| invalid(&format!("{name}.Value"), "Member must not be null"))?;
                Ok((entry.need("Key")?.to_owned(), value.to_owned()))
            })
            .collect()
    }

    /// Refuses what is not built, by name.
    pub(crate) fn refuse(&self, names: &[&str]) -> Result<(), QueryError> {
        for name in names {
            let listed = format!("{name}.");
            let mut below = self.0.range(listed.clone()..);
            let is_listed = below.next().is_some_and(|(key, _)| key.starts_with(&listed));
            if is_listed || self.get(name).is_some_and(|value| !value.is_empty()) {
                return Err(QueryError::not_implemented(&format!("The parameter {name}")));
            }
        }
        Ok(())
    }
}

/// A value of the wrong form, as AWS says it.
pub(crate) fn invalid(name: &str, constraint: &str) -> QueryError {
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    let field: String = first.into_iter().chain(letters).collect();
    QueryError::new(
        Code::ValidationError,
        format!(
            "1 validation error detected: Value at '{field}' failed to satisfy constraint: \
             {constraint}"
        ),
    )
}
