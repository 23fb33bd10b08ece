//! Adding up what test runners counted.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::shell;

/// How many tests passed, failed, and were not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Count {
    /// Adds another count.
    pub fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Runs a test runner, shows what it prints, and adds up the lines that `read` knows. A runner
/// that fails without having counted a failure (a build error, a crash) counts as one.
pub fn run(command: &mut Command, read: fn(&str) -> Option<Count>) -> Result<Count> {
    shell::announce(command);
    let mut child = command.stdout(Stdio::piped()).spawn().context("can't run the tests")?;
    let out = child.stdout.take().context("the output was piped")?;
    let mut total = Count::default();
    for line in BufReader::new(out).split(b'\n') {
        let line = line.context("can't read what the tests print")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some(count) = read(&line) {
            total.add(count);
        }
    }
    let status = child.wait().context("can't wait for the tests")?;
    if !status.success() && total.failed == 0 {
        eprintln!("the tests ended with {status}");
        total.failed = 1;
    }
    Ok(total)
}

/// Reads `test result: ok. 15 passed; 0 failed; 1 ignored; …`.
pub fn cargo_line(line: &str) -> Option<Count> {
    let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
    Some(Count {
        passed: before(counts, "passed")?,
        failed: before(counts, "failed")?,
        skipped: before(counts, "ignored")?,
    })
}

/// Reads `=== 1 failed, 11 passed, 2 skipped, 1 error in 56.34s ===`, with or without its rule.
pub fn pytest_line(line: &str) -> Option<Count> {
    let line = line.trim().trim_matches('=').trim();
    let (counts, time) = line.rsplit_once(" in ")?;
    if !time.contains('s') || !time.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let known = ["passed", "failed", "skipped", "error", "errors", "deselected", "warnings"];
    for entry in counts.split(", ") {
        let (number, word) = entry.split_once(' ')?;
        number.parse::<u64>().ok()?;
        if !known.contains(&word) && word != "warning" {
            return None;
        }
    }
    let of = |word| before(counts, word).unwrap_or(0);
    Some(Count {
        passed: of("passed"),
        failed: of("failed") + of("error") + of("errors"),
        skipped: of("skipped"),
    })
}

/// The number before `word`.
fn before(counts: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> = counts.split([' ', ',', ';']).filter(|w| !w.is_empty()).collect();
    let pair = words.windows(2).find(|pair| pair[1] == word)?;
    pair[0].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_runners_are_read() {
        let cargo = "test result: FAILED. 15 passed; 2 failed; 1 ignored; 0 measured; 0 filtered";
        assert_eq!(cargo_line(cargo), Some(Count { passed: 15, failed: 2, skipped: 1 }));
        assert_eq!(cargo_line("test result: odd"), None);
        assert_eq!(cargo_line("test a ... ok"), None);
        let pytest = "=== 3 failed, 11 passed, 2 skipped, 1 error in 56.34s (0:00:56) ===";
        assert_eq!(pytest_line(pytest), Some(Count { passed: 11, failed: 4, skipped: 2 }));
        assert_eq!(
            pytest_line("2 passed in 0.1s"),
            Some(Count { passed: 2, failed: 0, skipped: 0 })
        );
        assert_eq!(pytest_line("moved 3 files in 2s"), None);
        assert_eq!(pytest_line("3 drives lost in 2s"), None);
        assert_eq!(pytest_line("in"), None);
    }

    #[test]
    fn the_closing_line_has_its_form() {
        let count = Count { passed: 3, failed: 0, skipped: 0 };
        assert_eq!(count.to_string(), "3 passed, 0 failed");
        let count = Count { passed: 3, failed: 1, skipped: 2 };
        assert_eq!(count.to_string(), "3 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn a_runner_that_dies_without_counting_is_a_failure() {
        let count = run(Command::new("sh").args(["-c", "echo hello; exit 3"]), cargo_line);
        assert_eq!(count.unwrap(), Count { passed: 0, failed: 1, skipped: 0 });
        let counted = "echo '2 failed, 1 passed in 1.00s'; exit 1";
        let count = run(Command::new("sh").args(["-c", counted]), pytest_line);
        assert_eq!(count.unwrap(), Count { passed: 1, failed: 2, skipped: 0 });
    }
}
