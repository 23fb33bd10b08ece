//! Which crate may know which.

/// Arrows point downwards only, and siblings don't know each other.
const ALLOWED: &[(&str, &[&str])] = &[
    ("coffer-base", &[]),
    ("coffer-iam", &["coffer-base"]),
    ("coffer-log", &["coffer-base"]),
    ("coffer-catalog", &["coffer-base", "coffer-log"]),
    (
        "coffer-objects",
        &["coffer-base", "coffer-log", "coffer-iam", "coffer-catalog"],
    ),
    (
        "coffer-s3",
        &["coffer-base", "coffer-iam", "coffer-objects"],
    ),
    (
        "coffer",
        &[
            "coffer-base",
            "coffer-log",
            "coffer-iam",
            "coffer-catalog",
            "coffer-objects",
            "coffer-s3",
        ],
    ),
    (
        "coffer-sim",
        &[
            "coffer-base",
            "coffer-log",
            "coffer-iam",
            "coffer-catalog",
            "coffer-objects",
            "coffer-s3",
        ],
    ),
    ("xtask", &[]),
];

/// The edges of crate `name` that its manifest has and the table has not.
pub fn forbidden(name: &str, manifest: &str) -> Vec<String> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
        return vec![format!(
            "{name}: the table of allowed edges doesn't know this crate"
        )];
    };
    let edges = dependencies(manifest).into_iter().filter(|dependency| {
        ALLOWED.iter().any(|(known, _)| known == dependency)
            && !allowed.contains(&dependency.as_str())
    });
    edges
        .map(|dependency| format!("{name}: it may not depend on {dependency}"))
        .collect()
}

/// The names in all dependency tables of a manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut in_table = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let parts: Vec<&str> = header.split('.').collect();
            let at = parts.iter().position(|part| part.ends_with("dependencies"));
            in_table = at == Some(parts.len() - 1);
            // [dependencies.NAME]
            if let Some(at) = at
                && at + 2 == parts.len()
            {
                names.push(parts[at + 1].trim_matches('"').to_owned());
            }
        } else if in_table && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if !name.is_empty() {
                names.push(name.trim_matches('"').to_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_found_in_every_form() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\ncoffer-base.workspace = true\n\
            # coffer-s3 = 1\n\"coffer-iam\" = { path = \"..\" }\n[dev-dependencies.coffer-log]\n\
            path = \"..\"\n[target.'cfg(unix)'.dependencies]\ncoffer-s3 = \"1\"\n[lints]\nworkspace = true\n";
        assert_eq!(
            dependencies(manifest),
            ["coffer-base", "coffer-iam", "coffer-log", "coffer-s3"]
        );
    }

    #[test]
    fn an_arrow_upwards_and_one_to_a_sibling_are_forbidden() {
        let up = "[dependencies]\ncoffer-catalog.workspace = true\n";
        assert_eq!(
            forbidden("coffer-log", up),
            ["coffer-log: it may not depend on coffer-catalog"]
        );
        let sibling = "[dev-dependencies]\ncoffer-iam.workspace = true\n";
        assert_eq!(forbidden("coffer-log", sibling).len(), 1);
        let down = "[dependencies]\ncoffer-base.workspace = true\nbytes = \"1\"\n";
        assert!(forbidden("coffer-log", down).is_empty());
        assert_eq!(forbidden("coffer-new", down).len(), 1);
    }
}
