use std::time::{Duration, Instant};

use coffer_log::ScrubReport;

use super::report::Totals;
use super::watch::Pace;
use super::*;

#[test]
fn sums_grow_by_what_a_pass_did_since() {
    let mut totals = Totals::default();
    let half = ScrubReport { bytes: 10, found: 3, healed: 1, refused: 1, lost: 1, ..zero() };
    let whole = ScrubReport { bytes: 30, found: 4, healed: 2, refused: 1, lost: 1, ..zero() };
    totals.add(&zero(), &half);
    totals.add(&half, &whole);
    totals.add(&whole, &whole);
    let wanted = Totals { bytes: 30, found: 4, healed: 2, unhealed: 2, lost: 1 };
    assert_eq!(totals, wanted);
}

fn zero() -> ScrubReport {
    ScrubReport::default()
}

#[test]
fn a_report_says_what_was_lost() {
    let report = ScrubReport { bytes: 1 << 20, found: 3, healed: 2, lost: 1, ..zero() };
    let pass = Pass::new(&report, Duration::from_secs(2), vec!["block 1: healed".to_owned()]);
    let mut out = Vec::new();
    print(&mut out, &pass).expect("memory takes it");
    let text = String::from_utf8(out).expect("it is text");
    assert!(text.starts_with("block 1: healed\nread 1.0 MiB of 0 segments in 2.0 s (512.0 KiB/s)"));
    assert!(text.contains("3 found wrong, 2 healed") && text.contains("1 LOST"), "{text}");
}

#[test]
fn a_drive_that_was_not_looked_at_is_not_well() {
    let whole = Pass::new(&zero(), Duration::from_secs(2), Vec::new());
    assert!(is_well(&whole));
    let report = ScrubReport { drives_missed: 1, ..zero() };
    let pass = Pass::new(&report, Duration::from_secs(2), Vec::new());
    assert!(!is_well(&pass));
    let mut out = Vec::new();
    print(&mut out, &pass).expect("memory takes it");
    let text = String::from_utf8(out).expect("it is text");
    assert!(text.contains("1 drives are out and were not looked at"), "{text}");
    assert!(!text.contains("all as it must be"), "{text}");
}

#[test]
fn a_pass_that_waited_goes_on_at_its_pace() {
    let begin = Instant::now();
    let after = |secs: u64| begin + Duration::from_secs(secs);
    let mut pace = Pace::new(begin);
    assert_eq!(pace.ahead(100, 0, begin), Duration::ZERO);
    assert_eq!(pace.ahead(100, 200, begin), Duration::from_secs(2));
    // An hour in which it read nothing gives it one second to catch up with.
    assert_eq!(pace.ahead(100, 200, after(3600)), Duration::ZERO);
    assert_eq!(pace.ahead(100, 1200, after(3600)), Duration::from_secs(9));
    assert_eq!(pace.ahead(0, 5000, after(3601)), Duration::ZERO);
}
