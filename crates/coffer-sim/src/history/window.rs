//! The smallest part of a history that shows a violation, for people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::collect::{Collected, Key, Operation};
use super::record::Outcome;
use super::register::{ABSENT, Call, Condition, State, TextId, VersionId, current};
use super::search::{Limits, Verdict, Violation, search_within};

/// Operations shown that came just before the part.
const EARLIER_MAX: usize = 6;
/// Operations shown that say where a version came from.
const ORIGINS_MAX: usize = 12;
/// Searching again without one operation after the other has to be cheap.
const LIMITS: Limits = Limits { configurations: 50_000 };
/// Letters of an ETag that are shown.
const ETAG_LETTERS: usize = 10;

/// Leaves out what is not needed for a violation: operations that change nothing, as long as the
/// rest has no order either. What may change something stays, or the rest would prove nothing.
pub fn shrink(key: &Key, violation: &Violation) -> Violation {
    let mut part = violation.part.clone();
    for i in violation.part.iter().rev() {
        if *i == violation.offending || !key.operations[*i].is_pure() {
            continue;
        }
        let rest: Vec<usize> = part.iter().copied().filter(|other| other != i).collect();
        let operations: Vec<&Operation> = rest.iter().map(|i| &key.operations[*i]).collect();
        let checked = search_within(&violation.before, key, &operations, LIMITS);
        if let Verdict::Violated(found) = checked.verdict
            && rest[found.offending] == violation.offending
        {
            part = rest;
        }
    }
    Violation { part, ..violation.clone() }
}

/// A violation as text.
pub fn show(collected: &Collected, name: &str, key: &Key, violation: &Violation) -> String {
    let violation = shrink(key, violation);
    let shown = Shown { collected, key };
    let mut text = format!("NOT LINEARISABLE: key {name:?}\n");
    let states: Vec<String> = violation.before.iter().map(|state| shown.state(state)).collect();
    let _ = writeln!(text, "  before, it holds {}", states.join(", or "));
    let earlier = shown.earlier(&violation);
    if !earlier.is_empty() {
        text.push_str("  earlier:\n");
        shown.lines(&mut text, &earlier, None);
    }
    text.push_str("  no order explains:\n");
    shown.lines(&mut text, &violation.part, Some(violation.offending));
    let origins = shown.origins(&violation, &earlier);
    if !origins.is_empty() {
        text.push_str("  where these versions came from:\n");
        shown.lines(&mut text, &origins, None);
    }
    if let Some(version) = shown.unwritten(&violation) {
        let _ = writeln!(text, "  nobody ever wrote {version} to this key");
    }
    text
}

struct Shown<'a> {
    collected: &'a Collected,
    key: &'a Key,
}

