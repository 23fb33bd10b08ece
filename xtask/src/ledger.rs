//! The ledger of long campaigns: one line for each that ended, in a file that is committed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// The file. It begins with a comment that names the columns.
const FILE: &str = "docs/reliability/ledger.csv";

const HEAD: &str = "\
# Long campaigns that ended, one a line: when (UTC), commit (`+` if files were changed), campaign,
# range (seeds or rounds), states (or what the campaign counts), hours, result. Counted anew after a
# change of the format or of the commit path.
when,commit,campaign,range,states,hours,result
";

/// What a campaign came to.
pub struct Entry<'a> {
    /// Its name, such as `sim`.
    pub campaign: &'a str,
    /// Which seeds or rounds.
    pub range: &'a str,
    /// What it counts.
    pub states: u64,
    /// How long it took.
    pub hours: f64,
    /// `ok`, or what was wrong.
    pub result: &'a str,
}

/// `cargo xtask ledger CAMPAIGN RANGE STATES HOURS RESULT`.
pub fn run(arguments: &[String]) -> Result<()> {
    let [campaign, range, states, hours, result] = arguments else {
        bail!("ledger CAMPAIGN RANGE STATES HOURS RESULT");
    };
    let states = states.parse().with_context(|| format!("states: {states}"))?;
    let hours = hours.parse().with_context(|| format!("hours: {hours}"))?;
    append(&Entry { campaign, range, states, hours, result })
}

/// Adds a line.
pub fn append(entry: &Entry<'_>) -> Result<()> {
    let line = line_of(&output("date", &["-u", "+%Y-%m-%dT%H:%MZ"])?, &commit()?, entry)?;
    let path = Path::new(FILE);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    let is_new = !path.exists();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("can't open {FILE}"))?;
    let text = if is_new { format!("{HEAD}{line}\n") } else { format!("{line}\n") };
    file.write_all(text.as_bytes()).with_context(|| format!("can't write {FILE}"))?;
    println!("{FILE}: {line}");
    Ok(())
}

fn line_of(when: &str, commit: &str, entry: &Entry<'_>) -> Result<String> {
    let Entry { campaign, range, states, hours, result } = entry;
    for text in [when, commit, campaign, range, result] {
        if text.is_empty() || text.contains([',', '\n', '"']) {
            bail!("not a value of the ledger: {text:?}");
        }
    }
    Ok(format!("{when},{commit},{campaign},{range},{states},{hours:.2},{result}"))
}

fn commit() -> Result<String> {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"])?;
    // The ledger itself is changed by every campaign.
    let changed = output("git", &["status", "--porcelain", "--", ".", ":!docs/reliability"])?;
    Ok(if changed.is_empty() { commit } else { format!("{commit}+") })
}

fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).current_dir(shell::repository()).output();
    let output = output.with_context(|| format!("can't run {program}"))?;
    if !output.status.success() {
        bail!("{program} ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_seven_values() {
        let entry = Entry { campaign: "sim", range: "0..9", states: 5, hours: 1.5, result: "ok" };
        let line = line_of("2026-11-24T12:00Z", "abc", &entry).unwrap();
        assert_eq!(line, "2026-11-24T12:00Z,abc,sim,0..9,5,1.50,ok");
        let columns = HEAD.lines().last().unwrap().split(',').count();
        assert_eq!(line.split(',').count(), columns);
        assert!(line_of("now", "abc", &Entry { result: "lost, twice", ..entry }).is_err());
    }
}
