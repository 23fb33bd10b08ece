//! A second evaluator, written from AWS's user guide ("Policy evaluation logic", "IAM JSON policy
//! element reference") over raw JSON, slow and plain. It shares no code with the crate.
//!
//! It assumes documents that the crate accepts.

use std::collections::BTreeMap;

use serde_json::Value;

/// Who asks, in words.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `root`, `user`, `role`, `web`, `anonymous`.
    pub kind: &'static str,
    pub account: String,
    pub canonical: String,
    /// The ARN of its requests; of a web identity the provider's.
    pub arn: String,
    pub role_arn: String,
    pub user_id: String,
    pub tags: Vec<(String, String)>,
}

/// All that a decision depends on.
#[derive(Clone, Debug)]
pub struct Case {
    pub caller: Caller,
    pub identity: Vec<Value>,
    pub boundary: Option<Value>,
    pub session: Option<Vec<Value>>,
    pub resource: Option<Value>,
    /// Keys in lower case.
    pub context: BTreeMap<String, Vec<String>>,
    pub action: String,
    pub arn: String,
    pub owner: Option<String>,
    pub restrict_public: bool,
}

/// `allowed`, `explicitDeny` or `implicitDeny`.
pub fn decide(case: &Case) -> &'static str {
    let caller = &case.caller;
    let no_policies = Vec::new();
    let identity = if caller.kind == "root" { &no_policies } else { &case.identity };
    let boundary: Vec<Value> = case.boundary.iter().cloned().collect();
    let session = case.session.clone().unwrap_or_default();
    let resource: Vec<Value> = case.resource.iter().cloned().collect();

    // Step 1: an explicit deny in any policy ends it.
    let own =
        !caller.account.is_empty() && case.owner.as_ref().is_none_or(|o| *o == caller.account);
    let policy_of_own_bucket =
        ["s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucketpolicy"]
            .contains(&case.action.to_lowercase().as_str());
    let immune = caller.kind == "root" && own && policy_of_own_bucket;
    for policy in identity.iter().chain(&boundary).chain(&session) {
        if statements(policy).iter().any(|(v, s)| s["Effect"] == "Deny" && matches(case, v, s)) {
            return "explicitDeny";
        }
    }
    for policy in &resource {
        for (version, s) in statements(policy) {
            let denies = s["Effect"] == "Deny" && matches(case, &version, &s);
            if denies && about(case, &s) != 0 && !immune {
                return "explicitDeny";
            }
        }
    }

    // Step 2: which kinds of policies allow it.
    let allows = |policies: &[Value]| {
        policies.iter().any(|policy| {
            statements(policy).iter().any(|(v, s)| s["Effect"] == "Allow" && matches(case, v, s))
        })
    };
    let identity_allows = caller.kind == "root" || allows(identity);
    let boundary_allows = case.boundary.is_none() || allows(&boundary);
    let session_allows = case.session.is_none() || allows(&session);
    let mut by_resource = 0;
    for policy in &resource {
        for (version, s) in statements(policy) {
            if s["Effect"] == "Allow" && matches(case, &version, &s) {
                by_resource = by_resource.max(about(case, &s));
            }
        }
    }
    if case.restrict_public && !own {
        by_resource = 0;
    }

    // Step 3: what must allow it.
    let trust = [
        "sts:assumerole",
        "sts:assumerolewithsaml",
        "sts:assumerolewithwebidentity",
        "sts:tagsession",
        "sts:setsourceidentity",
    ];
    let yes = |allowed: bool| if allowed { "allowed" } else { "implicitDeny" };
    if trust.contains(&case.action.to_lowercase().as_str()) && by_resource == 0 {
        return "implicitDeny";
    }
    if caller.account.is_empty() {
        return yes(by_resource > 0);
    }
    let within = boundary_allows && session_allows;
    if !own {
        return yes(by_resource > 0 && identity_allows && within);
    }
    match by_resource {
        // "Permissions are granted directly to the user or session."
        DIRECT => "allowed",
        // "Permissions boundary and session policy are evaluated."
        ROLE | EVERYONE => yes(within),
        // An account delegates to its policies.
        _ => yes(identity_allows && within),
    }
}

const ACCOUNT: u8 = 1;
const EVERYONE: u8 = 2;
const ROLE: u8 = 3;
const DIRECT: u8 = 4;

