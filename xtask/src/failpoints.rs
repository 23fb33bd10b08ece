//! The build of the program that can kill itself at named points.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::shell;

/// Builds it in the dev profile, and puts it aside: the program of the same name that is built
/// next takes its place. All of the workspace is named, so that third parties' crates are built
/// with the same features, and once, for both.
pub fn build() -> Result<PathBuf> {
    let features = ["--features", "coffer/failpoints"];
    let mut arguments = vec!["build", "--workspace", "--bin", "coffer", "--locked"];
    arguments.extend(features);
    shell::cargo(&arguments)?;
    let folder = shell::target().join("failpoints");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let binary = folder.join("coffer");
    // Not over the old one, which may be running.
    let fresh = folder.join("coffer.new");
    let built = shell::target().join("debug/coffer");
    fs::copy(&built, &fresh).with_context(|| format!("can't copy {}", built.display()))?;
    fs::rename(&fresh, &binary).with_context(|| format!("can't place {}", binary.display()))?;
    Ok(binary)
}
