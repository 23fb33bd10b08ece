//! Rules by which a drive misbehaves.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fuser::Errno;
use serde::Deserialize;

/// What a rule can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Reading bytes of a file.
    Read,
    /// Writing bytes of a file.
    Write,
    /// Making bytes of a file durable; a synchronous write is a write and a sync.
    Sync,
    /// Making names durable.
    SyncDir,
    /// Changing names, lengths and reservations.
    Change,
    /// Looking at names, attributes and space; opening.
    Look,
}

/// How the drive answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// With an error, and nothing happens. For a sync: what it should have written is lost, though
    /// reads still show it, and the next sync goes well.
    Error,
    /// Not until the rule is cleared.
    Stall,
    /// Late by `ms`.
    Delay,
    /// For a read: with a flipped bit in each block of 4 KiB.
    Corrupt,
    /// As a full drive: what needs new space fails, and no space is shown as free.
    Full,
}

/// A rule as it is asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is about; empty: everything.
    #[serde(default)]
    pub ops: Vec<Op>,
    /// Only paths that hold this text; empty: all.
    #[serde(default)]
    pub path: String,
    /// What happens.
    pub action: Action,
    /// For errors: `EIO` (unless said), `ENOSPC`, `ENODEV` or `EROFS`.
    #[serde(default)]
    pub errno: String,
    /// For delays.
    #[serde(default)]
    pub ms: u64,
    /// How often it applies; not said: until cleared.
    #[serde(default)]
    pub count: Option<u64>,
}

impl Rule {
    /// The error of the rule, or what is wrong with it.
    pub fn error(&self) -> Result<Errno, String> {
        match self.errno.as_str() {
            "" | "EIO" => Ok(Errno::EIO),
            "ENOSPC" => Ok(Errno::ENOSPC),
            "ENODEV" => Ok(Errno::ENODEV),
            "EROFS" => Ok(Errno::EROFS),
            other => Err(format!("{other} is none of EIO, ENOSPC, ENODEV, EROFS")),
        }
    }

    fn matches(&self, op: Op, path: &str) -> bool {
        self.count != Some(0)
            && (self.ops.is_empty() || self.ops.contains(&op))
            && path.contains(&self.path)
    }
}

/// How one operation is to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Fails with this.
    pub error: Option<Errno>,
    /// Bits are flipped.
    pub corrupt: bool,
    /// There is no free space.
    pub full: bool,
    /// Not before this rule is cleared.
    pub until_cleared: Option<u64>,
    /// Not before so long has gone by.
    pub delay: Duration,
    /// How many events there were when it was asked for.
    pub arrived: usize,
}

impl Verdict {
    /// Whether the answer has to wait.
    pub fn waits(&self) -> bool {
        self.until_cleared.is_some() || !self.delay.is_zero()
    }
}

#[derive(Debug, Default)]
struct Rules {
    next: u64,
    rules: Vec<(u64, Rule, Errno)>,
    applied: u64,
}

/// The rules of one drive.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Rules>,
    cleared: Condvar,
}

impl Faults {
    /// Adds a rule; its number.
    pub fn add(&self, rule: Rule) -> Result<u64, String> {
        let error = rule.error()?;
        let mut rules = self.rules();
        rules.next += 1;
        let id = rules.next;
        rules.rules.push((id, rule, error));
        Ok(id)
    }

    /// Takes a rule away, or all; what waited goes on.
    pub fn clear(&self, id: Option<u64>) {
        self.rules().rules.retain(|(known, ..)| id.is_some_and(|id| id != *known));
        self.cleared.notify_all();
    }

    /// How often rules applied so far.
    pub fn applied(&self) -> u64 {
        self.rules().applied
    }

    /// How an operation is to go; rules that count are counted.
    pub fn judge(&self, op: Op, path: &str) -> Verdict {
        let mut verdict = Verdict::default();
        let mut rules = self.rules();
        let mut applied = 0;
        for (id, rule, error) in &mut rules.rules {
            if !rule.matches(op, path) {
                continue;
            }
            if let Some(left) = &mut rule.count {
                *left -= 1;
            }
            applied += 1;
            match rule.action {
                Action::Error => verdict.error = Some(*error),
                Action::Stall => verdict.until_cleared = Some(*id),
                Action::Delay => verdict.delay += Duration::from_millis(rule.ms),
                Action::Corrupt => verdict.corrupt = true,
                Action::Full => verdict.full = true,
            }
        }
        rules.applied += applied;
        verdict
    }

    /// Waits as long as the verdict says.
    pub fn wait(&self, verdict: &Verdict) {
        let due = Instant::now() + verdict.delay;
        if let Some(id) = verdict.until_cleared {
            let mut rules = self.rules();
            while rules.rules.iter().any(|(known, ..)| *known == id) {
                rules = self.cleared.wait(rules).unwrap_or_else(PoisonError::into_inner);
            }
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        // Changed by single steps only: whole whatever panicked.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
