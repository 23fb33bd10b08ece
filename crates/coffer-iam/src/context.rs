//! The condition keys of a request: what policies may ask about it beyond action and resource.

use std::borrow::Cow;
use std::fmt;

/// Values by key. Keys compare ignoring ASCII case; a key has one value or several.
///
/// Keys that follow from the principal (`aws:username`, `aws:PrincipalArn`, …) are not put here:
/// the evaluator takes them from the [`Principal`](crate::Principal) itself, so a request can't
/// claim them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(Vec<(Cow<'static, str>, Vec<String>)>);

/// The context without any key.
pub static EMPTY: Context = Context(Vec::new());

/// Where the condition keys of a request come from. Most decisions ask for none, so who makes
/// them from a request may do so at the first question.
pub trait Keys: fmt::Debug + Sync {
    /// All of them; the same at each call.
    fn context(&self) -> &Context;
}

impl Keys for Context {
    fn context(&self) -> &Context {
        self
    }
}

impl Context {
    /// An empty one.
    pub const fn new() -> Context {
        Context(Vec::new())
    }

    /// Gives `key` this one value, in the place of what it had.
    pub fn set(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.set_all(key, vec![value.into()]);
    }

    /// Gives `key` these values, in the place of what it had. An empty list is a key that is
    /// there without a value.
    pub fn set_all(&mut self, key: impl Into<Cow<'static, str>>, values: Vec<String>) {
        let key = key.into();
        match self.0.iter_mut().find(|(k, _)| k.eq_ignore_ascii_case(&key)) {
            Some((_, old)) => *old = values,
            None => self.0.push((key, values)),
        }
    }

    /// Gives `key` one value more.
    pub fn add(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let key = key.into();
        match self.0.iter_mut().find(|(k, _)| k.eq_ignore_ascii_case(&key)) {
            Some((_, values)) => values.push(value.into()),
            None => self.0.push((key, vec![value.into()])),
        }
    }

    /// The values of `key`; `None` when it is not there.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.0.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_slice())
    }

    /// All keys with their values, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(k, v)| (k.as_ref(), v.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ignore_case_and_have_several_values() {
        let mut context = Context::new();
        context.set("aws:SourceIp", "192.0.2.1");
        context.add("AWS:TagKeys", "a");
        context.add("aws:tagkeys", "b");
        assert_eq!(context.get("AWS:sourceip").unwrap(), ["192.0.2.1"]);
        assert_eq!(context.get("aws:TagKeys").unwrap(), ["a", "b"]);
        context.set("AWS:SOURCEIP", "192.0.2.2");
        assert_eq!(context.get("aws:SourceIp").unwrap(), ["192.0.2.2"]);
        assert_eq!(context.get("aws:Referer"), None);
        assert_eq!(context.iter().count(), 2);
    }
}
