//! Campaigns with fixed seeds.

use coffer_sim::campaign::{Config, Failure, Task, replay, run};
use coffer_sim::campaigns::{Total, run_all};
use coffer_sim::full::{self, Fullness, Outcome};
use coffer_sim::hang::{self, Landing};
use coffer_sim::plant::Plant;
use coffer_sim::store::Scheme;

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

fn run_tasks(tasks: Vec<Task>) -> Total {
    run_all(tasks, jobs(), &mut |_, _| {})
}

#[track_caller]
fn expect_none(failures: &[Failure]) {
    let lines: Vec<String> = failures.iter().take(10).map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), lines.join("\n"));
}

/// Several thousand states, of every scheme, with and without failing drives and weak levels.
#[test]
fn nothing_acknowledged_is_lost_at_any_power_cut() {
    let task = |seed, config| Task { seed, config, boundary: None };
    let mut tasks: Vec<Task> =
        (0..20).map(|seed| task(seed, Config { every: 4, ..Config::of_seed(seed) })).collect();
    // Each boundary of some.
    tasks
        .extend([20, 22, 35].map(|seed| task(seed, Config { steps: 15, ..Config::of_seed(seed) })));
    let total = run_tasks(tasks);
    expect_none(&total.failures);
    assert!(total.states >= 3000, "only {} states", total.states);
    // Both outcomes of an operation under way are met, or the cuts are not where they should be.
    let (undone, done) = total.undone_and_done;
    assert!(undone > 300 && done > 300, "undone {undone}, done {done}");
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    for seed in [1, 3, 10, 17] {
        let config = Config { steps: 15, every: 9, ..Config::of_seed(seed) };
        let (first, second) = (run(seed, config), run(seed, config));
        assert_eq!(first, second);
        assert!(first.states > 0);
        assert_ne!(run(seed + 20, config).trace, first.trace);
    }
}

/// What was once found is not lost again.
#[test]
fn what_once_failed_is_well() {
    let corpus = include_str!("../corpus.txt");
    let lines = corpus.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let tasks = lines.map(|line| {
        let place = line.split_whitespace().next().unwrap_or_default();
        let (seed, boundary) = place.split_once(':').expect("SEED:BOUNDARY");
        let seed = seed.parse().expect("a seed");
        let boundary = Some(boundary.parse().expect("a boundary"));
        Task { seed, config: Config::of_seed(seed), boundary }
    });
    expect_none(&run_tasks(tasks.collect()).failures);
}

/// Each missing sync must be found by a small campaign: one that can't tell is worth nothing.
#[test]
fn missing_syncs_are_found_and_replayed() {
    for plant in Plant::ALL {
        let config = |scheme| Config { steps: 15, every: 5, plant, ..Config::of(scheme, 4) };
        let found = [(1, 1), (2, 1), (4, 2)].into_iter().find_map(|(k, m)| {
            let config = config(Scheme { k, m });
            run(4, config).failures.first().cloned().map(|failure| (config, failure))
        });
        let (config, failure) = found.unwrap_or_else(|| panic!("{plant:?}: nothing found"));
        if !failure.what.starts_with("without any power cut") {
            assert_eq!(replay(4, config, failure.boundary).failures, [failure]);
        }
    }
}

/// There is no space from each operation of a small run on.
#[test]
fn full_drives_refuse_and_lose_nothing() {
    let mut total = Outcome::default();
    for (i, fullness) in Fullness::ALL.into_iter().enumerate() {
        for (k, m) in [(1, 0), (2, 1)] {
            let outcome = full::run(Scheme { k, m }, 3 + i as u64, fullness, 3);
            let outcome = outcome.unwrap_or_else(|what| panic!("{what}"));
            total.runs += outcome.runs;
            total.refused += outcome.refused;
            total.done += outcome.done;
            total.deletes += outcome.deletes;
        }
    }
    assert!(total.runs > 100 && total.refused > 100, "{total:?}");
    assert!(total.done > 100 && total.deletes > 0, "{total:?}");
}

/// A drive hangs at each operation of a small run, and what it was asked lands late.
#[test]
fn what_a_drive_that_hung_does_late_does_no_harm() {
    let (mut runs, mut in_limbo) = (0, 0);
    for (i, landing) in Landing::ALL.into_iter().enumerate() {
        let outcome = hang::run(Scheme { k: 2, m: 1 }, 50 + i as u64, landing, 1);
        let outcome = outcome.unwrap_or_else(|what| panic!("{what}"));
        runs += outcome.runs;
        in_limbo += outcome.in_limbo;
    }
    assert!(runs > 15 && in_limbo > 10, "{runs} runs, {in_limbo} with a call in limbo");
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
