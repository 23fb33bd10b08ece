//! Every rule: a history that it allows, and one that it does not.

use super::report;

/// One request that was answered: `(begin, end)`, outcome, and the operation.
fn did(times: (u64, u64), outcome: &str, operation: &str) -> String {
    let (begin, end) = times;
    format!(
        r#"{{"client":1,"invoke_ns":{begin},"return_ns":{end},"outcome":"{outcome}",{operation}}}"#
    )
}

fn done(times: (u64, u64), operation: &str) -> String {
    did(times, "done", operation)
}

/// One whose outcome is unknown, with the moment it can't outlast.
fn lost(begin: u64, until: Option<u64>, operation: &str) -> String {
    let until = until.map_or(String::new(), |until| format!(r#""until_ns":{until},"#));
    format!(r#"{{"client":2,"invoke_ns":{begin},{until}"outcome":"unknown",{operation}}}"#)
}

fn value(name: &str) -> String {
    format!(r#""value":{{"etag":"{name}","body":"bytes of {name}","size":{}}}"#, name.len())
}

fn put(name: &str) -> String {
    format!(r#""op":"put","key":"k",{}"#, value(name))
}

fn put_if_none(name: &str) -> String {
    format!(r#"{},"when":{{"if_none_match":true}}"#, put(name))
}

fn put_if(name: &str, etag: &str) -> String {
    format!(r#"{},"when":{{"if_match":"{etag}"}}"#, put(name))
}

fn delete() -> String {
    r#""op":"delete","key":"k""#.to_owned()
}

fn delete_if(etag: &str) -> String {
    format!(r#"{},"when":{{"if_match":"{etag}"}}"#, delete())
}

fn get(name: &str) -> String {
    let size = name.len();
    format!(
        r#""op":"get","key":"k","found":{{"etag":"{name}","body":"bytes of {name}","size":{size}}}"#
    )
}

fn head(name: &str) -> String {
    format!(r#""op":"get","key":"k","found":{{"etag":"{name}"}}"#)
}

fn get_none() -> String {
    r#""op":"get","key":"k","found":null"#.to_owned()
}

fn complete(upload: &str, name: &str) -> String {
    format!(r#""op":"complete","key":"k","upload":"{upload}",{}"#, value(name))
}

fn abort(upload: &str) -> String {
    format!(r#""op":"abort","key":"k","upload":"{upload}""#)
}

fn copy_from(source: &str, name: &str) -> String {
    format!(r#""op":"copy","key":"k","source":"{source}","source_etag":"{name}",{}"#, value(name))
}

fn put_on(key: &str, name: &str) -> String {
    format!(r#""op":"put","key":"{key}",{}"#, value(name))
}

fn list(after: Option<&str>, truncated: bool, entries: &[(&str, &str)]) -> String {
    let after = after.map_or("null".to_owned(), |after| format!("{after:?}"));
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, etag)| format!(r#"{{"key":"{key}","etag":"{etag}","size":{}}}"#, etag.len()))
        .collect();
    format!(
        r#""op":"list","after":{after},"truncated":{truncated},"entries":[{}]"#,
        entries.join(",")
    )
}

#[track_caller]
fn accepted(lines: &[String]) {
    let report = report(lines);
    assert!(report.is_linearisable(), "{}", report.violations.join("\n"));
}

#[track_caller]
fn refused(lines: &[String]) -> String {
    let report = report(lines);
    assert!(report.undecided.is_empty(), "{:?}", report.undecided);
    assert_eq!(report.violations.len(), 1, "{}", report.violations.join("\n"));
    report.violations[0].clone()
}

/// The last request is the one that can't be.
#[track_caller]
fn only_without_the_last(lines: &[String]) -> String {
    accepted(&lines[..lines.len() - 1]);
    refused(lines)
}

#[test]
fn a_key_holds_nothing_at_first() {
    accepted(&[done((1, 2), &get_none())]);
    only_without_the_last(&[done((1, 2), &get("a"))]);
}

#[test]
fn a_stale_read() {
    let history = [
        done((1, 2), &put("a")),
        done((3, 4), &put("b")),
        done((5, 6), &get("b")),
        done((7, 8), &get("a")),
    ];
    let shown = only_without_the_last(&history);
    assert!(shown.contains("before, it holds b (1 bytes)"), "{shown}");
    assert!(shown.contains("* "), "{shown}");
    // The read of b proves nothing and is left out.
    assert_eq!(shown.matches("read: ").count(), 1, "{shown}");
}

#[test]
fn a_read_of_nothing_after_a_put() {
    only_without_the_last(&[done((1, 2), &put("a")), done((3, 4), &get_none())]);
}

#[test]
fn a_read_during_a_put_sees_either_but_never_goes_back() {
    for seen in [get_none(), get("a")] {
        accepted(&[done((1, 9), &put("a")), done((3, 4), &seen)]);
    }
    accepted(&[done((1, 9), &put("a")), done((2, 3), &get_none()), done((4, 5), &get("a"))]);
    only_without_the_last(&[
        done((1, 9), &put("a")),
        done((2, 3), &get("a")),
        done((4, 5), &get_none()),
    ]);
}

#[test]
fn a_read_from_the_future() {
    refused(&[done((1, 2), &get("a")), done((3, 4), &put("a"))]);
    // Touching in time is concurrent.
    accepted(&[done((1, 3), &get("a")), done((3, 4), &put("a"))]);
}

#[test]
fn a_read_of_what_nobody_wrote() {
    let shown = only_without_the_last(&[done((1, 2), &put("a")), done((3, 4), &get("zz"))]);
    assert!(shown.contains("nobody ever wrote zz"), "{shown}");
}

#[test]
fn a_read_of_the_right_etag_with_wrong_bytes() {
    let wrong = r#""op":"get","key":"k","found":{"etag":"a","body":"other","size":1}"#;
    only_without_the_last(&[done((1, 2), &put("a")), done((3, 4), wrong)]);
    let torn = r#""op":"get","key":"k","found":{"etag":"a","size":0}"#;
    only_without_the_last(&[done((1, 2), &put("a")), done((3, 4), torn)]);
}

#[test]
fn keys_are_apart() {
    accepted(&[done((1, 2), &put_on("other", "a")), done((3, 4), &get_none())]);
}

#[test]
fn two_winners_of_if_none_match() {
    let first = done((1, 9), &put_if_none("a"));
    accepted(&[first.clone(), did((1, 9), "precondition-failed", &put_if_none("b"))]);
    refused(&[first, done((1, 9), &put_if_none("b"))]);
}

#[test]
fn an_update_lost_by_two_winners_of_if_match() {
    let start = done((1, 2), &put("a"));
    let first = done((3, 9), &put_if("b", "a"));
    accepted(&[
        start.clone(),
        first.clone(),
        did((3, 9), "precondition-failed", &put_if("c", "a")),
        done((10, 11), &get("b")),
    ]);
    refused(&[start.clone(), first.clone(), done((3, 9), &put_if("c", "a"))]);
    // One may build on the other.
    accepted(&[start, first, done((3, 9), &put_if("c", "b"))]);
}

#[test]
fn conditions_are_right_about_what_is_there() {
    let start = done((1, 2), &put("a"));
    only_without_the_last(&[did((1, 2), "precondition-failed", &put_if_none("b"))]);
    only_without_the_last(&[start.clone(), done((3, 4), &put_if_none("b"))]);
    only_without_the_last(&[start.clone(), done((3, 4), &put_if("b", "x"))]);
    only_without_the_last(&[start.clone(), did((3, 4), "precondition-failed", &put_if("b", "a"))]);
    only_without_the_last(&[start.clone(), did((3, 4), "not-found", &put_if("b", "a"))]);
    only_without_the_last(&[did((1, 2), "precondition-failed", &put_if("b", "a"))]);
    accepted(&[did((1, 2), "not-found", &put_if("b", "a"))]);
    accepted(&[start, done((3, 4), &put_if("b", "*"))]);
}

#[test]
fn a_refused_write_leaves_no_trace() {
    only_without_the_last(&[
        done((1, 2), &put("a")),
        did((3, 4), "precondition-failed", &put_if("b", "x")),
        done((5, 6), &get("b")),
    ]);
}

#[test]
fn a_resurrected_delete() {
    let history = [
        done((1, 2), &put("a")),
        done((3, 4), &delete()),
        done((5, 6), &get_none()),
        done((7, 8), &get("a")),
    ];
    only_without_the_last(&history);
    accepted(&[history[0].clone(), done((3, 9), &delete()), done((4, 5), &head("a"))]);
}

#[test]
fn a_delete_of_nothing_may_come_before_or_after_a_put() {
    accepted(&[
        done((1, 9), &put("a")),
        done((1, 9), &delete()),
        done((2, 3), &get("a")),
        done((4, 5), &get_none()),
    ]);
    // The same value twice, with another in between.
    accepted(&[
        done((1, 2), &put("a")),
        done((3, 9), &put("a")),
        done((3, 9), &put("b")),
        done((4, 5), &get("b")),
        done((6, 7), &get("a")),
    ]);
}

#[test]
fn conditional_deletes() {
    let start = done((1, 2), &put("a"));
    accepted(&[start.clone(), done((3, 4), &delete_if("a")), done((5, 6), &get_none())]);
    accepted(&[
        start.clone(),
        did((3, 4), "precondition-failed", &delete_if("x")),
        done((5, 6), &get("a")),
    ]);
    accepted(&[did((1, 2), "not-found", &delete_if("a"))]);
    only_without_the_last(&[start.clone(), done((3, 4), &delete_if("x"))]);
    // It deleted what its client had never seen.
    refused(&[
        start,
        done((3, 4), &put("b")),
        done((5, 9), &delete_if("a")),
        done((10, 11), &get_none()),
    ]);
}

#[test]
fn an_unknown_write_happens_once_or_never() {
    let start = done((1, 2), &put("a"));
    let unknown = lost(3, None, &put("b"));
    accepted(&[start.clone(), unknown.clone(), done((5, 6), &get("a"))]);
    accepted(&[start.clone(), unknown.clone(), done((5, 6), &get("a")), done((7, 8), &get("b"))]);
    // Not before it was sent.
    refused(&[start.clone(), done((1, 2), &get("b")), unknown.clone()]);
    // Seen, and then not any more.
    only_without_the_last(&[
        start.clone(),
        unknown.clone(),
        done((5, 6), &get("b")),
        done((7, 8), &get("a")),
    ]);
    // Twice.
    only_without_the_last(&[
        start,
        unknown,
        done((5, 6), &get("b")),
        done((7, 8), &put("c")),
        done((9, 10), &get("b")),
    ]);
}

#[test]
fn an_unknown_delete_happens_once_or_never() {
    let start = done((1, 2), &put("a"));
    let unknown = lost(3, None, &delete());
    accepted(&[start.clone(), unknown.clone(), done((5, 6), &get("a"))]);
    accepted(&[start.clone(), unknown.clone(), done((5, 6), &get_none())]);
    only_without_the_last(&[
        start.clone(),
        unknown.clone(),
        done((5, 6), &get_none()),
        done((7, 8), &get("a")),
    ]);
    only_without_the_last(&[
        start,
        unknown,
        done((5, 6), &get_none()),
        done((7, 8), &put("b")),
        done((9, 10), &get_none()),
    ]);
}

#[test]
fn an_unknown_write_shows_by_what_it_refuses() {
    accepted(&[lost(1, None, &put("a")), did((3, 4), "precondition-failed", &put_if_none("b"))]);
    accepted(&[
        done((1, 2), &put("a")),
        lost(3, None, &put_if("b", "a")),
        did((5, 6), "precondition-failed", &put_if("c", "a")),
    ]);
    // Its condition never held: it can't have happened.
    only_without_the_last(&[
        done((1, 2), &put("a")),
        lost(3, None, &put_if("b", "x")),
        done((5, 6), &get("b")),
    ]);
}

#[test]
fn an_unknown_write_is_decided_once_its_process_is_dead() {
    let history = |read: (u64, u64)| {
        [done((1, 2), &put("a")), lost(3, Some(7), &put("b")), done((5, 9), &get("a")), {
            done(read, &get("b"))
        }]
    };
    accepted(&history((6, 12)));
    accepted(&[done((1, 2), &put("a")), lost(3, Some(7), &put("b")), done((8, 9), &get("b"))]);
    refused(&[
        done((1, 2), &put("a")),
        lost(3, Some(7), &put("b")),
        done((8, 9), &get("a")),
        done((10, 11), &get("b")),
    ]);
}

#[test]
fn an_upload_is_completed_once_and_answered_again() {
    let first = done((1, 2), &complete("u", "m-1"));
    let again = done((3, 4), &complete("u", "m-1"));
    let ended = did((7, 8), "no-such-upload", &complete("u", "m-1"));
    accepted(&[first.clone(), again.clone(), done((5, 6), &get("m-1"))]);
    let overwritten = [first.clone(), done((5, 6), &put("b"))];
    accepted(&[&overwritten[..], std::slice::from_ref(&ended)].concat());
    // Answered as done though the object is another one, or as gone though it is its own.
    let late = done((7, 8), &complete("u", "m-1"));
    only_without_the_last(&[&overwritten[..], &[late]].concat());
    only_without_the_last(&[first.clone(), ended.clone()]);
    // Not completed at all.
    only_without_the_last(&[ended]);
    // Completed again, it came back.
    only_without_the_last(&[
        first,
        done((5, 6), &delete()),
        lost(7, None, &complete("u", "m-1")),
        done((9, 10), &get("m-1")),
    ]);
}

#[test]
fn an_upload_of_unknown_outcome_is_asked_again() {
    let unknown = lost(1, Some(4), &complete("u", "m-1"));
    accepted(&[unknown.clone(), done((5, 6), &complete("u", "m-1")), done((7, 8), &get("m-1"))]);
    accepted(&[
        unknown.clone(),
        done((5, 6), &delete()),
        did((7, 8), "no-such-upload", &complete("u", "m-1")),
        done((9, 10), &get_none()),
    ]);
    // It was the second one that made the object.
    accepted(&[
        unknown.clone(),
        done((5, 6), &put("a")),
        done((7, 8), &complete("u", "m-1")),
        done((9, 10), &get("m-1")),
    ]);
    refused(&[
        unknown,
        did((7, 8), "no-such-upload", &complete("u", "m-1")),
        done((9, 10), &get_none()),
        done((11, 12), &get("m-1")),
    ]);
}

#[test]
fn conditions_of_completing() {
    let start = done((1, 2), &put("a"));
    let want = |condition: &str| format!(r#"{},"when":{{{condition}}}"#, complete("u", "m-1"));
    let (absent, matches) = (want(r#""if_none_match":true"#), want(r#""if_match":"a""#));
    accepted(&[
        start.clone(),
        did((3, 4), "precondition-failed", &absent),
        done((5, 6), &delete()),
        did((7, 8), "not-found", &matches),
        // Refused, the upload is still there.
        done((9, 10), &absent),
        // Done before, the condition is not asked again.
        done((11, 12), &absent),
    ]);
    only_without_the_last(&[start.clone(), done((3, 4), &absent)]);
    only_without_the_last(&[start, did((3, 4), "precondition-failed", &matches)]);
}

#[test]
fn an_aborted_upload_makes_no_object() {
    let gone = did((3, 4), "no-such-upload", &complete("u", "m-1"));
    accepted(&[done((1, 2), &abort("u")), gone, did((5, 6), "no-such-upload", &abort("u"))]);
    only_without_the_last(&[done((1, 2), &abort("u")), done((3, 4), &complete("u", "m-1"))]);
    only_without_the_last(&[done((1, 2), &complete("u", "m-1")), done((3, 4), &abort("u"))]);
    accepted(&[lost(1, None, &abort("u")), done((3, 4), &complete("u", "m-1"))]);
}

#[test]
fn a_copy_reads_one_key_and_writes_another() {
    let start = done((1, 2), &put_on("source", "a"));
    let copied = done((3, 4), &copy_from("source", "a"));
    accepted(&[start.clone(), copied.clone(), done((5, 6), &get("a"))]);
    only_without_the_last(&[start.clone(), copied.clone(), done((5, 6), &get_none())]);
    // A stale source.
    let changed = done((3, 4), &put_on("source", "b"));
    refused(&[start.clone(), changed.clone(), done((5, 6), &copy_from("source", "a"))]);
    accepted(&[
        start.clone(),
        changed,
        did((5, 6), "precondition-failed", &copy_from("source", "a")),
        done((6, 7), &get_none()),
    ]);
    accepted(&[did((1, 2), "not-found", &copy_from("source", "a"))]);
    only_without_the_last(&[start.clone(), did((3, 4), "not-found", &copy_from("source", "a"))]);
    accepted(&[start, lost(3, None, &copy_from("source", "a")), done((5, 6), &get("a"))]);
}

#[test]
fn a_listing_shows_what_is_there() {
    let start = [done((1, 2), &put("a")), done((1, 2), &put_on("l", "b"))];
    let listed = |entries: &[(&str, &str)]| {
        [&start[..], &[done((3, 4), &list(None, false, entries))]].concat()
    };
    accepted(&listed(&[("k", "a"), ("l", "b")]));
    // A key is missing.
    only_without_the_last(&listed(&[("l", "b")]));
    only_without_the_last(&listed(&[("k", "a")]));
    // A version that never was, a key that never was.
    only_without_the_last(&listed(&[("k", "old"), ("l", "b")]));
    only_without_the_last(&listed(&[("k", "a"), ("l", "b"), ("x", "c")]));
}

#[test]
fn a_listing_shows_nothing_deleted() {
    let history = [done((1, 2), &put("a")), done((3, 4), &delete())];
    let listed = |times, entries: &[(&str, &str)]| {
        [&history[..], &[done(times, &list(None, false, entries))]].concat()
    };
    accepted(&listed((5, 6), &[]));
    accepted(&listed((4, 6), &[("k", "a")]));
    only_without_the_last(&listed((5, 6), &[("k", "a")]));
}

#[test]
fn a_page_speaks_of_its_range_only() {
    let start = [
        done((1, 2), &put_on("a", "1")),
        done((1, 2), &put_on("b", "2")),
        done((1, 2), &put_on("c", "3")),
    ];
    let page = |after, truncated, entries: &[(&str, &str)]| {
        [&start[..], &[done((3, 4), &list(after, truncated, entries))]].concat()
    };
    accepted(&page(None, true, &[("a", "1"), ("b", "2")]));
    accepted(&page(Some("a"), true, &[("b", "2")]));
    accepted(&page(Some("b"), false, &[("c", "3")]));
    accepted(&page(Some("c"), false, &[]));
    only_without_the_last(&page(None, true, &[("b", "2")]));
    only_without_the_last(&page(None, false, &[("a", "1"), ("b", "2")]));
    only_without_the_last(&page(Some("a"), false, &[("c", "3")]));
}

#[test]
fn a_prefix_bounds_a_page() {
    let start = [done((1, 2), &put_on("a/1", "1")), done((1, 2), &put_on("b/1", "2"))];
    let page = |prefix: &str, entries: &[(&str, &str)]| {
        let fields = format!(r#"{},"prefix":"{prefix}""#, list(None, false, entries));
        [&start[..], &[done((3, 4), &fields)]].concat()
    };
    accepted(&page("a/", &[("a/1", "1")]));
    accepted(&page("c/", &[]));
    only_without_the_last(&page("b/", &[]));
    let shown = only_without_the_last(&page("a/", &[("b/1", "2")]));
    assert!(shown.contains("does not begin with"), "{shown}");
}

#[test]
fn pages_out_of_order_are_broken() {
    let start = [done((1, 2), &put_on("a", "1")), done((1, 2), &put_on("b", "2"))];
    for (after, truncated, entries) in [
        (None, false, &[("b", "2"), ("a", "1")][..]),
        (None, false, &[("a", "1"), ("a", "1"), ("b", "2")]),
        (Some("a"), false, &[("a", "1"), ("b", "2")]),
        (None, true, &[]),
    ] {
        let page = done((3, 4), &list(after, truncated, entries));
        let shown = only_without_the_last(&[&start[..], &[page]].concat());
        assert!(shown.contains("BROKEN LISTING"), "{shown}");
    }
}

#[test]
fn entries_of_a_listing_join_the_order_of_their_key() {
    // The listing saw the put under way, a later read did not.
    only_without_the_last(&[
        done((1, 20), &put("a")),
        done((3, 4), &list(None, false, &[("k", "a")])),
        done((5, 6), &get_none()),
    ]);
}

#[test]
fn many_unknown_writes_at_once_are_searched_quickly() {
    let mut lines = vec![done((1, 2), &put("a"))];
    for i in 0..100 {
        lines.push(lost(3, None, &put(&format!("u{i}"))));
    }
    for i in 0..100 {
        lines.push(done((10 + i, 10 + i), &get(&format!("u{i}"))));
    }
    accepted(&lines);
    lines.push(done((200, 201), &get("u5")));
    refused(&lines);
}

#[test]
fn a_search_without_end_is_given_up() {
    let lines: Vec<String> = (0..300).map(|i| done((1, 9), &put(&format!("v{i}")))).collect();
    let report = report(&lines);
    assert!(report.violations.is_empty());
    assert_eq!(report.undecided.len(), 1);
    assert!(!report.is_linearisable());
}
