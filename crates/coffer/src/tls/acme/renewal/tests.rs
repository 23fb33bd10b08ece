use std::sync::{Arc, Mutex};

use coffer_base::rng::SeededRng;
use coffer_base::{Clock as _, SystemClock};
use coffer_http::Certificates;
use rcgen::{CertificateParams, KeyPair};

use super::*;

const DAY_SECS: u64 = 24 * 3600;

/// A certificate that is valid from `from_secs` on for `days`.
fn certificate(from_secs: u64, days: u64) -> Certificate {
    let mut params = CertificateParams::new(["a.test".to_owned()]).unwrap();
    let at = |secs: u64| std::time::UNIX_EPOCH + Duration::from_secs(secs);
    params.not_before = at(from_secs).into();
    params.not_after = at(from_secs + days * DAY_SECS).into();
    let key = KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    Certificate::from_pem(made.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
}

fn showing(first: Certificate, stands_in: bool) -> Shown {
    let shown = Shown {
        certificates: Arc::new(Certificates::default()),
        source: "a test".to_owned(),
        public_file: None,
        stands_in,
        refused: Mutex::default(),
    };
    shown.take(first);
    shown
}

/// What happens within `days`; `order` is given the time in seconds since the beginning. When it
/// was asked, and how long was waited after each time.
fn run(
    shown: &Shown,
    begin_secs: u64,
    days: u64,
    order: impl Fn(u64) -> Result<Certificate, String>,
) -> (Vec<u64>, Vec<Duration>) {
    let (mut asked, mut waited) = (Vec::new(), Vec::<Duration>::new());
    let rng = SeededRng::new(1);
    let mut renewal = Renewal::new(shown);
    let mut since = Duration::ZERO;
    while since.as_secs() <= days * DAY_SECS {
        let now = Timestamp(begin_secs * 1000 + since.as_millis() as u64);
        let wait = match renewal.wait(shown, now) {
            Some(wait) => wait,
            None => {
                asked.push(since.as_secs());
                waited.push(Duration::ZERO);
                renewal.ended(shown, order(since.as_secs()), now, &rng)
            }
        };
        assert!(wait <= PAUSE_MAX.mul_f64(1.25), "it looks often enough: {wait:?}");
        since += wait;
        if let Some(last) = waited.last_mut() {
            *last += wait;
        }
    }
    (asked, waited)
}

fn now_secs() -> u64 {
    SystemClock.now().seconds()
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
    let begin = now_secs();
    let shown = showing(certificate(begin, 90), false);
    let (asked, _) = run(&shown, begin, 130, |at| Ok(certificate(begin + at, 90)));
    let days: Vec<u64> = asked.iter().map(|at| at / DAY_SECS).collect();
    assert_eq!(days, [60, 120]);
    let until = shown.certificates.shown().unwrap().validity.until_secs;
    assert_eq!((until as u64 - begin) / DAY_SECS, 210);
    assert_eq!(shown.report().refused, None);
}

#[test]
fn failures_are_spaced_further_and_further_and_the_old_certificate_stays() {
    let begin = now_secs();
    let shown = showing(certificate(begin, 90), false);
    let old = shown.certificates.shown().unwrap().fingerprint.clone();
    let (asked, waited) = run(&shown, begin, 70, |_| Err("the server is away".to_owned()));
    assert_eq!(asked[0] / DAY_SECS, 60, "not before it is due");
    assert!((20..40).contains(&asked.len()), "in ten days: {}", asked.len());
    let mut pause = PAUSE;
    for (i, waited) in waited.iter().enumerate() {
        assert!((pause..=pause.mul_f64(1.25)).contains(waited), "after failure {i}: {waited:?}");
        pause = (pause * 2).min(PAUSE_MAX);
    }
    assert_eq!(pause, PAUSE_MAX);
    assert_eq!(shown.certificates.shown().unwrap().fingerprint, old);
    assert_eq!(shown.report().refused.as_deref(), Some("the server is away"));
}

#[test]
fn what_succeeds_at_last_is_shown_and_the_next_failure_begins_anew() {
    let begin = now_secs();
    let shown = showing(certificate(begin, 90), false);
    let old = shown.certificates.shown().unwrap().fingerprint.clone();
    let works_from = 60 * DAY_SECS + 3600;
    let (asked, waited) = run(&shown, begin, 125, |at| match at {
        _ if (works_from..100 * DAY_SECS).contains(&at) => Ok(certificate(begin + at, 90)),
        _ => Err("the server is away".to_owned()),
    });
    let second = asked.iter().position(|at| *at > 100 * DAY_SECS).unwrap();
    assert!(second > 4, "it failed some times and then did not: {asked:?}");
    assert_eq!((asked[second] - asked[second - 1]) / DAY_SECS, 60);
    assert!(waited[second] <= PAUSE.mul_f64(1.25), "{:?}", waited[second]);
    assert_ne!(shown.certificates.shown().unwrap().fingerprint, old);
}

#[test]
fn what_only_stands_in_is_replaced_at_once() {
    let begin = now_secs();
    let shown = showing(certificate(begin, 365), true);
    let (asked, _) = run(&shown, begin, 1, |at| Ok(certificate(begin + at, 90)));
    assert_eq!(asked, [0]);
}

#[test]
fn one_that_is_about_to_expire_is_shown_and_not_ordered_again_and_again() {
    let begin = now_secs();
    let shown = showing(certificate(begin, 365), true);
    let (asked, _) = run(&shown, begin, 1, |_| Ok(certificate(begin - 80 * DAY_SECS, 90)));
    assert!((8..12).contains(&asked.len()), "{asked:?}");
    assert!(shown.report().refused.unwrap().contains("about to expire"));
}
