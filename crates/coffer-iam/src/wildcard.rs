//! `*` matches any characters (also none, also `/`), `?` exactly one character, everything else
//! itself.
//!
//! A pattern is runs with `*` between them. The first run begins the name, the last one ends it,
//! and each of the others is looked for where the one before it ended first: whatever an earlier
//! `*` could still take, the later one can take as well. A run without `?` is searched for in
//! linear time; one with `?` between its bytes takes a step for each byte of the name and each 64
//! of its own. So no pattern costs anything special, neither `*a*a*a*b` nor a long `*aaa…b`.

use memchr::memmem;

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
    if least_bytes(pattern) > name.len() {
        return false;
    }
    let mut runs = pattern.split(|token| *token == STAR);
    let first = runs.next().unwrap_or_default();
    let Some(mut left) = strip_start(first, name) else {
        return false;
    };
    let Some(last) = runs.next_back() else {
        return left.is_empty();
    };
    for run in runs {
        match find(run, left) {
            Some(after) => left = after,
            None => return false,
        }
    }
    is_end(last, left)
}

/// A name that the tokens match has at least so many bytes.
pub(crate) fn least_bytes(tokens: &[Token]) -> usize {
    tokens.iter().filter(|token| **token != STAR).count()
}

/// What is left of `name` behind `run`, which has no `*`, if it begins so.
fn strip_start<'a>(run: &[Token], name: &'a [u8]) -> Option<&'a [u8]> {
    run.iter().try_fold(name, |left, &token| {
        let (byte, after) = left.split_first()?;
        match token {
            ONE => Some(&left[char_bytes(left)..]),
            token => (token == Token::from(*byte)).then_some(after),
        }
    })
}

/// Whether `name` ends with `run`, which has no `*`.
fn is_end(run: &[Token], name: &[u8]) -> bool {
    let left = run.iter().rev().try_fold(name, |left, &token| match token {
        ONE => left.iter().rposition(|byte| !is_inside(*byte)).map(|start| &left[..start]),
        token => {
            let (byte, before) = left.split_last()?;
            (token == Token::from(*byte)).then_some(before)
        }
    });
    left.is_some()
}

/// What is left of `name` behind the first place where `run` matches, which has no `*`. Since
/// it takes the same number of characters everywhere, the first place also ends first.
fn find<'a>(run: &[Token], mut name: &'a [u8]) -> Option<&'a [u8]> {
    // After a `*`, a `?` at either end only asks for one more character there.
    let is_byte = |token: &Token| *token != ONE;
    let Some(start) = run.iter().position(is_byte) else {
        return strip_start(run, name);
    };
    let end = run.iter().rposition(is_byte)? + 1;
    name = strip_start(&run[..start], name)?;
    let inner = &run[start..end];
    let found_end = if inner.contains(&ONE) {
        find_with_gaps(inner, name)?
    } else {
        let bytes: Vec<u8> = inner.iter().map(|token| *token as u8).collect();
        memmem::find(name, &bytes)? + bytes.len()
    };
    strip_start(&run[end..], &name[found_end..])
}

/// Where the first match of `run`, which ends with a byte, ends in `name`.
///
/// Shift-and: a bit for each token that says whether the name, up to the current byte, ends with
/// the run up to that token. All of them move on at once, 64 in a step.
fn find_with_gaps(run: &[Token], name: &[u8]) -> Option<usize> {
    let words = run.len().div_ceil(64);
    let mut ones = vec![0_u64; words];
    // For each byte of the run, where it stands in it; `rows` tells where in `at`.
    let mut rows = [None; 256];
    let mut at: Vec<u64> = Vec::new();
    for (i, &token) in run.iter().enumerate() {
        let (word, bit) = (i / 64, 1 << (i % 64));
        if token == ONE {
            ones[word] |= bit;
            continue;
        }
        let row = *rows[usize::from(token)].get_or_insert_with(|| {
            at.resize(at.len() + words, 0);
            at.len() - words
        });
        at[row + word] |= bit;
    }
    let (last_word, last_bit) = ((run.len() - 1) / 64, 1 << ((run.len() - 1) % 64));
    let mut state = vec![0_u64; words];
    for (i, &byte) in name.iter().enumerate() {
        let row = rows[usize::from(byte)].map(|row| &at[row..row + words]);
        let inside = is_inside(byte);
        let mut carry = 1;
        for (word, bits) in state.iter_mut().enumerate() {
            let moved = *bits << 1 | carry;
            carry = *bits >> 63;
            let here = row.map_or(0, |row| row[word]);
            // A `?` takes up the byte that begins a character, and keeps what comes inside it.
            *bits = match inside {
                true => moved & here | *bits & ones[word],
                false => moved & (here | ones[word]),
            };
        }
        if state[last_word] & last_bit != 0 {
            return Some(i + 1);
        }
    }
    None
}

/// Whether the byte is in a character, not its first.
fn is_inside(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// How many bytes the first character has.
fn char_bytes(name: &[u8]) -> usize {
    1 + name[1..].iter().take_while(|byte| is_inside(**byte)).count()
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
    fn it_agrees_with_the_definition_on_long_runs_with_gaps() {
        // Runs longer than a word, in names that nearly match them everywhere.
        for len in [1, 62, 63, 64, 65, 127, 128, 129, 200] {
            for (unit, name) in [("a?", "aé"), ("?a", "aa"), ("é?b", "ébb"), ("??é", "aéé")] {
                let run: String = unit.chars().cycle().take(len).collect();
                let name: String = name.chars().cycle().take(len + 70).collect();
                for pattern in
                    [format!("*{run}*"), format!("*{run}b*"), format!("*?{run}é?*?"), run]
                {
                    for start in 0..4 {
                        let name: String = name.chars().skip(start).collect();
                        assert_eq!(
                            matches(&pattern, &name),
                            matches_slowly(&pattern, &name),
                            "{pattern:?} on {name:?}"
                        );
                    }
                }
            }
        }
    }

    /// The best of some tries.
    fn time_of(run: impl Fn()) -> std::time::Duration {
        let time = |_| {
            let start = std::time::Instant::now();
            run();
            start.elapsed()
        };
        (0..5).map(time).min().unwrap()
    }

    #[test]
    fn hostile_patterns_take_no_special_time() {
        let name = "a".repeat(40_000);
        // One step for each byte of the name; a pattern may take some hundred of these.
        let pass = time_of(|| {
            let count = std::hint::black_box(&name).bytes().filter(|byte| *byte == b'a').count();
            assert_eq!(count, name.len());
        });
        for (passes, pattern) in [
            (300, format!("*{}b*", "a".repeat(19_000))),
            (300, format!("*{}b", "a".repeat(19_000))),
            (300, format!("{}b", "*a".repeat(9_000))),
            (300, format!("{}b*", "*a".repeat(9_000))),
            (300, format!("*{}b*", "*a?".repeat(6_000))),
            (300, format!("*{}b*", "?".repeat(19_000))),
            // Nineteen thousand tokens are three hundred words.
            (300 * 20, format!("*{}b*", "a?".repeat(9_500))),
        ] {
            let took = time_of(|| assert!(!matches(&pattern, &name)));
            assert!(took < pass * passes, "{pattern:.9}…: {took:?}, a pass takes {pass:?}");
        }
    }
}
