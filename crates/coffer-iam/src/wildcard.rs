//! `*` matches any characters (also none, also `/`), `?` exactly one character, everything else
//! itself.
//!
//! On a mismatch only the last `*` is moved on: whatever an earlier `*` could still take, the
//! later one can take as well. So the time is bounded by pattern length × name length, and
//! patterns such as `*a*a*a*b`, which drive a backtracking matcher into exponential time, cost
//! nothing special.

/// Whether `pattern` matches all of `name`, case-sensitive.
pub fn matches(pattern: &str, name: &str) -> bool {
    matches_by(pattern.as_bytes(), name.as_bytes(), |p, n| p == n)
}

/// As [`matches`], with ASCII letters of either case equal; for action names.
pub fn matches_ignoring_case(pattern: &str, name: &str) -> bool {
    matches_by(pattern.as_bytes(), name.as_bytes(), |p, n| p.eq_ignore_ascii_case(&n))
}

fn matches_by(pattern: &[u8], name: &[u8], same: impl Fn(u8, u8) -> bool) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last `*`: in the pattern behind it, in the name where it ends.
    let mut last_star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                last_star = Some((p, n));
                continue;
            }
            Some(b'?') => {
                p += 1;
                n = next_char(name, n);
                continue;
            }
            Some(&byte) if same(byte, name[n]) => {
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
        let star_end = next_char(name, star_end);
        last_star = Some((after_star, star_end));
        (p, n) = (after_star, star_end);
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
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
        assert!(matches_ignoring_case("S3:get*", "s3:GetObject"));
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
            for name in &names {
                assert_eq!(
                    matches(&pattern, name),
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