/// How a resource's policy names the caller; 0: not at all.
fn about(case: &Case, statement: &Value) -> u8 {
    let caller = &case.caller;
    if let Some(principal) = statement.get("Principal") {
        return listed(principal).iter().map(|(k, t)| named(case, k, t)).max().unwrap_or(0);
    }
    let all = listed(&statement["NotPrincipal"]);
    let has = |wanted: &dyn Fn(&str, &str) -> bool| all.iter().any(|(k, t)| wanted(k, t));
    if has(&|_, text| text == "*") {
        return 0;
    }
    // "NotPrincipal with Deny always denies principals that have a permissions boundary."
    if case.boundary.is_some() {
        return EVERYONE;
    }
    let account = has(&|kind, text| {
        kind == "AWS"
            && !caller.account.is_empty()
            && (text == caller.account || text == format!("arn:aws:iam::{}:root", caller.account))
            || kind == "CanonicalUser" && text == caller.canonical
    });
    let very = has(&|kind, text| {
        kind == "AWS" && (text == caller.arn || text == caller.user_id)
            || kind == "Federated" && caller.kind == "web" && text == caller.arn
    });
    let role_id = caller.user_id.split(':').next().unwrap_or("");
    let role = has(&|kind, text| kind == "AWS" && (text == caller.role_arn || text == role_id));
    let excepted = match caller.kind {
        "root" => account,
        "user" => account && very && case.session.is_none(),
        "role" => account && role && very,
        "web" => very,
        _ => false,
    };
    if excepted { 0 } else { EVERYONE }
}

fn named(case: &Case, kind: &str, text: &str) -> u8 {
    let caller = &case.caller;
    let direct = if caller.kind == "user" && case.session.is_some() { ROLE } else { DIRECT };
    let account = |matches: bool| match (matches, caller.kind) {
        (false, _) => 0,
        (true, "root") => DIRECT,
        (true, _) => ACCOUNT,
    };
    match kind {
        "AWS" if text == "*" => EVERYONE,
        "AWS" if text.len() == 12 => account(text == caller.account),
        "AWS" if text.ends_with(":root") => {
            account(text == format!("arn:aws:iam::{}:root", caller.account))
        }
        "AWS" if caller.kind == "user" && (text == caller.arn || text == caller.user_id) => direct,
        "AWS" if caller.kind == "role" => {
            let role_id = caller.user_id.split(':').next().unwrap();
            if text == caller.arn || text == caller.user_id {
                DIRECT
            } else if text == caller.role_arn || text == role_id {
                ROLE
            } else {
                0
            }
        }
        "CanonicalUser" => account(text == caller.canonical),
        "Federated" if caller.kind == "web" && text == caller.arn => DIRECT,
        _ => 0,
    }
}

fn listed(principal: &Value) -> Vec<(String, String)> {
    match principal {
        Value::String(text) => vec![("AWS".to_owned(), text.clone())],
        Value::Object(kinds) => kinds
            .iter()
            .flat_map(|(kind, v)| strings(v).into_iter().map(move |t| (kind.clone(), t)))
            .collect(),
        other => panic!("no principal: {other}"),
    }
}

