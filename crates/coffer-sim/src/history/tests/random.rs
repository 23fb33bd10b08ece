//! Random histories: those of a real register are accepted, and after any change the verdict is
//! that of the checker which tries all orders.

use std::collections::BTreeSet;

use super::brute::{Answer, Ask, If, Object, Seen, UPLOADS_FROM, is_linearisable};
use super::{collect, report};
use crate::history::collect::Key;
use crate::history::register::State;
use crate::history::search::{Limits, Verdict, Violation, search, search_within};
use crate::history::window::shrink;

/// xorshift64*, seeded.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn condition(dice: &mut Dice, values: u64) -> If {
    match dice.below(8) {
        0..4 => If::Nothing,
        4 => If::None,
        5 => If::Any,
        _ => If::Match(dice.below(values) as u8),
    }
}

fn ask(dice: &mut Dice, values: u64, fresh: &mut u8) -> Ask {
    // Few values, so that they come back; or each but once.
    let mut value = |dice: &mut Dice| match values {
        0 => {
            *fresh += 1;
            *fresh
        }
        _ => dice.below(values) as u8,
    };
    let known = values.max(4);
    match dice.below(14) {
        0..4 => Ask::Put(value(dice), condition(dice, known)),
        4..6 => Ask::Delete(condition(dice, known)),
        6 | 7 => Ask::Complete(dice.below(2) as u8, condition(dice, known)),
        8 => Ask::Abort(dice.below(2) as u8),
        9 => Ask::List,
        _ => Ask::Get,
    }
}

/// What clients of a real register saw: each request has a moment between its ends.
fn linearisable(dice: &mut Dice, length: usize, spread: u64, values: u64) -> Vec<Seen> {
    let mut fresh = 0;
    let mut moments: Vec<(u64, u64, Ask)> = (0..length as u64)
        .map(|i| (10 + dice.below(spread * length as u64), i, ask(dice, values, &mut fresh)))
        .collect();
    moments.sort_by_key(|(moment, i, _)| (*moment, *i));
    let mut object = Object::default();
    let seen = moments.into_iter().map(|(moment, _, ask)| {
        let begin = moment - dice.below(spread + 1);
        let mut end = moment + dice.below(spread + 1);
        let is_read = matches!(ask, Ask::Get | Ask::List);
        if !is_read && dice.one_in(5) {
            // Its outcome is unknown: done here, or never.
            if dice.one_in(2) {
                object.answer(ask);
            }
            end += if dice.one_in(2) { 10_000 } else { dice.below(3 * spread) };
            return Seen { begin, end, ask, answer: None };
        }
        Seen { begin, end, ask, answer: Some(object.answer(ask)) }
    });
    seen.collect()
}

/// One change, anywhere.
fn spoil(dice: &mut Dice, history: &mut Vec<Seen>) {
    let i = dice.below(history.len() as u64) as usize;
    let other = dice.below(history.len() as u64) as usize;
    match dice.below(7) {
        0 => {
            history.remove(i);
        }
        1 => history.push(history[i]),
        2 => {
            let length = history[i].end - history[i].begin;
            history[i].begin = history[other].begin;
            history[i].end = history[i].begin + length;
        }
        3 => history[i].end = history[i].begin,
        4 if matches!(history[i].answer, Some(Answer::Found(_))) => {
            let seen = history.iter().filter_map(|seen| match seen.ask {
                Ask::Put(etag, _) => Some(Some(etag)),
                Ask::Complete(upload, _) => Some(Some(UPLOADS_FROM + upload)),
                Ask::Delete(_) => Some(None),
                _ => None,
            });
            let all: Vec<Option<u8>> = seen.chain([None, Some(99)]).collect();
            history[i].answer = Some(Answer::Found(all[dice.below(all.len() as u64) as usize]));
        }
        _ => change_outcome(dice, &mut history[i]),
    }
}

fn change_outcome(dice: &mut Dice, seen: &mut Seen) {
    let choices: &[Answer] = match seen.ask {
        Ask::Get | Ask::List => &[Answer::Found(None)],
        Ask::Put(_, If::Nothing) | Ask::Delete(If::Nothing) => &[Answer::Done],
        Ask::Put(..) | Ask::Delete(_) => &[Answer::Done, Answer::Failed, Answer::Missing],
        Ask::Complete(_, If::Nothing) | Ask::Abort(_) => &[Answer::Done, Answer::Ended],
        Ask::Complete(..) => &[Answer::Done, Answer::Failed, Answer::Missing, Answer::Ended],
    };
    seen.answer = Some(choices[dice.below(choices.len() as u64) as usize]);
}

