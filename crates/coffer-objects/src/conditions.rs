//! Conditions of requests, evaluated against what is stored; pure.

use coffer_base::Timestamp;

use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// The value of an `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EtagList {
    /// `*`: any object.
    Any,
    /// These tags, each without its quotes. Weak ones are kept with their `W/`.
    Tags(Vec<String>),
}

impl EtagList {
    /// Reads a header value. S3 takes tags with and without quotes.
    pub fn parse(value: &str) -> EtagList {
        if value.trim() == "*" {
            return EtagList::Any;
        }
        let tags = value.split(',').map(str::trim).filter(|tag| !tag.is_empty());
        EtagList::Tags(tags.map(unquote).collect())
    }

    /// RFC 9110, 8.8.3.2: "two entity tags are equivalent if both are not weak and their
    /// opaque-tags match".
    fn matches_strongly(&self, etag: &str) -> bool {
        match self {
            EtagList::Any => true,
            EtagList::Tags(tags) => tags.iter().any(|tag| tag == etag),
        }
    }

    /// "…if their opaque-tags match, regardless of either or both being tagged as weak".
    fn matches_weakly(&self, etag: &str) -> bool {
        match self {
            EtagList::Any => true,
            EtagList::Tags(tags) => {
                tags.iter().any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
            }
        }
    }
}

fn unquote(tag: &str) -> String {
    let (weak, opaque) = match tag.strip_prefix("W/") {
        Some(opaque) => ("W/", opaque),
        None => ("", tag),
    };
    let opaque = opaque.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(opaque);
    format!("{weak}{opaque}")
}

/// Conditions of a read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadConditions {
    /// `If-Match`.
    pub if_match: Option<EtagList>,
    /// `If-None-Match`.
    pub if_none_match: Option<EtagList>,
    /// `If-Modified-Since`; whole seconds count.
    pub if_modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`; whole seconds count.
    pub if_unmodified_since: Option<Timestamp>,
}

/// What the conditions of a read say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadDecision {
    Proceed,
    NotModified,
    Failed(&'static str),
}

impl ReadConditions {
    /// In the order of RFC 9110, 13.2.2, as S3 applies it: an `If-Match` that holds silences
    /// `If-Unmodified-Since`; an `If-None-Match` that is present silences `If-Modified-Since`,
    /// which decides nothing when the tag differs.
    pub(crate) fn evaluate(&self, etag: &str, modified: Timestamp) -> ReadDecision {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.matches_strongly(etag) => {
                return ReadDecision::Failed("If-Match");
            }
            (None, Some(since)) if modified.seconds() > since.seconds() => {
                return ReadDecision::Failed("If-Unmodified-Since");
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if tags.matches_weakly(etag) => ReadDecision::NotModified,
            (None, Some(since)) if modified.seconds() <= since.seconds() => {
                ReadDecision::NotModified
            }
            _ => ReadDecision::Proceed,
        }
    }

    /// The same for the source of a copy, where there is nothing to be "not modified".
    pub(crate) fn evaluate_source(&self, etag: &str, modified: Timestamp) -> Result<()> {
        match self.evaluate(etag, modified) {
            ReadDecision::Proceed => Ok(()),
            ReadDecision::Failed(condition) => Err(Error::PreconditionFailed { condition }),
            ReadDecision::NotModified => Err(Error::PreconditionFailed {
                condition: if self.if_none_match.is_some() {
                    "If-None-Match"
                } else {
                    "If-Modified-Since"
                },
            }),
        }
    }
}

/// The condition of a write, decided when it is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteCondition {
    /// `If-None-Match: *`: there must be no object.
    pub if_none_match_any: bool,
    /// `If-Match`: there must be an object with this ETag (without quotes; `*`: any object).
    pub if_match: Option<String>,
}

impl WriteCondition {
    /// Decides, given the ETag of what is there now.
    pub(crate) fn evaluate(&self, current_etag: Option<&str>) -> Result<()> {
        if self.if_none_match_any && current_etag.is_some() {
            return Err(Error::PreconditionFailed { condition: "If-None-Match" });
        }
        match (self.if_match.as_deref(), current_etag) {
            (None, _) => Ok(()),
            // S3: "If there's no current object version with the same name, or if the current
            // object version is a delete marker, the operation fails with a 404 Not Found".
            (Some(_), None) => Err(Error::NoSuchKey),
            (Some(wanted), Some(etag)) if wanted == "*" || unquote(wanted) == etag => Ok(()),
            (Some(_), Some(_)) => Err(Error::PreconditionFailed { condition: "If-Match" }),
        }
    }

    /// Whether there is anything to decide.
    pub(crate) fn is_some(&self) -> bool {
        self.if_none_match_any || self.if_match.is_some()
    }
}
