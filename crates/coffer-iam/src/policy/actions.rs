//! Which actions a statement is about.

use std::sync::LazyLock;

use crate::action::Action;
use crate::ask::Question;
use crate::wildcard::Glob;

const WORDS: usize = 4;

/// The names of all actions in lower case, in their order.
static LOWER_NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| Action::ALL.iter().map(|a| a.name().to_ascii_lowercase()).collect());

/// A set of known actions, one bit each, and the patterns for all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActionSet {
    known: [u64; WORDS],
    /// In lower case.
    patterns: Vec<Glob>,
    /// Whether it is all but these (`NotAction`).
    negated: bool,
    /// As they are written.
    written: Vec<String>,
}

impl ActionSet {
    /// The set that these patterns write.
    pub(crate) fn new(written: Vec<String>, negated: bool) -> ActionSet {
        let patterns: Vec<Glob> =
            written.iter().map(|p| Glob::pattern(&p.to_ascii_lowercase())).collect();
        let mut known = [0; WORDS];
        for (&action, name) in Action::ALL.iter().zip(LOWER_NAMES.iter()) {
            if patterns.iter().any(|p| p.matches(name)) != negated {
                known[action as usize / 64] |= 1 << (action as usize % 64);
            }
        }
        ActionSet { known, patterns, negated, written }
    }

    /// Whether the question's action is in it.
    pub(crate) fn has(&self, q: &Question<'_>) -> bool {
        match q.known {
            Some(action) => self.has_known(action),
            None => {
                let name = q.action.to_ascii_lowercase();
                self.patterns.iter().any(|p| p.matches(&name)) != self.negated
            }
        }
    }

    /// Whether an action is in it.
    pub(crate) fn has_known(&self, action: Action) -> bool {
        self.known[action as usize / 64] >> (action as usize % 64) & 1 == 1
    }

    /// Its patterns as they are written.
    pub(crate) fn written(&self) -> &[String] {
        &self.written
    }

    /// Whether it is all but what is written.
    pub(crate) fn is_negated(&self) -> bool {
        self.negated
    }
}

const _: () = assert!(Action::ALL.len() <= 64 * WORDS, "a bit for every action");

/// What is wrong with a pattern of actions, as AWS says it.
pub(crate) fn check(pattern: &str) -> Result<(), String> {
    if pattern == "*" {
        return Ok(());
    }
    let Some((service, name)) = pattern.split_once(':') else {
        return Err(
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.".to_owned()
        );
    };
    if service.is_empty() || !service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(format!("Vendor {service} is not valid"));
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"*?-_:".contains(&b);
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(format!("The action {pattern} is not valid."));
    }
    Ok(())
}
