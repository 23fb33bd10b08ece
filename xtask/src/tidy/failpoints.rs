//! The failpoints of the source are those of the table, each in one place.

use std::collections::BTreeMap;

/// Where the table is.
pub const TABLE: &str = "crates/coffer-base/src/failpoint.rs";

/// How a point is passed.
const CALL: &str = "failpoint::pass(\"";

/// What is wrong; `files` are the path and the text of each file but the table's.
pub fn wrong(table: &str, files: &[(String, String)]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = named(table).map(|name| (name, vec![])).collect();
    let mut wrong = Vec::new();
    if places.is_empty() {
        wrong.push(format!("{TABLE}: it has no table of failpoints"));
    }
    for (path, text) in files {
        for (at, _) in text.match_indices(CALL) {
            let rest = &text[at + CALL.len()..];
            let name = &rest[..rest.find('"').unwrap_or(rest.len())];
            match places.get_mut(name) {
                Some(places) => places.push(path),
                None => wrong.push(format!("{path}: the failpoint {name} is not in the table")),
            }
        }
    }
    for (name, places) in places {
        match &places[..] {
            [_] => {}
            [] => wrong.push(format!("{TABLE}: nothing passes the failpoint {name}")),
            more => wrong.push(format!("the failpoint {name} is in {}", more.join(", "))),
        }
    }
    wrong
}

/// The names in the table: the first text of each row.
fn named(table: &str) -> impl Iterator<Item = &str> {
    let rows = table.split_once("pub const POINTS").map_or("", |(_, rows)| rows);
    rows.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE_TEXT: &str = "pub const POINTS: &[(&str, &str)] = &[\n    (\"a.b\", \"what\"),\n\
        (\"c.d\", \"what\"),\n];";

    fn file(text: &str) -> Vec<(String, String)> {
        vec![("x.rs".to_owned(), text.to_owned())]
    }

    #[test]
    fn table_and_source_agree() {
        let both = "coffer_base::failpoint::pass(\"a.b\"); failpoint::pass(\"c.d\");";
        assert!(wrong(TABLE_TEXT, &file(both)).is_empty());
        assert_eq!(wrong(TABLE_TEXT, &file("failpoint::pass(\"a.b\")")).len(), 1);
        let twice = format!("{both} failpoint::pass(\"a.b\")");
        assert_eq!(wrong(TABLE_TEXT, &file(&twice)).len(), 1);
        let unknown = format!("{both} failpoint::pass(\"e.f\")");
        assert_eq!(wrong(TABLE_TEXT, &file(&unknown)).len(), 1);
        assert!(!wrong("", &file(both)).is_empty());
    }
}
