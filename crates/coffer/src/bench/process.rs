//! What a process used, by `/proc`.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

/// What a process used so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// CPU time of all its threads, ended ones too, in user and kernel mode.
    pub cpu_seconds: f64,
    /// Memory it holds now.
    pub rss_bytes: u64,
    /// The most it has held since it started.
    pub rss_peak_bytes: u64,
}

impl Usage {
    /// Reads the figures of process `pid`.
    pub fn of(pid: u32) -> Result<Usage> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).with_context(|| format!("can't read {path}"))
        };
        let ticks = parse_cpu_ticks(&read("stat")?)
            .with_context(|| format!("/proc/{pid}/stat is not as expected"))?;
        let status = read("status")?;
        let bytes = |field| {
            parse_kib(&status, field)
                .with_context(|| format!("/proc/{pid}/status has no {field}: is it a process?"))
        };
        Ok(Usage {
            cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            rss_bytes: bytes("VmRSS:")?,
            rss_peak_bytes: bytes("VmHWM:")?,
        })
    }
}

/// User and system ticks from `stat`; the name in parentheses may hold anything.
fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    // The state is field 3; utime and stime are 14 and 15.
    let mut fields = fields.split_ascii_whitespace().skip(14 - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

fn parse_kib(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// What the server used during a run.
#[derive(Clone, Debug, Serialize)]
pub struct ServerFigures {
    /// Its process id.
    pub pid: u32,
    /// CPU time during the run.
    pub cpu_seconds: f64,
    /// CPU time for each GB (10^9 bytes) moved, if bytes were moved.
    pub cpu_seconds_per_gb: Option<f64>,
    /// CPU time for each request.
    pub cpu_us_per_request: Option<f64>,
    /// Memory at the end of the run.
    pub rss_bytes: u64,
    /// Most memory since the server started.
    pub rss_peak_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_figures() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_bytes > 0 && usage.rss_peak_bytes >= usage.rss_bytes);
        assert!(Usage::of(u32::MAX).is_err());
    }

    #[test]
    fn a_hostile_name_does_not_shift_the_fields() {
        let stat = "7 (a b) c) S 1 1 1 0 -1 4194560 10 0 0 0 120 30 0 0 20 0 9 0 5 6 7";
        assert_eq!(parse_cpu_ticks(stat), Some(150));
        assert_eq!(parse_cpu_ticks("7 (x"), None);
        assert_eq!(parse_cpu_ticks("7 (x) S 1"), None);
        assert_eq!(parse_kib("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12288));
        assert_eq!(parse_kib("VmRSS:\t  12\n", "VmRSS:"), None);
    }
}