fn line(seen: &Seen) -> String {
    let bytes = |etag: u8| format!(r#""etag":"e{etag}","body":"b{etag}","size":{etag}"#);
    let value = |etag: u8| format!(r#""value":{{{}}}"#, bytes(etag));
    let when = |condition: If| match condition {
        If::Nothing => r#""when":{}"#.to_owned(),
        If::None => r#""when":{"if_none_match":true}"#.to_owned(),
        If::Any => r#""when":{"if_match":"*"}"#.to_owned(),
        If::Match(etag) => format!(r#""when":{{"if_match":"e{etag}"}}"#),
    };
    let found = match seen.answer {
        Some(Answer::Found(found)) => found,
        _ => None,
    };
    let fields = match seen.ask {
        Ask::Put(etag, c) => format!(r#""op":"put","key":"k",{},{}"#, value(etag), when(c)),
        Ask::Delete(c) => format!(r#""op":"delete","key":"k",{}"#, when(c)),
        Ask::Complete(upload, c) => format!(
            r#""op":"complete","key":"k","upload":"u{upload}",{},{}"#,
            value(UPLOADS_FROM + upload),
            when(c)
        ),
        Ask::Abort(upload) => format!(r#""op":"abort","key":"k","upload":"u{upload}""#),
        Ask::Get => match found {
            None => r#""op":"get","key":"k","found":null"#.to_owned(),
            Some(etag) => format!(r#""op":"get","key":"k","found":{{{}}}"#, bytes(etag)),
        },
        Ask::List => {
            let entry =
                found.map_or(String::new(), |etag| format!(r#"{{"key":"k",{}}}"#, bytes(etag)));
            format!(r#""op":"list","truncated":false,"entries":[{entry}]"#)
        }
    };
    let outcome = match seen.answer {
        None => "unknown",
        Some(Answer::Done | Answer::Found(_)) => "done",
        Some(Answer::Failed) => "precondition-failed",
        Some(Answer::Missing) => "not-found",
        Some(Answer::Ended) => "no-such-upload",
    };
    let end = match seen.answer {
        None if seen.end >= 10_000 => String::new(),
        None => format!(r#""until_ns":{},"#, seen.end),
        Some(_) => format!(r#""return_ns":{},"#, seen.end),
    };
    format!(r#"{{"client":1,"invoke_ns":{},{end}"outcome":"{outcome}",{fields}}}"#, seen.begin)
}

fn lines(history: &[Seen]) -> Vec<String> {
    history.iter().map(line).collect()
}

#[test]
fn long_histories_of_a_register_are_accepted() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let (spread, values) = (1 + dice.below(6), [0, 2, 5][dice.below(3) as usize]);
        let history = linearisable(&mut dice, 200, spread, values);
        let report = report(&lines(&history));
        assert!(report.is_linearisable(), "seed {seed}: {}", report.violations.join("\n"));
    }
}

/// Both verdicts are those of the checker that tries all orders.
#[test]
fn changed_histories_get_the_verdict_of_trying_all_orders() {
    let (mut accepted, mut refused, mut with_unknown) = (0, 0, 0);
    for seed in 0..12_000 {
        let mut dice = Dice::new(seed);
        let (length, spread) = (2 + dice.below(6) as usize, 1 + dice.below(8));
        let values = [0, 2, 3][dice.below(3) as usize];
        let mut history = linearisable(&mut dice, length, spread, values);
        assert!(is_linearisable(&history), "seed {seed}: {history:?}");
        for _ in 0..dice.below(4) {
            if history.len() < 8 && !history.is_empty() {
                spoil(&mut dice, &mut history);
            }
        }
        let (expected, report) = (is_linearisable(&history), report(&lines(&history)));
        assert!(report.undecided.is_empty());
        let found = report.violations.is_empty();
        assert_eq!(found, expected, "seed {seed}: {}", lines(&history).join("\n"));
        match expected {
            true => accepted += 1,
            false => {
                refused += 1;
                with_unknown += usize::from(history.iter().any(|seen| seen.answer.is_none()));
            }
        }
    }
    // Both happen often, or nothing was compared.
    assert!(accepted > 2000 && refused > 2000, "{accepted} accepted, {refused} refused");
    assert!(with_unknown > 500, "{with_unknown} refused with unknown outcomes");
}

/// The part that is shown has no order either, from any state it says the key may hold before,
/// and its offending operation is in it.
#[test]
fn the_part_that_is_shown_proves_it() {
    let (mut shown, mut smaller) = (0, 0);
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let mut history = linearisable(&mut dice, 60, 3, 0);
        for _ in 0..3 {
            spoil(&mut dice, &mut history);
        }
        let Some((_, key)) = collect(&lines(&history)).next_key() else { continue };
        let checked = search(&[State::default()], &key, &key.all());
        let Verdict::Violated(violation) = checked.verdict else { continue };
        let small = shrink(&key, &violation);
        assert!(small.part.contains(&small.offending));
        assert!(proves(&key, &small), "seed {seed}");
        assert!(small.part.iter().collect::<BTreeSet<_>>().len() == small.part.len());
        shown += 1;
        smaller += usize::from(small.part.len() * 4 < history.len());
    }
    assert!(shown > 100 && smaller > shown / 2, "{shown} shown, {smaller} of them small");
}

fn proves(key: &Key, violation: &Violation) -> bool {
    let part: Vec<_> = violation.part.iter().map(|i| &key.operations[*i]).collect();
    let checked = search_within(&violation.before, key, &part, Limits::default());
    matches!(checked.verdict, Verdict::Violated(_))
}
