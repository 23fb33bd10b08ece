//! Patterns of ARNs: six segments between colons, each with wildcards of its own.

use super::pattern::{Pattern, Writing};
use crate::ask::Question;

/// Sixteen bytes of an ARN where ARNs begin to differ: after `arn:aws:s3:::`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head(u128);

const HEAD_AT: usize = 13;
const HEAD_BYTES: usize = 16;

impl Head {
    /// That of an ARN; zeros after its end.
    pub(crate) fn of(arn: &str) -> Head {
        let mut head = [0; HEAD_BYTES];
        let bytes = arn.as_bytes().get(HEAD_AT..).unwrap_or(&[]);
        let count = bytes.len().min(HEAD_BYTES);
        head[..count].copy_from_slice(&bytes[..count]);
        Head(u128::from_le_bytes(head))
    }
}

/// A pattern of ARNs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArnPattern {
    /// `*`.
    Any,
    /// Its first five segments are written out, so it is compared as one string.
    Whole {
        pattern: Pattern,
        /// What the head of every ARN that it matches has where `mask` has ones: most ARNs are
        /// told apart by that.
        head: Head,
        mask: u128,
    },
    /// A wildcard in one of the first five segments does not reach into the next.
    Segments(Box<[Pattern; 6]>),
}

impl ArnPattern {
    /// Reads one; what is left out at its end is anything. The error is a reason without the
    /// text.
    pub(crate) fn read(text: &str, variables: bool) -> Result<ArnPattern, String> {
        if text == "*" {
            return Ok(ArnPattern::Any);
        }
        let writing = Writing { wildcards: true, variables, ignore_case: false };
        let mut segments: Vec<&str> = split(text);
        if segments[0] != "arn" || segments.len() < 2 {
            return Err("must be in ARN format or \"*\".".to_owned());
        }
        let written_out = segments.len() == 6
            && segments[..5].iter().all(|s| !s.contains(['*', '?']) && !s.contains("${"));
        if written_out {
            let pattern = Pattern::read(text, writing)?;
            let prefix = pattern.prefix();
            let known = prefix.len().saturating_sub(HEAD_AT).min(HEAD_BYTES);
            let mask = if known == HEAD_BYTES { u128::MAX } else { (1 << (8 * known)) - 1 };
            let mut bytes = [0; HEAD_BYTES];
            bytes[..known].copy_from_slice(prefix.get(HEAD_AT..HEAD_AT + known).unwrap_or(&[]));
            let head = Head(u128::from_le_bytes(bytes));
            return Ok(ArnPattern::Whole { pattern, head, mask });
        }
        segments.resize(6, "*");
        let read: Vec<Pattern> =
            segments.iter().map(|s| Pattern::read(s, writing)).collect::<Result<_, _>>()?;
        let read = <[Pattern; 6]>::try_from(read).map_err(|_| "has too many parts.".to_owned())?;
        Ok(ArnPattern::Segments(Box::new(read)))
    }

    /// Whether it matches the question's resource.
    pub(crate) fn matches_resource(&self, q: &Question<'_>) -> bool {
        match self {
            ArnPattern::Whole { head, mask, .. } if q.head.0 & mask != head.0 => false,
            other => other.matches(q.arn, q),
        }
    }

    /// Whether it matches an ARN.
    pub(crate) fn matches(&self, arn: &str, q: &Question<'_>) -> bool {
        match self {
            ArnPattern::Any => true,
            ArnPattern::Whole { pattern, .. } => pattern.matches(arn, q),
            ArnPattern::Segments(patterns) => {
                let segments = split(arn);
                segments.len() == 6
                    && patterns.iter().zip(segments).all(|(p, segment)| p.matches(segment, q))
            }
        }
    }

    /// Whether all its variables have values.
    pub(crate) fn resolves(&self, q: &Question<'_>) -> bool {
        match self {
            ArnPattern::Any => true,
            ArnPattern::Whole { pattern, .. } => pattern.resolves(q),
            ArnPattern::Segments(patterns) => patterns.iter().all(|p| p.resolves(q)),
        }
    }

    /// Whether it could match an ARN that begins with `prefix` and goes on.
    pub(crate) fn may_match_below(&self, prefix: &[u8]) -> bool {
        match self {
            ArnPattern::Whole { pattern, .. } => {
                let known = pattern.prefix();
                match pattern.is_fixed() {
                    true => known.starts_with(prefix) && known.len() > prefix.len(),
                    false => known.starts_with(prefix) || prefix.starts_with(known),
                }
            }
            ArnPattern::Any | ArnPattern::Segments(_) => true,
        }
    }

    /// Whether it names one ARN only.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, ArnPattern::Whole { pattern, .. } if pattern.is_fixed())
    }

    /// The keys of its variables.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let patterns = match self {
            ArnPattern::Any => &[][..],
            ArnPattern::Whole { pattern, .. } => std::slice::from_ref(pattern),
            ArnPattern::Segments(patterns) => &patterns[..],
        };
        patterns.iter().flat_map(Pattern::keys)
    }
}

/// The segments of an ARN: at most six, the last with all colons that follow. Colons within a
/// variable don't count.
fn split(text: &str) -> Vec<&str> {
    let mut segments = Vec::with_capacity(6);
    let (mut start, mut depth) = (0, 0_usize);
    let bytes = text.as_bytes();
    for (i, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if i > 0 && bytes[i - 1] == b'$' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && segments.len() < 5 => {
                segments.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    segments.push(&text[start..]);
    segments
}