/// The statements of a policy, each with the policy's version.
fn statements(policy: &Value) -> Vec<(String, Value)> {
    let version = policy["Version"].as_str().unwrap_or("2008-10-17").to_owned();
    let list = match &policy["Statement"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    list.into_iter().map(|statement| (version.clone(), statement)).collect()
}

/// Action, Resource and Condition; not Principal.
fn matches(case: &Case, version: &str, s: &Value) -> bool {
    let action = case.action.to_lowercase();
    let on_action = |pattern: &String| glob(&plain(&pattern.to_lowercase(), true), &action);
    let acts = match s.get("Action") {
        Some(v) => strings(v).iter().any(on_action),
        None => !strings(&s["NotAction"]).iter().any(on_action),
    };
    let on_arn = |pattern: &String| arn_matches(case, version, pattern, &case.arn);
    let on_resource = if let Some(v) = s.get("Resource") {
        strings(v).iter().any(|p| on_arn(p) == Some(true))
    } else if let Some(v) = s.get("NotResource") {
        let all: Vec<Option<bool>> = strings(v).iter().map(on_arn).collect();
        // An Allow does not rest on a variable that has no value.
        !all.contains(&Some(true)) && (s["Effect"] == "Deny" || !all.contains(&None))
    } else {
        true
    };
    acts && on_resource && conditions(case, version, s)
}

fn conditions(case: &Case, version: &str, s: &Value) -> bool {
    let Some(Value::Object(operators)) = s.get("Condition") else { return true };
    operators.iter().all(|(operator, keys)| {
        let keys = keys.as_object().unwrap();
        keys.iter().all(|(key, v)| {
            condition(case, version, s["Effect"] == "Deny", operator, key, &strings(v))
        })
    })
}

fn condition(
    case: &Case,
    version: &str,
    denies: bool,
    operator: &str,
    key: &str,
    wanted: &[String],
) -> bool {
    let (quantifier, rest) = operator.split_once(':').unwrap_or(("", operator));
    let name = rest.trim_end_matches("IfExists");
    let if_exists = name != rest;
    let values = lookup(case, key).filter(|values| !values.is_empty());
    if name == "Null" {
        let want_absent = |w: &String| w.eq_ignore_ascii_case("true");
        return wanted.iter().any(|w| want_absent(w) == values.is_none());
    }
    let negated = name.contains("Not");
    let Some(values) = values else {
        return match quantifier {
            "ForAllValues" => true,
            "ForAnyValue" => if_exists,
            _ => if_exists || negated,
        };
    };
    // For each value of the request and of the policy: whether they fit; None: a variable has no
    // value.
    let name = name.replace("Not", "");
    let fits = |value: &String| -> Vec<Option<bool>> {
        wanted.iter().map(|w| compare(case, version, &name, value, w)).collect()
    };
    let hit = |value: &String| fits(value).contains(&Some(true));
    let holds = match (quantifier, negated) {
        ("ForAllValues", _) if values.iter().all(|v| v.is_empty()) => true,
        ("ForAllValues", false) => values.iter().all(hit),
        ("ForAllValues", true) => values.iter().all(|v| !hit(v)),
        ("ForAnyValue", false) => values.iter().any(hit),
        ("ForAnyValue", true) => values.iter().any(|v| !hit(v)),
        (_, false) => values.iter().any(hit),
        (_, true) => values.iter().all(|v| !hit(v)),
    };
    // An Allow does not rest on a variable that has no value.
    let unresolved = wanted.iter().any(|w| {
        let textual = name.starts_with("String") || name.starts_with("Arn");
        textual && version == "2012-10-17" && expand(case, w, true).is_none()
    });
    holds && !(negated && !denies && unresolved)
}

/// Whether a value of the request fits one of the policy's under the operator without `Not`.
fn compare(case: &Case, version: &str, name: &str, value: &str, wanted: &str) -> Option<bool> {
    let text = |wildcards: bool| match version {
        "2012-10-17" => expand(case, wanted, wildcards),
        _ => Some(plain(wanted, wildcards)),
    };
    let ordered = |o: Option<std::cmp::Ordering>| {
        o.is_some_and(|o| match name.trim_start_matches("Numeric").trim_start_matches("Date") {
            "Equals" => o.is_eq(),
            "LessThan" => o.is_lt(),
            "LessThanEquals" => o.is_le(),
            "GreaterThan" => o.is_gt(),
            "GreaterThanEquals" => o.is_ge(),
            other => panic!("no order: {other}"),
        })
    };
    match name {
        "StringEquals" => text(false).map(|w| glob(&w, value)),
        "StringEqualsIgnoreCase" => text(false).map(|w| {
            let lower: String = w.iter().map(|(c, _)| *c).collect::<String>().to_lowercase();
            lower == value.to_lowercase()
        }),
        "StringLike" => text(true).map(|w| glob(&w, value)),
        "ArnEquals" | "ArnLike" => arn_matches(case, version, wanted, value),
        "Bool" => Some(value.eq_ignore_ascii_case(wanted)),
        "BinaryEquals" => Some(value == wanted),
        "IpAddress" => Some(address_in(value, wanted)),
        _ if name.starts_with("Numeric") => {
            let read = |t: &str| t.parse::<f64>().ok();
            Some(ordered(read(value).and_then(|v| v.partial_cmp(&read(wanted)?))))
        }
        _ if name.starts_with("Date") => {
            Some(ordered(seconds(value).and_then(|v| v.partial_cmp(&seconds(wanted)?))))
        }
        other => panic!("no operator: {other}"),
    }
}

/// Seconds since the epoch of `2020-01-02T03:04:05Z`, `2020-01-02` or a number: all that the
/// tests use.
fn seconds(text: &str) -> Option<i64> {
    if text.len() != 4 && text.parse::<i64>().is_ok() {
        return text.parse().ok();
    }
    let text = &if text.len() == 4 { format!("{text}-01-01") } else { text.to_owned() };
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let length = |y: i64| if leap(y) { 366 } else { 365 };
    let mut days: i64 = (1970..year).map(length).sum();
    days -= (year..1970).map(length).sum::<i64>();
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    days += lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
    let time = match text.len() {
        10 => 0,
        _ => number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?,
    };
    Some(days * 86_400 + time)
}

fn address_in(value: &str, wanted: &str) -> bool {
    let bits = |text: &str| -> Option<Vec<bool>> {
        let bytes = match text.parse::<std::net::IpAddr>().ok()? {
            std::net::IpAddr::V4(a) => a.octets().to_vec(),
            std::net::IpAddr::V6(a) => match a.to_ipv4_mapped() {
                Some(a) => a.octets().to_vec(),
                None => a.octets().to_vec(),
            },
        };
        Some(bytes.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1 == 1)).collect())
    };
    let (range, prefix) = wanted.split_once('/').unwrap_or((wanted, "999"));
    let (Some(value), Some(range)) = (bits(value), bits(range)) else { return false };
    let prefix = prefix.parse::<usize>().unwrap().min(range.len());
    value.len() == range.len() && value[..prefix] == range[..prefix]
}