impl Shown<'_> {
    fn etag(&self, id: TextId) -> &str {
        let name = self.collected.texts.name(id);
        name.char_indices().nth(ETAG_LETTERS).map_or(name, |(end, _)| &name[..end])
    }

    fn version(&self, id: VersionId) -> String {
        match current(&self.key.versions, &State { version: id, ended: Vec::new() }) {
            None => "nothing".to_owned(),
            Some(version) => format!("{} ({} bytes)", self.etag(version.etag), version.size),
        }
    }

    fn state(&self, state: &State) -> String {
        let mut text = self.version(state.version);
        if !state.ended.is_empty() {
            let ended: Vec<String> = state.ended.iter().map(|u| format!("upload {u}")).collect();
            let _ = write!(text, " with {} ended", ended.join(", "));
        }
        text
    }

    fn condition(&self, condition: Condition) -> String {
        match condition {
            Condition::Always => String::new(),
            Condition::Absent => " if there is none".to_owned(),
            Condition::Present => " if there is one".to_owned(),
            Condition::Matches(etag) => format!(" if it is {}", self.etag(etag)),
        }
    }

    fn call(&self, operation: &Operation) -> String {
        match operation.call {
            Call::Write(version, condition) => {
                format!("put {}{}", self.version(version), self.condition(condition))
            }
            Call::Remove(condition) => format!("delete{}", self.condition(condition)),
            Call::Complete(upload, version, condition) => format!(
                "complete upload {upload}, {}{}",
                self.version(version),
                self.condition(condition)
            ),
            Call::Abort(upload) => format!("abort upload {upload}"),
            Call::Read(seen) => {
                let how = if operation.listed { "list" } else { "read" };
                match seen {
                    None => format!("{how}: nothing"),
                    Some(seen) => {
                        let mut text = format!("{how}: {}", self.etag(seen.etag));
                        if let Some(size) = seen.size {
                            let _ = write!(text, " ({size} bytes)");
                        }
                        if let Some(body) = seen.body {
                            let _ = write!(text, ", bytes {}", self.etag(body));
                        }
                        text
                    }
                }
            }
            Call::Source(etag) => format!("copy from here if it is {}", self.etag(etag)),
        }
    }

    fn answer(&self, operation: &Operation) -> &'static str {
        match operation.outcome {
            Outcome::Done => "done",
            Outcome::PreconditionFailed => "precondition failed",
            Outcome::NotFound => "not found",
            Outcome::NoSuchUpload => "no such upload",
            Outcome::Unknown => "unknown",
        }
    }

    fn time(&self, ns: u64) -> String {
        if ns == u64::MAX {
            return "never".to_owned();
        }
        let since_us = ns.saturating_sub(self.collected.start_ns) / 1000;
        format!("{}.{:06}", since_us / 1_000_000, since_us % 1_000_000)
    }

    fn lines(&self, text: &mut String, list: &[usize], offending: Option<usize>) {
        for i in list {
            let operation = &self.key.operations[*i];
            let (file, line) = operation.place;
            let file = match (self.collected.files.len(), self.collected.files.get(file as usize)) {
                (2.., Some(name)) => format!("{name}:"),
                _ => String::new(),
            };
            let _ = writeln!(
                text,
                "  {} {:>13} .. {:>13} s  client {:<3} {} -> {}  [{file}{line}]",
                if offending == Some(*i) { "*" } else { " " },
                self.time(operation.invoke_ns),
                self.time(operation.end_ns),
                operation.client,
                self.call(operation),
                self.answer(operation)
            );
        }
    }

    /// What may have changed the key and ended last before the part began.
    fn earlier(&self, violation: &Violation) -> Vec<usize> {
        let start = violation.part.iter().map(|i| self.key.operations[*i].invoke_ns).min();
        let start = start.unwrap_or(0);
        let mut found: Vec<usize> = (0..self.key.operations.len())
            .filter(|i| !violation.part.contains(i))
            .filter(|i| self.key.operations[*i].invoke_ns < start)
            .filter(|i| !self.key.operations[*i].is_pure())
            .collect();
        found.sort_by_key(|i| self.key.operations[*i].invoke_ns);
        found.split_off(found.len().saturating_sub(EARLIER_MAX))
    }

    /// The operations that may have made the versions of which the part speaks.
    fn origins(&self, violation: &Violation, earlier: &[usize]) -> Vec<usize> {
        let etags = self.etags(violation);
        let mut found: Vec<usize> = (0..self.key.operations.len())
            .filter(|i| !violation.part.contains(i) && !earlier.contains(i))
            .filter(|i| {
                let written = self.written(&self.key.operations[*i]);
                written.is_some_and(|etag| etags.contains(&etag))
            })
            .collect();
        found.sort_by_key(|i| self.key.operations[*i].invoke_ns);
        found.split_off(found.len().saturating_sub(ORIGINS_MAX))
    }

    fn written(&self, operation: &Operation) -> Option<TextId> {
        if operation.is_pure() {
            return None;
        }
        match operation.call {
            Call::Write(version, _) | Call::Complete(_, version, _) => {
                let state = State { version, ended: Vec::new() };
                current(&self.key.versions, &state).map(|version| version.etag)
            }
            _ => None,
        }
    }

    fn etags(&self, violation: &Violation) -> BTreeSet<TextId> {
        let held = violation.before.iter().filter(|state| state.version != ABSENT);
        let mut etags: BTreeSet<TextId> =
            held.map(|state| self.key.versions[state.version as usize - 1].etag).collect();
        for i in &violation.part {
            if let Call::Read(Some(seen)) = self.key.operations[*i].call {
                etags.insert(seen.etag);
            }
        }
        etags
    }

    /// Versions that the offending operation saw and nobody wrote.
    fn unwritten(&self, violation: &Violation) -> Option<String> {
        let operation = &self.key.operations[violation.offending];
        let Call::Read(Some(seen)) = operation.call else { return None };
        let written =
            self.key.operations.iter().any(|other| self.written(other) == Some(seen.etag));
        (!written).then(|| self.etag(seen.etag).to_owned())
    }
}
