//! Campaigns with fixed seeds.

use coffer_sim::campaign::{Config, Outcome, replay, run};
use coffer_sim::store::Scheme;

const SCHEMES: [Scheme; 3] = [Scheme { k: 1, m: 0 }, Scheme { k: 1, m: 1 }, Scheme { k: 4, m: 2 }];

#[track_caller]
fn expect_none(failures: &[coffer_sim::campaign::Failure]) {
    let lines: Vec<String> = failures.iter().take(10).map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), lines.join("\n"));
}

/// At least two thousand cuts, at every boundary of the drives' operations.
#[test]
fn nothing_acknowledged_is_lost_at_any_power_cut() {
    let mut total = Outcome::default();
    for (scheme, seeds) in SCHEMES.into_iter().zip([0..4, 10..13, 20..22]) {
        for seed in seeds {
            let outcome = run(seed, Config::of(scheme, seed));
            total.cuts += outcome.cuts;
            total.undone_and_done.0 += outcome.undone_and_done.0;
            total.undone_and_done.1 += outcome.undone_and_done.1;
            total.failures.extend(outcome.failures);
        }
    }
    expect_none(&total.failures);
    assert!(total.cuts >= 2000, "only {} cuts", total.cuts);
    // Both outcomes of an operation under way are met, or the cuts are not where they should be.
    let (undone, done) = total.undone_and_done;
    assert!(undone > 100 && done > 100, "undone {undone}, done {done}");
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    for scheme in SCHEMES {
        let config = Config { steps: 15, every: 7, ..Config::of(scheme, 1) };
        let (first, second) = (run(1, config), run(1, config));
        assert_eq!(first, second);
        assert!(first.cuts > 0);
        assert_ne!(run(2, config).trace, first.trace);
    }
}

/// Without syncs a store must lose something: if the campaign can't tell, it is worth nothing.
#[test]
fn forgotten_syncs_are_found_and_replayed() {
    for scheme in SCHEMES {
        let drives = usize::from(scheme.k + scheme.m);
        let config = Config { steps: 12, every: 3, forget_syncs: drives, ..Config::of(scheme, 1) };
        let found = run(1, config).failures;
        assert!(!found.is_empty(), "{scheme:?}: no loss found");
        let again = replay(1, config, found[0].boundary).failures;
        assert_eq!(again, found[..1]);
    }
}

/// Bits flip anywhere that means something, on up to m drives at a time.
#[test]
fn every_flipped_bit_is_found_and_healed() {
    for seed in 0..4 {
        let outcome = coffer_sim::flips::run(seed, 90);
        assert_eq!(outcome.failures, Vec::<String>::new());
        assert!(outcome.flips >= 90 && outcome.healed > 50, "{outcome:?}");
        assert_eq!(outcome.by_kind.len(), 4, "{outcome:?}");
    }
}
