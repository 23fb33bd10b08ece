//! The Python environment of the end-to-end tests, and the programs of other people that they run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// A program from a Debian package, and what can't be tested without it.
struct Program {
    package: &'static str,
    here: fn() -> bool,
    without: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program {
        package: "python3-venv",
        here: || shell::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])),
        without: "all end-to-end tests",
    },
    Program {
        package: "curl",
        here: || shell::has("curl"),
        without: "presigned URLs by curl (tests/e2e/test_clients.py)",
    },
    Program {
        package: "openssl",
        here: || shell::has("openssl"),
        without: "certificates of every kind (tests/e2e/test_tls.py)",
    },
    Program {
        package: "pebble",
        here: || shell::has("pebble") && shell::has("pebble-challtestsrv"),
        without: "certificates from an ACME server (tests/e2e/test_tls.py)",
    },
    Program {
        package: "rclone",
        here: || shell::has("rclone"),
        without: "rclone (tests/e2e/test_clients.py)",
    },
    Program {
        package: "restic",
        here: || shell::has("restic"),
        without: "restic (tests/e2e/test_clients.py)",
    },
    Program {
        package: "awscli",
        here: || Path::new("/usr/bin/aws").exists(),
        without: "Debian's aws-cli (tests/e2e/test_iam.py, test_sts.py)",
    },
    Program {
        package: "strace",
        here: || shell::has("strace"),
        without: "barriers as the kernel counts them (tests/e2e/test_one_wave.py)",
    },
    Program {
        package: "valgrind",
        here: || shell::has("valgrind"),
        without: "instruction budgets of the hot paths (cargo xtask budget)",
    },
    Program {
        package: "fuse3",
        here: || Path::new("/dev/fuse").exists() && (is_root() || shell::has("fusermount3")),
        without: "power cuts and drive faults of the real server, which need /dev/fuse \
                  (test_power.py, test_drive_faults.py)",
    },
];

/// Programs that no test needs, only measurements.
const MEASURING: &[Program] = &[Program {
    package: "nginx-light",
    here: || shell::has("nginx"),
    without: "reads beside nginx (cargo xtask bench)",
}];

/// Makes sure that the program of a Debian package is there, by installing it if need be.
pub fn need(package: &str) -> Result<()> {
    let known = PROGRAMS.iter().chain(MEASURING).find(|program| program.package == package);
    let program = known.with_context(|| format!("no package {package} is known"))?;
    if !(program.here)() {
        install(&[program])?;
    }
    if (program.here)() {
        return Ok(());
    }
    anyhow::bail!("{package} is not installed; needed for: {}", program.without)
}

/// What a test run has to work with.
pub struct Prepared {
    /// The environment's Python; none if there can be no environment.
    pub python: Option<PathBuf>,
    /// What is missing and what is thereby not tested, a line each.
    pub missing: Vec<String>,
}

/// Installs what is missing: Debian packages if this is root on such a system, Python packages by
/// a requirements file with exact versions.
pub fn prepare(requirements: &[&str]) -> Prepared {
    let mut missing = Vec::new();
    let absent: Vec<&Program> = PROGRAMS.iter().filter(|program| !(program.here)()).collect();
    if !absent.is_empty()
        && let Err(error) = install(&absent)
    {
        eprintln!("xtask: {error:#}");
    }
    for program in absent {
        if !(program.here)() {
            let Program { package, without, .. } = program;
            missing.push(format!("{package} is not installed; not tested: {without}"));
        }
    }
    let python = match environment(requirements) {
        Ok(python) => Some(python),
        Err(error) => {
            missing.push(format!("no Python environment ({error:#}); not tested: end to end"));
            None
        }
    };
    Prepared { python, missing }
}

fn install(programs: &[&Program]) -> Result<()> {
    if !shell::has("apt-get") || !is_root() {
        anyhow::bail!("packages are installed only by root, with apt-get");
    }
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    shell::run(apt().args(["update", "-qq"]))?;
    // One by one: a package that is not to be had must not keep the others out.
    for program in programs {
        let arguments = ["install", "-y", "-qq", "--no-install-recommends", program.package];
        if let Err(error) = shell::run(apt().args(arguments)) {
            eprintln!("xtask: {error:#}");
        }
    }
    Ok(())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The environment below the target folder, made or brought up to date if need be; its Python.
fn environment(requirements: &[&str]) -> Result<PathBuf> {
    let folder = shell::target().join("venv");
    let python = folder.join("bin/python");
    let stamp = folder.join("installed.txt");
    let mut wanted = String::new();
    for file in requirements {
        wanted += &std::fs::read_to_string(file).with_context(|| format!("can't read {file}"))?;
    }
    let works = shell::succeeds(Command::new(&python).args(["-c", "import pip"]));
    if !works {
        make(&folder)?;
    } else if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for file in requirements {
        pip.args(["--requirement", file]);
    }
    shell::run(&mut pip)?;
    std::fs::write(&stamp, wanted).with_context(|| format!("can't write {}", stamp.display()))?;
    Ok(python)
}

fn make(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("can't remove {}", folder.display()))?;
    }
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(folder))
}
