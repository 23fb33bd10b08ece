//! Rules that the compiler does not check.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;

mod edges;
mod failpoints;
mod modules;

/// Files longer than this are reported; that fails nothing.
const LONG_FILE_LINES: usize = 600;

/// Checks every crate; an error that names each broken rule.
pub fn run() -> Result<()> {
    let root = shell::repository();
    let mut crates = Vec::new();
    for entry in list(&root.join("crates"))? {
        if entry.join("Cargo.toml").is_file() {
            crates.push(entry);
        }
    }
    crates.push(root.join("xtask"));

    let mut broken = Vec::new();
    let mut files = 0;
    let mut texts = Vec::new();
    for folder in &crates {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let manifest = read(&folder.join("Cargo.toml"))?;
        broken.extend(edges::forbidden(&name, &manifest));
        for start in ["src/lib.rs", "src/main.rs"] {
            let path = folder.join(start);
            if path.is_file() && !has_crate_doc(&read(&path)?) {
                broken.push(format!("{}: it doesn't begin with what it is for", shown(&path)));
            }
        }
        let all = rust_files(folder)?;
        let reached = modules::reached(folder)?;
        for file in all {
            files += 1;
            let text = read(&file)?;
            let lines = text.lines().count();
            if lines > LONG_FILE_LINES {
                println!("note: {} has {lines} lines", shown(&file));
            }
            if !reached.contains(&file) {
                broken.push(format!("{}: no module names it", shown(&file)));
            }
            if name != "xtask" && shown(&file) != failpoints::TABLE {
                texts.push((shown(&file), text));
            }
        }
    }
    broken.extend(failpoints::wrong(&read(&root.join(failpoints::TABLE))?, &texts));
    if broken.is_empty() {
        println!("tidy: {} crates, {files} files", crates.len());
        return Ok(());
    }
    bail!("tidy: {} rules are broken\n  {}", broken.len(), broken.join("\n  "))
}

/// Whether a crate's first line of substance is its documentation.
fn has_crate_doc(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    first.is_some_and(|line| line.strip_prefix("//!").is_some_and(|doc| !doc.trim().is_empty()))
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in list(folder)? {
        if entry.is_dir() && !entry.ends_with("target") {
            found.extend(rust_files(&entry)?);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
    Ok(found)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("can't list {}", folder.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        entries.push(entry.with_context(context)?.path());
    }
    entries.sort();
    Ok(entries)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(shell::repository()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_begins_with_its_doc() {
        assert!(has_crate_doc("\n//! What it is.\n"));
        assert!(!has_crate_doc("//!\nuse x;"));
        assert!(!has_crate_doc("use x;\n//! Late."));
        assert!(!has_crate_doc(""));
    }

    #[test]
    fn this_repository_is_tidy() {
        run().unwrap();
    }
}
