//! `*` matches any characters (also none, also `/`), `?` exactly one character, everything else
//! itself.
//!
//! What stands between two `*` is searched for once, from where the run before it ended: whatever
//! an earlier `*` could still take, the later one can take as well. Runs of literal bytes are
//! searched in linear time, so that without `?` the time is bounded by pattern length + name
//! length; of a run with `?` 64 tokens are compared at once (`shifts`). A pattern that has more
//! bytes than the name is not looked at.

use memchr::memmem;

mod shifts;

/// One step of a pattern: a byte that stands for itself, or one of the two wildcards.
pub type Token = u16;

/// Any characters.
pub const STAR: Token = 256;
/// One character.
pub const ONE: Token = 257;

/// Runs from this length on are worth the preparation of a search for them.
const LONG_RUN_TOKENS: usize = 16;

/// Appends the tokens of `text`, in which `*` and `?` are wildcards.
pub fn push_pattern(out: &mut Vec<Token>, text: &str) {
    out.extend(text.bytes().map(|byte| match byte {
        b'*' => STAR,
        b'?' => ONE,
        byte => Token::from(byte),
    }));
}

/// Appends the tokens of `text`, in which everything stands for itself.
pub fn push_literal(out: &mut Vec<Token>, text: &str) {
    out.extend(text.bytes().map(Token::from));
}

/// A pattern made ready: what begins it without a wildcard is compared at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    prefix: Box<[u8]>,
    rest: Box<[Token]>,
}

impl Glob {
    /// The pattern of these tokens.
    pub fn new(tokens: &[Token]) -> Glob {
        let plain = tokens.iter().take_while(|token| **token < STAR).count();
        let (prefix, rest) = tokens.split_at(plain);
        Glob { prefix: prefix.iter().map(|token| *token as u8).collect(), rest: rest.into() }
    }

    /// The pattern that `text` writes.
    pub fn pattern(text: &str) -> Glob {
        let mut tokens = Vec::with_capacity(text.len());
        push_pattern(&mut tokens, text);
        Glob::new(&tokens)
    }

    /// Whether it matches all of `name`, case-sensitive.
    pub fn matches(&self, name: &str) -> bool {
        match name.as_bytes().strip_prefix(&*self.prefix) {
            Some(left) => match *self.rest {
                [] => left.is_empty(),
                [STAR] => true,
                _ => matches_tokens(&self.rest, left),
            },
            None => false,
        }
    }

