//! AWS's documented behaviour, case by case: `cases/*.txt`, decided by both evaluators.
//!
//! A line says one thing:
//!
//! ```text
//! case NAME                            a new case: everything below is forgotten
//! version 2008-10-17                   of the policies that follow
//! who user NAME | root | role ROLE/SESSION | anonymous | web ARN   [path /p/] [of ACCOUNT]
//! tag NAME=VALUE                       of the caller
//! identity|boundary|session|resource STATEMENT
//! session none                         a session without policies: nothing is allowed
//! owner ACCOUNT                        who owns the resource; without: the caller's account
//! restrict                             RestrictPublicBuckets is on and the policy is public
//! set KEY=VALUE[|VALUE…]               a condition key of the request
//! yes|denied|no ACTION ARN [with KEY=VALUE[|VALUE…]…]        a row: allowed, explicit, implicit
//! holds|fails CONDITION [with KEY=VALUE[|VALUE…]…]           a row: a condition of an Allow
//! ```
//!
//! A STATEMENT is `Allow|Deny [PRINCIPAL-JSON|not PRINCIPAL-JSON] ACTIONS on RESOURCES [if JSON]`,
//! with commas (without spaces) between several; a leading `!` makes it NotAction or NotResource.

use serde_json::{Value, json};

use crate::reference::{self, Case};
use crate::setting::{caller, case, decide};

const ACCOUNT: &str = "111122223333";

struct Table {
    file: &'static str,
    line: usize,
    name: String,
    version: String,
    case: Case,
    rows: usize,
}

impl Table {
    fn reset(&mut self, name: &str) {
        self.name = name.to_owned();
        self.version = "2012-10-17".to_owned();
        self.case = case(caller("user", ACCOUNT, "/", "ada"));
    }

    fn wrong(&self, what: &str) -> ! {
        panic!("{}:{}: {}: {what}", self.file, self.line, self.name)
    }

    fn line(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match verb {
            "case" => self.reset(rest),
            "version" => self.version = rest.to_owned(),
            "who" => self.who(rest),
            "tag" => {
                let (name, value) = rest.split_once('=').unwrap();
                self.case.caller.tags.push((name.to_owned(), value.to_owned()));
            }
            "identity" => {
                let policy = self.policy(rest);
                self.case.identity.push(policy);
            }
            "boundary" => {
                let policy = self.policy(rest);
                add(&mut self.case.boundary, policy);
            }
            "session" if rest == "none" => self.case.session = Some(Vec::new()),
            "session" => {
                let policy = self.policy(rest);
                self.case.session.get_or_insert_default().push(policy);
            }
            "resource" => {
                let policy = self.policy(rest);
                add(&mut self.case.resource, policy);
            }
            "owner" => self.case.owner = Some(rest.to_owned()),
            "restrict" => self.case.restrict_public = true,
            "set" => set(&mut self.case, rest),
            "yes" | "denied" | "no" => self.row(verb, rest),
            "holds" | "fails" => self.condition(verb, rest),
            _ => self.wrong("no such line"),
        }
    }

    fn who(&mut self, rest: &str) {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let after = |word: &str| words.iter().position(|w| *w == word).map(|at| words[at + 1]);
        let kind = match words[0] {
            "root" => "root",
            "user" => "user",
            "role" => "role",
            "web" => "web",
            "anonymous" => "anonymous",
            _ => self.wrong("no such caller"),
        };
        let name = words.get(1).copied().unwrap_or("");
        let account = after("of").unwrap_or(ACCOUNT);
        self.case.caller = caller(kind, account, after("path").unwrap_or("/"), name);
    }

    /// The policy of one statement.
    fn policy(&self, text: &str) -> Value {
        let (text, condition) = match text.split_once(" if ") {
            Some((text, condition)) => (text, Some(condition)),
            None => (text, None),
        };
        let (effect, mut rest) = text.split_once(' ').unwrap();
        let mut s = json!({ "Effect": effect });
        let not = rest.strip_prefix("not ");
        if let Some(after) = not {
            rest = after;
        }
        if rest.starts_with(['{', '"']) {
            let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            let principal = stream.next().unwrap();
            let principal = principal.unwrap_or_else(|e| self.wrong(&e.to_string()));
            rest = rest[stream.byte_offset()..].trim();
            s[if not.is_some() { "NotPrincipal" } else { "Principal" }] = principal;
        }
        let (actions, resources) = match rest.split_once(" on ") {
            Some((actions, resources)) => (actions, Some(resources)),
            None => (rest, None),
        };
        for (name, list) in [("Action", Some(actions)), ("Resource", resources)] {
            let Some(list) = list else { continue };
            let (name, list) = match list.strip_prefix('!') {
                Some(list) => (format!("Not{name}"), list),
                None => (name.to_owned(), list),
            };
            // A comma before a space is one within a variable.
            let list = list.trim().replace(", ", "\0");
            s[name] = list.split(',').map(|one| one.replace('\0', ", ")).collect();
        }
        if let Some(condition) = condition {
            s["Condition"] =
                serde_json::from_str(condition).unwrap_or_else(|e| self.wrong(&e.to_string()));
        }
        json!({ "Version": self.version, "Statement": [s] })
    }

