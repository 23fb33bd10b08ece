//! Conditions: an operator, a key, and the values that it is compared with.
//!
//! A statement applies when all its conditions hold; a condition holds when the key's value fits
//! one of the values (of a negated operator: none of them).

use crate::ask::Question;
use crate::keys::Values;
use crate::policy::arn::ArnPattern;
use crate::policy::pattern::{Pattern, Writing, is_key};

pub(crate) mod values;

use values::{Cidr, Number};

/// How a key with several values is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// The key has one value.
    None,
    /// Each of them must fit.
    ForAll,
    /// One of them must fit.
    ForAny,
}

/// How two ordered values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
}

impl Order {
    fn holds<T: PartialOrd>(self, value: &T, against: &T) -> bool {
        match self {
            Order::Equals => value == against,
            Order::Less => value < against,
            Order::LessEquals => value <= against,
            Order::Greater => value > against,
            Order::GreaterEquals => value >= against,
        }
    }
}

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Strings {
        values: Vec<Pattern>,
        ignore_case: bool,
    },
    Numbers(Order, Vec<Number>),
    /// In milliseconds since the Unix epoch.
    Dates(Order, Vec<i64>),
    Bools(Vec<bool>),
    Binaries(Vec<Vec<u8>>),
    Addresses(Vec<Cidr>),
    Arns(Vec<ArnPattern>),
    /// Whether the key is absent must be one of these.
    Null(Vec<bool>),
}

/// One condition of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) quantifier: Quantifier,
    pub(crate) negated: bool,
    pub(crate) if_exists: bool,
    pub(crate) key: String,
    pub(crate) test: Test,
}

impl Condition {
    /// Reads one; the error is as AWS says it where that is known.
    pub(crate) fn read(
        operator: &str,
        key: &str,
        values: &[String],
        variables: bool,
    ) -> Result<Condition, String> {
        let invalid = || format!("Invalid Condition type : {operator}");
        let (quantifier, rest) = match operator.split_once(':') {
            None => (Quantifier::None, operator),
            Some(("ForAllValues", rest)) => (Quantifier::ForAll, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::ForAny, rest),
            Some(_) => return Err(invalid()),
        };
        let (name, if_exists) = match rest.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        if name == "Null" && (if_exists || quantifier != Quantifier::None) {
            return Err(invalid());
        }
        if !is_key(key) {
            return Err(format!("Policy has an invalid condition key: {key}"));
        }
        let test = if values.is_empty() {
            Err("there are no values".to_owned())
        } else {
            Test::read(name, values, variables).ok_or_else(invalid)?
        };
        let (test, negated) = test.map_err(|why| format!("{operator} on {key}: {why}"))?;
        Ok(Condition { quantifier, negated, if_exists, key: key.to_owned(), test })
    }

    /// Whether it holds. A variable without a value fits nothing; where that would make a negated
    /// condition hold, `unresolved` says whether it does: in a Deny, but not in an Allow.
    pub(crate) fn holds(&self, q: &Question<'_>, unresolved: bool) -> bool {
        let values = q.values(&self.key);
        if let Test::Null(absent) = &self.test {
            let is_absent = values.is_none_or(|values| values.iter().next().is_none());
            return absent.contains(&is_absent);
        }
        let Some(values) = values.filter(|values| values.iter().next().is_some()) else {
            return match self.quantifier {
                Quantifier::ForAll => true,
                Quantifier::ForAny => self.if_exists,
                Quantifier::None => self.if_exists || self.negated,
            };
        };
        self.holds_of(&values, q) && (!self.negated || unresolved || self.test.resolves(q))
    }

    fn holds_of(&self, values: &Values<'_>, q: &Question<'_>) -> bool {
        let fits = |value: &str| self.test.fits(value, q);
        match (self.quantifier, self.negated) {
            (Quantifier::ForAll, _) if values.iter().all(str::is_empty) => true,
            (Quantifier::ForAll, false) => values.iter().all(fits),
            (Quantifier::ForAll | Quantifier::None, true) => !values.iter().any(fits),
            (Quantifier::ForAny | Quantifier::None, false) => values.iter().any(fits),
            (Quantifier::ForAny, true) => !values.iter().all(fits),
        }
    }

    /// The keys that it asks about: its own, and those of variables in its values.
    pub(crate) fn keys(&self) -> Vec<&str> {
        let mut keys = vec![self.key.as_str()];
        match &self.test {
            Test::Strings { values, .. } => keys.extend(values.iter().flat_map(Pattern::keys)),
            Test::Arns(values) => keys.extend(values.iter().flat_map(ArnPattern::keys)),
            _ => {}
        }
        keys
    }
}

