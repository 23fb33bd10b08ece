"""A few power cuts of the real server; the campaign is tests/soak/test_power.py."""

import shutil

import pytest

import faultfs
import figures
import power


@pytest.fixture
def workplace(folder):
    faultfs.required()
    place = power.scratch(folder)
    place.mkdir(exist_ok=True)
    yield place
    if not any(place.rglob("about.json")):
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("drives, states", [(1, 8), (3, 7), (6, 5)])
def test_what_was_answered_outlives_a_power_cut(workplace, drives, states):
    life = power.Life(workplace / "life", drives, seed=drives, seconds=0.5)
    try:
        checker = power.Checker(life, workplace / "states")
        checked = checker.check_all(life.choose(states))
    finally:
        life.end()
    figures.record("power cuts", drives=drives, states=len(checked), lost=len(checker.failures))
    assert not checker.failures, [str(failure) for *_, failure in checker.failures]
    assert any(state.found["open_writes"] for state in checked), "no cut left anything open"


def test_drives_that_forget_syncs_are_noticed(workplace):
    """The test of the test: without syncs, losses must be reported."""
    life = power.Life(workplace / "life", 1, seed=11, seconds=0.5)
    try:
        checker = power.Checker(life, workplace / "states", forget_syncs="*")
        # Before a bucket was answered for, there is nothing to lose.
        states = [state for state in life.choose(60) if state.bucket_sure][:8]
        checker.check_all(states)
    finally:
        life.end()
    print(f"\n{len(checker.failures)} of {len(states)} noticed")
    assert len(checker.failures) >= 3, "lost syncs went unnoticed"
    for _, kept, _ in checker.failures:
        shutil.rmtree(kept)
