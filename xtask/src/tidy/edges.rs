//! Which crate may know which.

/// Arrows point downwards only, and siblings don't know each other.
const ALLOWED: &[(&str, &[&str])] = &[
    ("coffer-base", &[]),
    ("coffer-http", &["coffer-base"]),
    ("coffer-iam", &["coffer-base"]),
    ("coffer-log", &["coffer-base"]),
    ("coffer-catalog", &["coffer-base", "coffer-log"]),
    ("coffer-md5", &[]),
    (
        "coffer-objects",
        &["coffer-base", "coffer-log", "coffer-iam", "coffer-catalog", "coffer-md5"],
    ),
    ("coffer-sigv4", &["coffer-base"]),
    ("coffer-identity", &["coffer-base", "coffer-log", "coffer-iam", "coffer-catalog"]),
    (
        "coffer-s3",
        &[
            "coffer-base",
            "coffer-http",
            "coffer-iam",
            "coffer-objects",
            "coffer-identity",
            "coffer-sigv4",
        ],
    ),
    ("coffer-query", &["coffer-base", "coffer-iam", "coffer-identity", "coffer-sigv4"]),
    (
        "coffer",
        &[
            "coffer-base",
            "coffer-http",
            "coffer-log",
            "coffer-iam",
            "coffer-catalog",
            "coffer-objects",
            "coffer-identity",
            "coffer-s3",
            "coffer-query",
            "coffer-sigv4",
        ],
    ),
    (
        "coffer-sim",
        &[
            "coffer-base",
            "coffer-http",
            "coffer-log",
            "coffer-iam",
            "coffer-catalog",
            "coffer-objects",
            "coffer-identity",
            "coffer-s3",
        ],
    ),
    (
        "coffer-bench",
        &[
            "coffer-base",
            "coffer-http",
            "coffer-log",
            "coffer-catalog",
            "coffer-objects",
            "coffer-identity",
            "coffer-s3",
            "coffer-sigv4",
        ],
    ),
    ("coffer-faultfs", &["coffer-base"]),
    ("xtask", &[]),
];

/// The edges of crate `name` that its manifest has and the table has not. Tests may also use what
/// stands below an allowed crate, to build one up.
pub fn forbidden(name: &str, manifest: &str) -> Vec<String> {
    let Some(allowed) = allowed(name) else {
        return vec![format!("{name}: the table of allowed edges doesn't know this crate")];
    };
    let mut broken = Vec::new();
    for Edge { to, only_tests } in edges(manifest) {
        let is_ours = ALLOWED.iter().any(|(known, _)| *known == to);
        let is_allowed = allowed.contains(&to.as_str()) || only_tests && is_below(allowed, &to);
        if is_ours && !is_allowed {
            broken.push(format!("{name}: it may not depend on {to}"));
        }
    }
    broken
}

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    ALLOWED.iter().find(|(known, _)| *known == name).map(|(_, allowed)| *allowed)
}

/// Whether any of `crates` reaches `to`.
fn is_below(crates: &[&str], to: &str) -> bool {
    crates
        .iter()
        .filter_map(|name| allowed(name))
        .any(|below| below.contains(&to) || is_below(below, to))
}

#[derive(Debug, PartialEq)]
struct Edge {
    to: String,
    only_tests: bool,
}

/// What all dependency tables of a manifest name.
fn edges(manifest: &str) -> Vec<Edge> {
    let mut edges = Vec::new();
    let mut in_table = false;
    let mut only_tests = false;
    for line in manifest.lines().map(str::trim) {
        let name = if let Some(header) = line.strip_prefix('[') {
            let parts: Vec<&str> = header.trim_end_matches(']').split('.').collect();
            let at = parts.iter().position(|part| part.ends_with("dependencies"));
            in_table = at == Some(parts.len() - 1);
            only_tests = at.is_some_and(|at| parts[at] == "dev-dependencies");
            // [dependencies.NAME]
            at.and_then(|at| parts.get(at + 1)).copied().unwrap_or_default()
        } else if in_table && !line.starts_with('#') {
            line.split(['.', '=', ' ']).next().unwrap_or_default()
        } else {
            ""
        };
        if !name.is_empty() {
            edges.push(Edge { to: name.trim_matches('"').to_owned(), only_tests });
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_found_in_every_form() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\ncoffer-base.workspace = true\n\
            # coffer-s3 = 1\n\"coffer-iam\" = { path = \"..\" }\n[dev-dependencies.coffer-log]\n\
            path = \"..\"\n[target.'cfg(unix)'.dependencies]\ncoffer-s3 = \"1\"\n[lints]\nworkspace = true\n";
        let found = edges(manifest);
        let names: Vec<&str> = found.iter().map(|edge| edge.to.as_str()).collect();
        assert_eq!(names, ["coffer-base", "coffer-iam", "coffer-log", "coffer-s3"]);
        let tests: Vec<bool> = found.iter().map(|edge| edge.only_tests).collect();
        assert_eq!(tests, [false, false, true, false]);
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

    #[test]
    fn tests_may_use_what_stands_below() {
        let below = "[dev-dependencies]\ncoffer-log.workspace = true\n";
        assert!(forbidden("coffer-s3", below).is_empty());
        assert_eq!(forbidden("coffer-s3", &below.replace("dev-", "")).len(), 1);
        let up = "[dev-dependencies]\ncoffer-s3.workspace = true\n";
        assert_eq!(forbidden("coffer-log", up).len(), 1);
    }
}
