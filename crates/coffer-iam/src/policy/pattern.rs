//! Strings of policies: wildcards and policy variables.
//!
//! A variable stands for the value that its key has in the request. What it brings in is taken
//! literally: a `*` in a user's tag is no wildcard. One that has no value, or several, and no
//! default makes the string match nothing.

use std::borrow::Cow;

use crate::ask::Question;
use crate::keys::Values;
use crate::wildcard::{self, Glob, Token, matches_tokens};

/// A string ready to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Without variables.
    Fixed(Glob),
    /// With variables, put in when it is compared.
    Variable(Template),
}

/// A string with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// What begins it without wildcard and variable.
    prefix: Box<[u8]>,
    rest: Vec<Piece>,
    ignore_case: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Tokens(Vec<Token>),
    Key { key: String, default: Option<String> },
}

/// How a string is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writing {
    /// `*` and `?` are wildcards.
    pub(crate) wildcards: bool,
    /// `${…}` are variables (from version 2012-10-17 on).
    pub(crate) variables: bool,
    /// Compared without regard to case.
    pub(crate) ignore_case: bool,
}

impl Pattern {
    /// Reads a string; the error says what is wrong with a variable in it.
    pub(crate) fn read(text: &str, writing: Writing) -> Result<Pattern, String> {
        let push = |out: &mut Vec<Token>, text: &str| {
            let text = if writing.ignore_case { &text.to_lowercase() } else { text };
            if writing.wildcards {
                wildcard::push_pattern(out, text);
            } else {
                wildcard::push_literal(out, text);
            }
        };
        let mut pieces = Vec::new();
        let mut tokens = Vec::new();
        let mut left = text;
        while writing.variables
            && let Some(at) = left.find("${")
        {
            push(&mut tokens, &left[..at]);
            let inside = &left[at + 2..];
            let end = variable_end(inside)
                .ok_or_else(|| format!("the policy variable in \"{text}\" is not closed"))?;
            match &inside[..end] {
                literal @ ("*" | "?" | "$") => wildcard::push_literal(&mut tokens, literal),
                variable => {
                    let (key, default) = read_variable(variable)
                        .ok_or_else(|| format!("\"${{{variable}}}\" is not a policy variable"))?;
                    if !tokens.is_empty() {
                        pieces.push(Piece::Tokens(std::mem::take(&mut tokens)));
                    }
                    let default = default.map(str::to_owned);
                    pieces.push(Piece::Key { key: key.to_owned(), default });
                }
            }
            left = &inside[end + 1..];
        }
        push(&mut tokens, left);
        if pieces.is_empty() {
            return Ok(Pattern::Fixed(Glob::new(&tokens)));
        }
        if !tokens.is_empty() {
            pieces.push(Piece::Tokens(tokens));
        }
        let mut prefix = Vec::new();
        if let Some(Piece::Tokens(first)) = pieces.first_mut() {
            let plain = first.iter().take_while(|token| **token < wildcard::STAR).count();
            prefix.extend(first.drain(..plain).map(|token| token as u8));
        }
        Ok(Pattern::Variable(Template {
            prefix: prefix.into(),
            rest: pieces,
            ignore_case: writing.ignore_case,
        }))
    }

    /// Whether it matches all of `name`, which is in lower case if it ignores case.
    pub(crate) fn matches(&self, name: &str, q: &Question<'_>) -> bool {
        match self {
            Pattern::Fixed(glob) => glob.matches(name),
            Pattern::Variable(template) => template.matches(name, q),
        }
    }

    /// Whether all its variables have values.
    pub(crate) fn resolves(&self, q: &Question<'_>) -> bool {
        match self {
            Pattern::Fixed(_) => true,
            Pattern::Variable(template) => template.rest.iter().all(|piece| match piece {
                Piece::Tokens(_) => true,
                Piece::Key { key, default } => value(key, default.as_deref(), q).is_some(),
            }),
        }
    }

    /// What every string begins with that it matches, as far as that is known.
    pub(crate) fn prefix(&self) -> &[u8] {
        match self {
            Pattern::Fixed(glob) => glob.prefix(),
            Pattern::Variable(template) => &template.prefix,
        }
    }

