//! `*` matches any characters (also none, also `/`), `?` exactly one character, everything else
//! itself.
//!
//! On a mismatch only the last `*` is moved on: whatever an earlier `*` could still take, the
//! later one can take as well. So the time is bounded by pattern length × name length, and
//! patterns such as `*a*a*a*b`, which drive a backtracking matcher into exponential time, cost
//! nothing special.

/// One step of a pattern: a byte that stands for itself, or one of the two wildcards.
pub type Token = u16;

/// Any characters.
pub const STAR: Token = 256;
/// One character.
pub const ONE: Token = 257;

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
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last `*`: in the pattern behind it, in the name where it ends.
    let mut last_star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(&STAR) => {
                p += 1;
                n = seek(pattern.get(p), name, n);
                last_star = Some((p, n));
                continue;
            }
            Some(&ONE) => {
                p += 1;
                n = next_char(name, n);
                continue;
            }
            Some(&token) if token == Token::from(name[n]) => {
                p += 1;
                n += 1;
                continue;
            }
            _ => {}
        }
        let Some((after_star, star_end)) = last_star else {
            return false;
        };
        // Whole characters, so that a `?` never starts inside one.
        if star_end >= name.len() {
            return false;
        }
        let star_end = seek(pattern.get(after_star), name, next_char(name, star_end));
        last_star = Some((after_star, star_end));
        (p, n) = (after_star, star_end);
    }
    pattern[p..].iter().all(|&token| token == STAR)
}

/// Where after a `*` the next token can match at the earliest: a byte that stands for itself is
/// searched for at once.
fn seek(token: Option<&Token>, name: &[u8], from: usize) -> usize {
    match token {
        Some(&token) if token < STAR => {
            let found = name[from..].iter().position(|byte| Token::from(*byte) == token);
            found.map_or(name.len(), |at| from + at)
        }
        _ => from,
    }
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
    fn hostile_patterns_take_no_special_time() {
        let pattern = format!("{}b", "*a".repeat(500));
        let name = "a".repeat(20_000);
        let start = std::time::Instant::now();
        assert!(!matches(&pattern, &name));
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
