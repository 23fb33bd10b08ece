//! Instructions that a request of each hot path takes, held to a budget.
//!
//! A path is walked n and 2n times under callgrind, after the same preparations; the difference,
//! divided by n, is what one request takes. What the machine does beside it, how fast it is and
//! how many cores it has do not show. Valgrind's processor has AVX2 and no SHA or AVX-512
//! instructions on every machine that has AVX2 itself, so neither does the processor's kind; one
//! without AVX2 is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::count::Count;
use crate::{python, shell};

/// The budgets: `NAME INSTRUCTIONS` a line.
const FILE: &str = "crates/coffer-bench/budgets.txt";

/// How far a count may be from its budget.
const SLACK_PERCENT: u64 = 5;

/// Why a budget may not simply be raised.
const RAISING: &str = "a budget is raised only with a page in docs/decisions that says why";

/// One path with what it took and what it may.
struct Row {
    name: String,
    counted: u64,
    budget: Option<u64>,
}

/// How a count stands to its budget.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Over,
    Within,
    /// So far under it that it can be lowered.
    Under,
    Unrecorded,
}

impl Row {
    fn verdict(&self) -> Verdict {
        let Some(budget) = self.budget else { return Verdict::Unrecorded };
        let slack = budget * SLACK_PERCENT / 100;
        if self.counted > budget + slack {
            Verdict::Over
        } else if self.counted < budget - slack {
            Verdict::Under
        } else {
            Verdict::Within
        }
    }

    fn line(&self) -> String {
        let Row { name, counted, budget } = self;
        let Some(budget) = budget else {
            return format!("{name:<10} {counted:>12} instructions, no budget recorded: FAILED");
        };
        let percent = *counted as f64 * 100.0 / (*budget).max(1) as f64 - 100.0;
        let said = match self.verdict() {
            Verdict::Over => format!("over budget: FAILED ({RAISING})"),
            Verdict::Within => "ok".to_owned(),
            Verdict::Under => {
                "ok; the budget can be lowered: cargo xtask budget --record".to_owned()
            }
            Verdict::Unrecorded => String::new(),
        };
        format!(
            "{name:<10} {counted:>12} instructions, budget {budget:>12} ({percent:+.1} %): {said}"
        )
    }
}

/// `cargo xtask budget [--record] [NAME…]`.
pub fn command(arguments: &[String]) -> Result<()> {
    let record = arguments.iter().any(|argument| argument == "--record");
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|name| *name != "--record").collect();
    if let Some(flag) = names.iter().find(|name| name.starts_with('-')) {
        bail!("budget takes --record and names of paths, not {flag}");
    }
    python::need("valgrind")?;
    let rows = measure(&names)?;
    if record {
        return write(&rows);
    }
    let over = report(&rows);
    if over > 0 { bail!("{over} paths are over their budgets") } else { Ok(()) }
}

/// All paths, for a test run.
pub fn run() -> Result<Count> {
    let rows = measure(&[])?;
    let failed = report(&rows);
    Ok(Count { passed: rows.len() as u64 - failed, failed, ..Count::default() })
}

/// Prints all rows; how many fail.
fn report(rows: &[Row]) -> u64 {
    for row in rows {
        println!("{}", row.line());
    }
    let fails = |row: &&Row| matches!(row.verdict(), Verdict::Over | Verdict::Unrecorded);
    rows.iter().filter(fails).count() as u64
}

/// Counts the paths of these names, all if there are none.
fn measure(names: &[&str]) -> Result<Vec<Row>> {
    let cpu = fs::read_to_string("/proc/cpuinfo").context("can't read /proc/cpuinfo")?;
    if !cpu.split_ascii_whitespace().any(|flag| flag == "avx2") {
        bail!("this processor has no AVX2: counts would be of other code than the budgets are of");
    }
    let build = ["build", "--release", "--locked", "--package", "coffer-bench"];
    shell::cargo(&[&build[..], &["--bin", "hot-paths"]].concat())?;
    let budgets = read()?;
    let folder = shell::target().join("budget");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let program = shell::target().join("release/hot-paths");
    let listed = Command::new(&program).arg("--list").output().context("can't run hot-paths")?;
    let listed = String::from_utf8(listed.stdout).context("hot-paths lists no text")?;
    let mut paths = Vec::new();
    for line in listed.lines() {
        let (name, requests) = line.split_once(' ').context("hot-paths lists no number")?;
        paths.push((name, requests.parse::<u64>()?));
    }
    if let Some(unknown) = names.iter().find(|name| !paths.iter().any(|(path, _)| path == *name)) {
        bail!("there is no path {unknown}; there are:\n{listed}");
    }
    paths.retain(|(name, _)| names.is_empty() || names.contains(name));
    let mut rows = Vec::new();
    for (name, requests) in paths {
        let (once, twice) = (requests, 2 * requests);
        // At the same time: how fast they are does not matter.
        let running = [
            Counting::start(&program, &folder, name, once, twice)?,
            Counting::start(&program, &folder, name, twice, twice)?,
        ];
        let [once, twice] = running.map(Counting::end);
        let more =
            twice?.checked_sub(once?).context("twice the requests took fewer instructions")?;
        let budget = budgets.iter().find(|(path, _)| path == name).map(|(_, budget)| *budget);
        rows.push(Row { name: name.to_owned(), counted: more / requests, budget });
    }
    Ok(rows)
}