    fn row(&mut self, verb: &str, rest: &str) {
        let (asked, context) = match rest.split_once(" with ") {
            Some((asked, context)) => (asked, context),
            None => (rest, ""),
        };
        let (action, arn) = asked.split_once(' ').unwrap_or_else(|| self.wrong("no ARN"));
        let mut case = self.case.clone();
        case.action = action.to_owned();
        case.arn = arn.trim().to_owned();
        context.split_whitespace().for_each(|pair| set(&mut case, pair));
        let expected = match verb {
            "yes" => "allowed",
            "denied" => "explicitDeny",
            _ => "implicitDeny",
        };
        self.check(&case, expected, rest);
    }

    fn condition(&mut self, verb: &str, rest: &str) {
        let (condition, context) = match rest.split_once(" with ") {
            Some((condition, context)) => (condition, context),
            None => (rest, ""),
        };
        let mut case = self.case.clone();
        (case.action, case.arn) = ("s3:GetObject".to_owned(), "arn:aws:s3:::b/k".to_owned());
        case.identity = vec![self.policy(&format!("Allow s3:* on * if {condition}"))];
        context.split_whitespace().for_each(|pair| set(&mut case, pair));
        self.check(&case, if verb == "holds" { "allowed" } else { "implicitDeny" }, rest);
        // The same condition in a Deny, unless it is about a variable without a value, which is
        // the one thing in which the two differ.
        if !condition.contains("${") {
            case.identity = vec![
                self.policy("Allow s3:* on *"),
                self.policy(&format!("Deny s3:* on * if {condition}")),
            ];
            self.check(&case, if verb == "holds" { "explicitDeny" } else { "allowed" }, rest);
        }
    }

    fn check(&mut self, case: &Case, expected: &str, row: &str) {
        self.rows += 1;
        for (evaluator, found) in
            [("coffer-iam", decide(case)), ("reference", reference::decide(case))]
        {
            if found != expected {
                self.wrong(&format!("{evaluator} says {found}, not {expected}: {row}\n{case:#?}"));
            }
        }
    }
}

/// Adds the statement of `policy` to the one policy there is of its kind.
fn add(place: &mut Option<Value>, policy: Value) {
    match place {
        None => *place = Some(policy),
        Some(whole) => {
            let statement = policy["Statement"][0].clone();
            whole["Statement"].as_array_mut().unwrap().push(statement);
        }
    }
}

fn set(case: &mut Case, pair: &str) {
    let (key, values) = pair.split_once('=').unwrap_or_else(|| panic!("no value: {pair}"));
    let values = match values {
        "()" => Vec::new(),
        values => values.split('|').map(str::to_owned).collect(),
    };
    case.context.insert(key.to_lowercase(), values);
}

fn run(file: &'static str, text: &str) -> usize {
    let mut table = Table {
        file,
        line: 0,
        name: String::new(),
        version: String::new(),
        case: case(caller("user", ACCOUNT, "/", "ada")),
        rows: 0,
    };
    table.reset("the beginning");
    for (i, line) in text.lines().enumerate() {
        table.line = i + 1;
        let line = line.split("  # ").next().unwrap().trim();
        if !line.is_empty() && !line.starts_with('#') {
            table.line(line);
        }
    }
    table.rows
}

#[test]
fn elements_and_conditions() {
    let rows = run("conditions.txt", include_str!("cases/conditions.txt"));
    assert!(rows >= 300, "{rows} rows");
}

#[test]
fn kinds_of_policies_and_accounts() {
    let rows = run("decisions.txt", include_str!("cases/decisions.txt"));
    assert!(rows >= 150, "{rows} rows");
}
