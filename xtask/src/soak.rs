//! The campaigns in full size, with a release build.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::count::{self, Count};
use crate::{bypass, failpoints, python, schedules, shell, test};

/// A campaign: tests in another size, or tests of their own.
struct Campaign {
    name: &'static str,
    what: &'static str,
    /// A file of tests; none for schedules, which are Rust's.
    tests: &'static str,
    /// Settings at scale 1; numbers but percentages are multiplied by the scale.
    settings: &'static [(&'static str, f64)],
}

const CAMPAIGNS: &[Campaign] = &[
    Campaign {
        name: "clients",
        what: "50,000 real files by rclone and aws-cli, restic, bit for bit",
        tests: "tests/soak/test_real_data.py",
        settings: &[("COFFER_TREE_FILES", 50_000.0)],
    },
    Campaign {
        name: "large",
        what: "1.6 GB in 8 parts, one cut off half way",
        tests: "tests/soak/test_large.py",
        settings: &[("COFFER_PART_MB", 200.0)],
    },
    Campaign {
        name: "crash",
        what: "200 kills under load",
        tests: "tests/e2e/test_crash.py",
        settings: &[("COFFER_CRASH_ROUNDS", 200.0)],
    },
    Campaign {
        name: "power",
        what: "1,000 states that a power cut could leave of a running server",
        tests: "tests/soak/test_power.py",
        settings: &[("COFFER_POWER_STATES", 1000.0)],
    },
    Campaign {
        name: "drive-faults",
        what: "drives that fail, lie, fill up, go away and hang under the real server",
        tests: "tests/e2e/test_drive_faults.py",
        settings: &[("COFFER_FAULT_ROUNDS", 5.0), ("COFFER_FAULT_P99_PERCENT", 200.0)],
    },
    Campaign {
        name: "failpoints",
        what: "1,000 kills at named points, on one drive, 2+1 and 4+2",
        tests: "tests/soak/test_failpoints.py",
        settings: &[("COFFER_KILLS", 1000.0)],
    },
    Campaign {
        name: "schedules",
        what: "the commit path, 20,000 schedules a test, and mistakes that these must notice",
        tests: "",
        settings: &[],
    },
    Campaign {
        name: "waves",
        what: "barriers a PUT, alone and with 64 clients",
        tests: "tests/e2e/test_one_wave.py",
        settings: &[("COFFER_WAVES_MOST_PERCENT", 20.0)],
    },
    Campaign {
        name: "erasure",
        what: "every pair of six drives lost under load",
        tests: "tests/e2e/test_erasure.py",
        settings: &[("COFFER_ERASURE_ROUNDS", 15.0)],
    },
    Campaign {
        name: "space",
        what: "bytes on six drives for a million small objects and for 20 GiB of large ones",
        tests: "tests/soak/test_space.py",
        settings: &[("COFFER_SPACE_OBJECTS", 1_000_000.0), ("COFFER_SPACE_LARGE_GIB", 20.0)],
    },
    Campaign {
        name: "memory",
        what: "10 GB up and down, 1,000 connections",
        tests: "tests/e2e/test_memory.py",
        settings: &[("COFFER_MEMORY_GB", 10.0), ("COFFER_MEMORY_CONNECTIONS", 1000.0)],
    },
    Campaign {
        name: "million",
        what: "restart and listings with a million objects",
        tests: "tests/soak/test_million.py",
        settings: &[("COFFER_MILLION", 1_000_000.0)],
    },
    Campaign {
        name: "ten-million",
        what: "listings, starts, memory, absent keys and a mixed load with ten million objects",
        tests: "tests/e2e/test_ten_million.py",
        settings: &[
            ("COFFER_TEN_MILLION", 10_000_000.0),
            ("COFFER_TEN_MILLION_MIXED_SECONDS", 600.0),
        ],
    },
    Campaign {
        name: "flips",
        what: "10,000 flipped bits in a running server's files, two drives at a time",
        tests: "tests/e2e/test_flips.py",
        settings: &[("COFFER_FLIPS", 10_000.0)],
    },
    Campaign {
        name: "history",
        what: "an hour of concurrent clients over kills, pauses and lost drives, linearisable",
        tests: "tests/soak/test_history.py",
        settings: &[("COFFER_HISTORY_SECONDS", 3600.0)],
    },
    Campaign {
        name: "rebuild",
        what: "the index of a million objects deleted, damaged, lost with any drive",
        tests: "tests/e2e/test_rebuild.py",
        settings: &[("COFFER_REBUILD_OBJECTS", 1_000_000.0)],
    },
    Campaign {
        name: "bypass",
        what: "every operation × everybody who must not get in, and bypasses that must be found",
        tests: "tests/e2e/test_bypass.py",
        settings: &[("COFFER_BYPASS_SHARE_PERCENT", 100.0)],
    },
    Campaign {
        name: "sdk-rust",
        what: "the AWS SDK for Rust, unmodified",
        tests: "tests/soak/test_sdk_rust.py",
        settings: &[],
    },
];