impl Test {
    /// The test of an operator's name without quantifier and suffix, and whether it is negated;
    /// `None` if there is no such operator.
    fn read(
        name: &str,
        values: &[String],
        variables: bool,
    ) -> Option<Result<(Test, bool), String>> {
        let strings = |wildcards: bool, ignore_case: bool| {
            let writing = Writing { wildcards, variables, ignore_case };
            let read: Result<Vec<Pattern>, String> =
                values.iter().map(|v| Pattern::read(v, writing)).collect();
            read.map(|values| Test::Strings { values, ignore_case })
        };
        let numbers = |order| Ok(Test::Numbers(order, each(values, "a number", values::number)?));
        let dates = |order| Ok(Test::Dates(order, each(values, "a date", values::date_ms)?));
        let booleans = || each(values, "true or false", values::boolean);
        let addresses = || {
            let what = "an IP address or a range of them (203.0.113.0/24)";
            each(values, what, Cidr::read).map(Test::Addresses)
        };
        let arns = || {
            let read: Result<Vec<ArnPattern>, String> = values
                .iter()
                .map(|v| ArnPattern::read(v, variables).map_err(|why| format!("\"{v}\" {why}")))
                .collect();
            read.map(Test::Arns)
        };
        let test: Result<Test, String> = match name {
            "StringEquals" | "StringNotEquals" => strings(false, false),
            "StringEqualsIgnoreCase" | "StringNotEqualsIgnoreCase" => strings(false, true),
            "StringLike" | "StringNotLike" => strings(true, false),
            "NumericEquals" | "NumericNotEquals" => numbers(Order::Equals),
            "NumericLessThan" => numbers(Order::Less),
            "NumericLessThanEquals" => numbers(Order::LessEquals),
            "NumericGreaterThan" => numbers(Order::Greater),
            "NumericGreaterThanEquals" => numbers(Order::GreaterEquals),
            "DateEquals" | "DateNotEquals" => dates(Order::Equals),
            "DateLessThan" => dates(Order::Less),
            "DateLessThanEquals" => dates(Order::LessEquals),
            "DateGreaterThan" => dates(Order::Greater),
            "DateGreaterThanEquals" => dates(Order::GreaterEquals),
            "Bool" => booleans().map(Test::Bools),
            "BinaryEquals" => each(values, "base64", values::base64).map(Test::Binaries),
            "IpAddress" | "NotIpAddress" => addresses(),
            "ArnEquals" | "ArnLike" | "ArnNotEquals" | "ArnNotLike" => arns(),
            "Null" => booleans().map(Test::Null),
            _ => return None,
        };
        Some(test.map(|test| (test, name.contains("Not"))))
    }

    /// Whether `value` fits one of the values. What is no value of the operator's kind fits none.
    fn fits(&self, value: &str, q: &Question<'_>) -> bool {
        match self {
            Test::Strings { values, ignore_case: false } => {
                values.iter().any(|p| p.matches(value, q))
            }
            Test::Strings { values, ignore_case: true } => {
                let value = value.to_lowercase();
                values.iter().any(|p| p.matches(&value, q))
            }
            Test::Numbers(order, against) => values::number(value)
                .is_some_and(|value| against.iter().any(|a| order.holds(&value, a))),
            Test::Dates(order, against) => values::date_ms(value)
                .is_some_and(|value| against.iter().any(|a| order.holds(&value, a))),
            Test::Bools(against) => {
                values::boolean(value).is_some_and(|value| against.contains(&value))
            }
            Test::Binaries(against) => {
                values::base64(value).is_some_and(|value| against.contains(&value))
            }
            Test::Addresses(against) => {
                values::address(value).is_some_and(|value| against.iter().any(|c| c.has(value)))
            }
            Test::Arns(patterns) => patterns.iter().any(|p| p.matches(value, q)),
            Test::Null(_) => false,
        }
    }

    /// Whether all variables in its values have values.
    fn resolves(&self, q: &Question<'_>) -> bool {
        match self {
            Test::Strings { values, .. } => values.iter().all(|p| p.resolves(q)),
            Test::Arns(values) => values.iter().all(|p| p.resolves(q)),
            _ => true,
        }
    }
}

fn each<T>(
    values: &[String],
    what: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, String> {
    let read = |value: &String| read(value).ok_or_else(|| format!("\"{value}\" is not {what}"));
    values.iter().map(read).collect()
}
