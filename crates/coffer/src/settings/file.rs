//! The settings file: TOML, flat, one key a setting.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{Effective, Kind, Origin, Setting, TABLE};
use crate::fault::Fault;

/// The file that is read when none is named, if it exists.
const USUAL: &str = "coffer.toml";

/// What the file says, by key. `named` must exist; the usual one need not.
pub fn read(named: Option<PathBuf>) -> Result<HashMap<&'static str, Effective>, Fault> {
    let (path, text) = match named {
        Some(path) => {
            let text = std::fs::read_to_string(&path)
                .map_err(|e| Fault::Usage(format!("{}: {e}", path.display())))?;
            (path, text)
        }
        None => match std::fs::read_to_string(USUAL) {
            Ok(text) => (PathBuf::from(USUAL), text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
            Err(e) => return Err(Fault::Usage(format!("{USUAL}: {e}"))),
        },
    };
    parse(&path, &text)
}

/// As [`read`], of a text.
pub fn parse(path: &Path, text: &str) -> Result<HashMap<&'static str, Effective>, Fault> {
    let wrong = |offset: usize, what: String| {
        Fault::Usage(format!("{} line {}: {what}", path.display(), line_at(text, offset)))
    };
    let table = DeTable::parse(text).map_err(|e| {
        wrong(e.span().map_or(0, |span| span.start), e.message().replace('\n', " "))
    })?;
    let mut found = HashMap::new();
    for (key, value) in table.get_ref() {
        let at = key.span().start;
        let name: &str = key.get_ref();
        let Some(setting) = TABLE.iter().find(|s| s.key == name) else {
            let hint = match nearest(name) {
                Some(near) => format!("; did you mean {near}?"),
                None => String::new(),
            };
            return Err(wrong(at, format!("there is no setting {name:?}{hint}")));
        };
        let values = values_of(setting, value.get_ref()).map_err(|what| wrong(at, what))?;
        let origin = Origin::File(path.to_owned(), line_at(text, at));
        found.insert(setting.key, Effective { values, origin });
    }
    Ok(found)
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&b| b == b'\n').count() + 1
}

fn values_of(setting: &Setting, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let wrong = |wanted: &str| {
        Err(format!("{} must be {wanted}, not a TOML {}", setting.key, value.type_str()))
    };
    let scalar = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        _ => None,
    };
    match (setting.kind, value) {
        (Kind::Switch, DeValue::Boolean(on)) => Ok(vec![on.to_string()]),
        (Kind::Switch, _) => wrong("true or false"),
        (Kind::One(_), value) => match scalar(value) {
            Some(text) => Ok(vec![text]),
            None => wrong("a text or a number"),
        },
        (Kind::List { .. }, DeValue::Array(items)) => {
            match items.iter().map(|item| scalar(item.get_ref())).collect() {
                Some(values) => Ok(values),
                None => wrong("a list of texts"),
            }
        }
        (Kind::List { .. }, value) => match scalar(value) {
            Some(text) => Ok(vec![text]),
            None => wrong("a text or a list of texts"),
        },
    }
}

/// The key that `name` is most likely a slip of.
fn nearest(name: &str) -> Option<&'static str> {
    let near = TABLE.iter().map(|s| (distance(name, s.key), s.key)).min()?;
    (near.0 <= 3).then_some(near.1)
}

/// Levenshtein's: how many characters must be put in, left out or exchanged.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let changed = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