/// A walk that is being counted.
struct Counting {
    child: Child,
    profile: PathBuf,
}

impl Counting {
    fn start(program: &Path, folder: &Path, name: &str, sent: u64, of: u64) -> Result<Counting> {
        let profile = folder.join(format!("{name}-{sent}.callgrind"));
        // Without chance in addresses, and with nothing inherited that the program could look at.
        let mut command = Command::new("setarch");
        command.args(["--addr-no-randomize", "valgrind", "--tool=callgrind"]);
        command.arg(format!("--callgrind-out-file={}", profile.display()));
        command.arg(program).args([name, &sent.to_string(), &of.to_string()]);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if let Some(folder) = std::env::var_os("TMPDIR") {
            command.env("TMPDIR", folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        shell::announce(&command);
        let child = command.spawn().context("can't run setarch")?;
        Ok(Counting { child, profile })
    }

    /// The instructions of the whole run.
    fn end(self) -> Result<u64> {
        let output = self.child.wait_with_output().context("can't wait for valgrind")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("counting ended with {}:\n{said}", output.status);
        }
        let profile = &self.profile;
        let text = fs::read_to_string(profile)
            .with_context(|| format!("can't read {}", profile.display()))?;
        total(&text).with_context(|| format!("{} has no total", profile.display()))
    }
}

/// The total of a profile.
fn total(profile: &str) -> Option<u64> {
    let mut lines = profile.lines().rev();
    lines.find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
}

fn read() -> Result<Vec<(String, u64)>> {
    let text = fs::read_to_string(FILE).with_context(|| format!("can't read {FILE}"))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<(String, u64)>> {
    let mut budgets = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, budget) = line
            .split_once(' ')
            .with_context(|| format!("{FILE}: a line is NAME INSTRUCTIONS: {line}"))?;
        let budget = budget.trim().parse();
        budgets.push((name.to_owned(), budget.with_context(|| format!("{FILE}: {line}"))?));
    }
    Ok(budgets)
}

/// Records what was counted; what was not stays.
fn write(rows: &[Row]) -> Result<()> {
    let mut budgets = read()?;
    for row in rows {
        match budgets.iter_mut().find(|(name, _)| *name == row.name) {
            Some((_, budget)) => *budget = row.counted,
            None => budgets.push((row.name.clone(), row.counted)),
        }
        match row.budget {
            Some(before) if row.counted > before => {
                println!("{}: raised from {before} to {} ({RAISING})", row.name, row.counted);
            }
            Some(before) => println!("{}: lowered from {before} to {}", row.name, row.counted),
            None => println!("{}: {}", row.name, row.counted),
        }
    }
    let mut text = format!(
        "# Instructions that one request of a hot path may take, {SLACK_PERCENT} % more or less.\n\
         # `cargo xtask budget` checks them, `cargo xtask budget --record` writes them;\n\
         # {RAISING}.\n"
    );
    for (name, budget) in budgets {
        text += &format!("{name} {budget}\n");
    }
    fs::write(FILE, text).with_context(|| format!("can't write {FILE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(counted: u64, budget: Option<u64>) -> Verdict {
        Row { name: "x".to_owned(), counted, budget }.verdict()
    }

    #[test]
    fn five_percent_are_slack() {
        assert_eq!(verdict(1050, Some(1000)), Verdict::Within);
        assert_eq!(verdict(1051, Some(1000)), Verdict::Over);
        assert_eq!(verdict(950, Some(1000)), Verdict::Within);
        assert_eq!(verdict(949, Some(1000)), Verdict::Under);
        assert_eq!(verdict(1, None), Verdict::Unrecorded);
    }

    #[test]
    fn a_line_of_a_path_over_its_budget_has_both_figures() {
        let row = Row { name: "put-4KiB".to_owned(), counted: 1100, budget: Some(1000) };
        let line = row.line();
        assert!(line.contains("put-4KiB") && line.contains("1100") && line.contains("1000"));
        assert!(line.contains("+10.0 %") && line.contains("FAILED"), "{line}");
        assert_eq!(report(&[row]), 1);
    }

    #[test]
    fn totals_and_budgets_are_read() {
        assert_eq!(total("summary: 12\n1 2\n\ntotals: 345\n"), Some(345));
        assert_eq!(total("summary: 12\n"), None);
        assert_eq!(parse("# what\n\na 1\nb 22\n").unwrap().len(), 2);
        assert!(parse("a\n").is_err());
        assert!(parse("a x\n").is_err());
    }

    #[test]
    fn the_recorded_budgets_can_be_read() {
        let path = shell::repository().join(FILE);
        assert!(!parse(&fs::read_to_string(path).unwrap()).unwrap().is_empty());
    }
}