    /// What every name begins with that it matches.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether it has no wildcard.
    pub fn is_literal(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Whether the pattern matches all of `name`.
pub fn matches_tokens(pattern: &[Token], name: &[u8]) -> bool {
    matches_in_steps(pattern, name, &mut 0)
}

/// As [`matches_tokens`]; counts what it looks at.
fn matches_in_steps(pattern: &[Token], name: &[u8], steps: &mut usize) -> bool {
    *steps += pattern.len();
    if bytes_min(pattern) > name.len() {
        return false;
    }
    let mut runs = pattern.split(|token| *token == STAR);
    let first = runs.next().unwrap_or(&[]);
    let Some(from) = ends_from(first, name, 0, steps) else {
        return false;
    };
    let Some(last) = runs.next_back() else {
        return from == name.len();
    };
    let Some(to) = begins_before_end(last, name, from, steps) else {
        return false;
    };
    let mut from = from;
    for run in runs {
        match find(run, &name[..to], from, steps) {
            Some(end) => from = end,
            None => return false,
        }
    }
    true
}

/// How many bytes a name has at least that the pattern matches.
pub fn bytes_min(pattern: &[Token]) -> usize {
    pattern.iter().filter(|token| **token != STAR).count()
}

/// Where a run without `*` ends that is matched from `at` on.
fn ends_from(run: &[Token], name: &[u8], at: usize, steps: &mut usize) -> Option<usize> {
    let mut n = at;
    for &token in run {
        *steps += 1;
        match (token, name.get(n)) {
            (ONE, Some(_)) => n = next_char(name, n),
            (token, Some(&byte)) if token == Token::from(byte) => n += 1,
            _ => return None,
        }
    }
    Some(n)
}

/// Where a run without `*` begins, not before `from`, that ends where the name does.
fn begins_before_end(run: &[Token], name: &[u8], from: usize, steps: &mut usize) -> Option<usize> {
    let mut n = name.len();
    for &token in run.iter().rev() {
        *steps += 1;
        if n <= from {
            return None;
        }
        n -= 1;
        if token == ONE {
            while n > from && name[n] & 0xc0 == 0x80 {
                n -= 1;
            }
        } else if token != Token::from(name[n]) {
            return None;
        }
    }
    Some(n)
}

/// Where the first match of a run without `*` ends, at `from` or later.
fn find(run: &[Token], name: &[u8], from: usize, steps: &mut usize) -> Option<usize> {
    let Some(&first) = run.first() else {
        return Some(from);
    };
    if run.len() >= LONG_RUN_TOKENS && run.contains(&ONE) {
        return shifts::find(run, name, from, steps);
    }
    if run.len() >= LONG_RUN_TOKENS {
        let needle: Vec<u8> = run.iter().map(|token| *token as u8).collect();
        let found = memmem::find(&name[from..], &needle).map(|at| from + at + needle.len());
        *steps += needle.len() + found.unwrap_or(name.len()) - from;
        return found;
    }
    let mut at = from;
    while at < name.len() {
        if first != ONE {
            let found = name[at..].iter().position(|byte| Token::from(*byte) == first);
            *steps += found.unwrap_or(name.len() - at);
            at += found?;
        }
        if let Some(end) = ends_from(run, name, at, steps) {
            return Some(end);
        }
        // Whole characters, so that a `?` never starts inside one.
        at = next_char(name, at);
    }
    None
}

/// The start of the character after the one at `at`.
fn next_char(name: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    while next < name.len() && name[next] & 0xc0 == 0x80 {
        next += 1;
    }
    next
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The definition, written down by a table over all prefixes: slow and evidently right.
    pub(crate) fn matches_slowly(pattern: &str, name: &str) -> bool {
        let pattern: Vec<char> = pattern.chars().collect();
        let name: Vec<char> = name.chars().collect();
        // table[i][j]: the first i of the pattern match the first j of the name.
        let mut table = vec![vec![false; name.len() + 1]; pattern.len() + 1];
        table[0][0] = true;
        for i in 1..=pattern.len() {
            for j in 0..=name.len() {
                table[i][j] = match pattern[i - 1] {
                    '*' => table[i - 1][j] || (j > 0 && table[i][j - 1]),
                    '?' => j > 0 && table[i - 1][j - 1],
                    c => j > 0 && c == name[j - 1] && table[i - 1][j - 1],
                };
            }
        }
        table[pattern.len()][name.len()]
    }

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::pattern(pattern).matches(name)
    }

    #[test]
    fn examples() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b/c", true),
            ("?", "", false),
            ("?", "ä", true),
            ("??", "ä", false),
            ("*?", "日本", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("*.jpg", "a.jpg.jpg", true),
            ("a**b", "ab", true),
            ("bucket/*", "bucket", false),
            ("bucket/*", "bucket/", true),
            ("S3:get*", "s3:GetObject", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern:?} on {name:?}");
        }
    }

    #[test]
    fn a_literal_has_no_wildcards() {
        let mut tokens = Vec::new();
        push_literal(&mut tokens, "a*?");
        push_pattern(&mut tokens, "*");
        let glob = Glob::new(&tokens);
        assert!(glob.matches("a*?b") && !glob.matches("abc"));
    }