/// Values of a key, from the caller first.
fn lookup(case: &Case, key: &str) -> Option<Vec<String>> {
    let caller = &case.caller;
    let key = key.to_lowercase();
    let one = |text: &str| Some(vec![text.to_owned()]);
    let known = caller.kind != "anonymous" && caller.kind != "web";
    match key.as_str() {
        "aws:username" if caller.kind == "user" => one(caller.arn.rsplit('/').next().unwrap()),
        "aws:username" => None,
        "aws:userid" => one(&caller.user_id),
        "aws:principalarn" if caller.kind == "role" => one(&caller.role_arn),
        "aws:principalarn" if known => one(&caller.arn),
        "aws:principalarn" => None,
        "aws:principalaccount" if caller.kind == "anonymous" => one("anonymous"),
        "aws:principalaccount" if known => one(&caller.account),
        "aws:principalaccount" => None,
        "aws:principaltype" => one(match caller.kind {
            "root" => "Account",
            "user" => "User",
            "role" => "AssumedRole",
            "web" => "FederatedUser",
            _ => "Anonymous",
        }),
        "aws:principalisawsservice" | "aws:viaawsservice" => one("false"),
        "aws:resourceaccount" | "s3:resourceaccount"
            if key.starts_with("aws") || case.action.to_lowercase().starts_with("s3:") =>
        {
            let owner = case.owner.clone().unwrap_or(caller.account.clone());
            if owner.is_empty() { None } else { Some(vec![owner]) }
        }
        _ => match key.strip_prefix("aws:principaltag/") {
            Some(tag) => {
                let found = caller.tags.iter().find(|(name, _)| name.to_lowercase() == tag);
                found.map(|(_, value)| vec![value.clone()])
            }
            None => case.context.get(&key).cloned(),
        },
    }
}

/// Characters, each with whether it is a wildcard.
type Text = Vec<(char, bool)>;

fn plain(text: &str, wildcards: bool) -> Text {
    text.chars().map(|c| (c, wildcards && (c == '*' || c == '?'))).collect()
}

/// Puts values in the place of variables; `None` when one has none.
fn expand(case: &Case, text: &str, wildcards: bool) -> Option<Text> {
    let mut out = Vec::new();
    let mut left = text;
    while let Some((before, after)) = left.split_once("${") {
        out.extend(plain(before, wildcards));
        let (inside, rest) = after.split_once('}').unwrap();
        let (key, default) = match inside.split_once(',') {
            Some((key, default)) => (key.trim(), Some(default.trim().trim_matches('\''))),
            None => (inside.trim(), None),
        };
        let value = match key {
            "*" | "?" | "$" => key.to_owned(),
            key => match lookup(case, key).unwrap_or_default().as_slice() {
                [one] => one.clone(),
                [] => default?.to_owned(),
                _ => return None,
            },
        };
        out.extend(plain(&value, false));
        left = rest;
    }
    out.extend(plain(left, wildcards));
    Some(out)
}

/// "Wildcards don't span segments"; missing segments are anything.
fn arn_matches(case: &Case, version: &str, pattern: &str, arn: &str) -> Option<bool> {
    if pattern == "*" {
        return Some(true);
    }
    // Variables of the tests' documents are in the last segment.
    let mut segments: Vec<&str> = pattern.splitn(6, ':').collect();
    segments.resize(6, "*");
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let mut all = true;
    for (i, segment) in segments.iter().enumerate() {
        let text = match version {
            "2012-10-17" => expand(case, segment, true)?,
            _ => plain(segment, true),
        };
        all &= parts.get(i).is_some_and(|part| glob(&text, part));
    }
    Some(all)
}

/// By a table over all prefixes.
fn glob(pattern: &Text, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut row: Vec<bool> = vec![false; name.len() + 1];
    row[0] = true;
    for &(c, wild) in pattern {
        let mut next = vec![false; name.len() + 1];
        for j in 0..=name.len() {
            next[j] = match (wild, c) {
                (true, '*') => row[j] || (j > 0 && next[j - 1]),
                (true, _) => j > 0 && row[j - 1],
                (false, c) => j > 0 && row[j - 1] && c == name[j - 1],
            };
        }
        row = next;
    }
    row[name.len()]
}

fn strings(v: &Value) -> Vec<String> {
    match v {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(strings).collect(),
        other => vec![other.to_string()],
    }
}
