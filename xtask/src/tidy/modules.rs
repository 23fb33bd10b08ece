//! Which files a crate's modules reach.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{list, read};

/// All files that the roots of a crate reach: its library, its programs, its tests.
pub fn reached(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut roots: Vec<PathBuf> =
        ["src/lib.rs", "src/main.rs", "build.rs"].map(|root| folder.join(root)).to_vec();
    for place in ["src/bin", "tests", "benches", "examples"] {
        let place = folder.join(place);
        if place.is_dir() {
            for entry in list(&place)? {
                roots.push(if entry.is_dir() { entry.join("main.rs") } else { entry });
            }
        }
    }
    let mut found = BTreeSet::new();
    for root in roots {
        if root.is_file() && root.extension().is_some_and(|extension| extension == "rs") {
            // A root's modules lie beside it.
            let beside = root.parent().unwrap_or(folder).to_path_buf();
            follow(&root, &beside, &mut found)?;
        }
    }
    Ok(found)
}

/// Adds `file` and the modules it names, which lie in `modules`.
fn follow(file: &Path, modules: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    if !found.insert(file.to_path_buf()) {
        return Ok(());
    }
    for module in named(&read(file)?) {
        let candidates = match &module.path {
            Some(path) => vec![file.parent().unwrap_or(modules).join(path)],
            None => vec![
                modules.join(format!("{}.rs", module.name)),
                modules.join(&module.name).join("mod.rs"),
            ],
        };
        // A missing file is the compiler's to report.
        if let Some(next) = candidates.into_iter().find(|candidate| candidate.is_file()) {
            let inner = match &module.path {
                Some(_) => next.with_extension(""),
                None => modules.join(&module.name),
            };
            follow(&next, &inner, found)?;
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Module {
    name: String,
    path: Option<String>,
}

/// The modules that a file declares and doesn't contain.
fn named(text: &str) -> Vec<Module> {
    let mut modules = Vec::new();
    let mut path = None;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[path") {
            path = rest.split('"').nth(1).map(str::to_owned);
            continue;
        }
        if line.starts_with("#[") || line.starts_with("//") || line.is_empty() {
            continue;
        }
        let declared = ["mod ", "pub mod ", "pub(crate) mod ", "pub(super) mod "]
            .iter()
            .find_map(|start| line.strip_prefix(start))
            .and_then(|rest| rest.split_once(';'));
        if let Some((name, _)) = declared {
            modules.push(Module { name: name.trim().to_owned(), path: path.take() });
        }
        path = None;
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_found_and_contained_modules_are_not() {
        let text = "mod a;\npub mod b;\n// mod c;\nmod d {\n}\n#[cfg(test)]\nmod tests;\n\
            #[path = \"other.rs\"]\nmod e;\nlet x = \"mod f;\";\npub(crate) mod g; // why\n";
        let names: Vec<String> = named(text).into_iter().map(|module| module.name).collect();
        assert_eq!(names, ["a", "b", "tests", "e", "g"]);
        assert_eq!(named(text)[3].path.as_deref(), Some("other.rs"));
    }

    #[test]
    fn this_crate_reaches_this_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = reached(folder).unwrap();
        assert!(found.contains(&folder.join("src/tidy/modules.rs")), "{found:?}");
    }
}