    /// Whether it is one fixed string: without wildcard and without variable.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Pattern::Fixed(glob) if glob.is_literal())
    }

    /// The keys of its variables.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let rest = match self {
            Pattern::Fixed(_) => &[][..],
            Pattern::Variable(template) => &template.rest,
        };
        rest.iter().filter_map(|piece| match piece {
            Piece::Key { key, .. } => Some(key.as_str()),
            Piece::Tokens(_) => None,
        })
    }
}

impl Template {
    fn matches(&self, name: &str, q: &Question<'_>) -> bool {
        let Some(left) = name.as_bytes().strip_prefix(&*self.prefix) else {
            return false;
        };
        self.expand(left.len(), q).is_some_and(|tokens| matches_tokens(&tokens, left))
    }

    /// What follows the prefix, its values put in; `None` if one is missing, or if it can't match
    /// so few bytes. Values may be long, and put in many times.
    fn expand(&self, name_bytes: usize, q: &Question<'_>) -> Option<Vec<Token>> {
        let mut tokens: Vec<Token> = Vec::with_capacity(name_bytes + 8);
        let mut least_bytes = 0;
        for piece in &self.rest {
            let start = tokens.len();
            match piece {
                Piece::Tokens(more) => tokens.extend_from_slice(more),
                Piece::Key { key, default } => match value(key, default.as_deref(), q)? {
                    value if self.ignore_case => {
                        wildcard::push_literal(&mut tokens, &value.to_lowercase());
                    }
                    value => wildcard::push_literal(&mut tokens, &value),
                },
            }
            least_bytes += wildcard::least_bytes(&tokens[start..]);
            if least_bytes > name_bytes {
                return None;
            }
        }
        Some(tokens)
    }
}

/// What a variable stands for.
fn value<'a>(key: &str, default: Option<&'a str>, q: &Question<'a>) -> Option<Cow<'a, str>> {
    match q.values(key) {
        Some(Values::One(one)) => Some(one),
        Some(Values::Many([one])) => Some(Cow::Borrowed(one)),
        Some(Values::Many([])) | None => default.map(Cow::Borrowed),
        Some(Values::Many(_)) => None,
    }
}

/// Where the variable that begins here ends: at the first `}` outside quotes.
fn variable_end(inside: &str) -> Option<usize> {
    let mut quoted = false;
    inside.bytes().position(|byte| {
        quoted ^= byte == b'\'';
        byte == b'}' && !quoted
    })
}

/// `key` or `key, 'default'`.
fn read_variable(text: &str) -> Option<(&str, Option<&str>)> {
    let (key, default) = match text.split_once(',') {
        None => (text.trim(), None),
        Some((key, default)) => {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            if default.contains('\'') {
                return None;
            }
            (key.trim(), Some(default))
        }
    };
    is_key(key).then_some((key, default))
}

/// Whether it has the form of a condition key: `aws:PrincipalTag/team`.
pub(crate) fn is_key(text: &str) -> bool {
    let well_formed = |(service, name): (&str, &str)| {
        !service.is_empty()
            && !name.is_empty()
            && service.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b))
            && name.chars().all(|c| c.is_alphanumeric() || "-_./:=+@ ".contains(c))
    };
    text.split_once(':').is_some_and(well_formed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::arn::Head;
    use crate::{Context, Principal};

    #[test]
    fn values_are_put_in_no_further_than_the_name_is_long() {
        let writing = Writing { wildcards: true, variables: true, ignore_case: false };
        let text = format!("*{}*", "${aws:UserAgent}".repeat(1000));
        let Ok(Pattern::Variable(template)) = Pattern::read(&text, writing) else {
            panic!("it has variables");
        };
        let principal = Principal::root("111122223333", "root-id");
        let name = "arn:aws:s3:::b/".to_owned() + &"x".repeat(1000);
        for (value, expanded) in [("x".repeat(40_000), None), ("x".to_owned(), Some(1002))] {
            let mut context = Context::new();
            context.set("aws:UserAgent", value.as_str());
            let q = Question {
                action: "s3:GetObject",
                known: None,
                arn: &name,
                head: Head::of(&name),
                owner: None,
                resource_policy: None,
                restrict_public: false,
                context: &context,
                principal: &principal,
                arns: std::cell::OnceCell::new(),
            };
            let tokens = template.expand(name.len(), &q);
            assert_eq!(tokens.map(|tokens| tokens.len()), expanded);
            assert_eq!(template.matches(&name, &q), expanded.is_some());
        }
    }
}