/// Runs the named campaigns, or all.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut scale = 1.0;
    let mut names = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--list" => {
                for campaign in CAMPAIGNS {
                    println!("{:<12} {}", campaign.name, campaign.what);
                }
                return Ok(());
            }
            "--scale" => {
                let value = rest.next().context("--scale takes a number")?;
                scale = value.parse().with_context(|| format!("--scale {value}"))?;
                if !(scale > 0.0 && scale <= 100.0) {
                    bail!("--scale is above 0 and at most 100");
                }
            }
            name if CAMPAIGNS.iter().any(|campaign| campaign.name == name) => names.push(name),
            other => bail!("there is no campaign `{other}` (soak --list)"),
        }
    }

    // These have builds of their own.
    if names.is_empty() || names.iter().any(|name| !["failpoints", "schedules"].contains(name)) {
        let mut build = vec!["build", "--release", "--locked"];
        // The server, drives of our own making, the checker of histories.
        for package in ["coffer", "coffer-faultfs", "coffer-sim"] {
            build.extend(["--package", package]);
        }
        shell::cargo(&build)?;
    }
    let binary = shell::target().join("release/coffer");
    let prepared = python::prepare(&[test::REQUIREMENTS]);
    let python = prepared.python.as_deref().context("the campaigns need Python")?;
    let folder = shell::target().join("soak");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let figures = folder.join("figures.jsonl");

    let mut total = Count::default();
    for campaign in CAMPAIGNS {
        if names.is_empty() || names.contains(&campaign.name) {
            println!("\n{}: {}", campaign.name, campaign.what);
            let counted = run_one(campaign, python, &binary, &figures, scale)?;
            println!("{}: {counted}", campaign.name);
            total.add(counted);
        }
    }
    println!("figures: {}", figures.display());
    test::close(total, &prepared.missing)
}

fn run_one(
    campaign: &Campaign,
    python: &Path,
    binary: &Path,
    figures: &Path,
    scale: f64,
) -> Result<Count> {
    if campaign.name == "schedules" {
        let times = (schedules::MANY as f64 * scale).round().max(1.0);
        let mut count = schedules::run(times as u64, true)?;
        count.add(schedules::planted_all(&[])?);
        return Ok(count);
    }
    let mut command = test::pytest(python, binary, campaign.tests);
    // The figures that a campaign prints are its result.
    command.arg("--capture=no").env("COFFER_FIGURES", figures);
    if campaign.name == "failpoints" {
        command.env("COFFER_FAILPOINTS_BIN", failpoints::build()?);
    }
    for (name, value) in campaign.settings {
        let scaled = if name.ends_with("_PERCENT") { *value } else { value * scale };
        let whole = scaled.round().max(1.0);
        let fractional = name.ends_with("_GB") || name.ends_with("_GIB") || name.ends_with("_MB");
        command.env(name, if fractional { scaled.to_string() } else { whole.to_string() });
    }
    let mut count = count::run(&mut command, count::pytest_line)?;
    if campaign.name == "bypass" {
        count.add(bypass::planted_all(python, &[])?);
    }
    Ok(count)
}