    #[test]
    fn it_agrees_with_the_definition_on_every_short_input() {
        fn all(alphabet: &[&str], len: usize) -> Vec<String> {
            let mut words = vec![String::new()];
            let mut last = words.clone();
            for _ in 0..len {
                last = last
                    .iter()
                    .flat_map(|w| alphabet.iter().map(move |c| format!("{w}{c}")))
                    .collect();
                words.extend(last.iter().cloned());
            }
            words
        }
        let names = all(&["a", "b", "é"], 5);
        for pattern in all(&["a", "b", "é", "*", "?"], 4) {
            let glob = Glob::pattern(&pattern);
            for name in &names {
                assert_eq!(
                    glob.matches(name),
                    matches_slowly(&pattern, name),
                    "{pattern:?} on {name:?}"
                );
            }
        }
    }

    #[test]
    fn long_runs_agree_with_the_definition() {
        // Few letters, so that much matches in part; one has two bytes and one three.
        let mut seed = 7_u64;
        let mut dice = move |sides: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        };
        let mut found = 0;
        for _ in 0..4_000 {
            let name: String =
                (0..150).map(|_| ["a", "a", "a", "é", "日"][dice(5) as usize]).collect();
            // A piece of the name, some of it hidden behind `?`, rarely changed.
            let chars: Vec<char> = name.chars().collect();
            let (from, len) = (dice(60) as usize, 16 + dice(70) as usize);
            let mut run: Vec<char> = chars[from..from + len].to_vec();
            for c in &mut run {
                match dice(60) {
                    0 => *c = 'a',
                    1..20 => *c = '?',
                    _ => {}
                }
            }
            let run: String = run.into_iter().collect();
            let pattern = format!("*{run}*{}", ["", "é", "?*日*"][dice(3) as usize]);
            let expected = matches_slowly(&pattern, &name);
            assert_eq!(matches(&pattern, &name), expected, "{pattern:?} on {name:?}");
            found += usize::from(expected);
        }
        assert!((400..3_600).contains(&found), "both answers occur: {found}");
    }

    #[test]
    fn hostile_patterns_take_no_special_time() {
        let steps = |pattern: &str, name: &str| {
            let mut tokens = Vec::new();
            push_pattern(&mut tokens, pattern);
            let mut steps = 0;
            assert!(!matches_in_steps(&tokens, name.as_bytes(), &mut steps), "{pattern:.20}");
            steps
        };
        let name = "a".repeat(20_000);
        let literal = |tail: &str| format!("*{}{tail}", "a".repeat(9_000));
        for pattern in [
            format!("{}b", "*a".repeat(500)),
            format!("{}b*", "*a".repeat(9_000)),
            literal("b*"),
            literal("b"),
            literal(&format!("b{}*", "a".repeat(9_000))),
            format!("*b{}*", "a".repeat(9_000)),
            format!("{}*", "*aaaaaaaaaaaaaab".repeat(1_000)),
        ] {
            let taken = steps(&pattern, &name);
            let linear = LONG_RUN_TOKENS * (pattern.len() + name.len());
            assert!(taken <= linear, "{pattern:.20}: {taken} steps, {linear} are linear");
        }
        // Runs with `?`: a word for each 64 tokens, on each byte once.
        let any = |literal: usize| format!("*?{}", "a".repeat(literal).replace("aaaaaa", "aaaaa?"));
        for pattern in [
            format!("{}b*", any(9_000)),
            format!("{}b", any(9_000)),
            format!("{}*", format!("{}b", any(100)).repeat(90)),
            format!("*{}b*", "?".repeat(9_000)),
            format!("{}b*", any(14)),
        ] {
            let taken = steps(&pattern, &name);
            let words = pattern.len() / 64 + 1;
            let bound = LONG_RUN_TOKENS * (pattern.len() + name.len()) + words * (256 + name.len());
            assert!(taken <= bound, "{pattern:.20}: {taken} steps, {bound} are allowed");
        }
        // More than the name has bytes: the rest is not even compared.
        assert_eq!(steps(&"*a?".repeat(7_000), &"a".repeat(13_999)), 21_000);
    }
}
