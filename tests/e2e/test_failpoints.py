"""Kills at a few named points; `cargo xtask soak failpoints` has all of them (kills.py)."""

import random

import pytest

import figures
import kills
from running import binary

# Where a mistake would cost most: one of each kind of step.
CHOSEN = {
    1: [("lane.synced", "load"), ("seal.published", "load"), ("superblock.created", "fresh")],
    3: [
        ("supers.drive", "start"),
        ("sequencer.committed", "load"),
        ("checkpoint.root", "load"),
        ("lane.reform-recorded", "drive"),
        ("recovery.recorded", "start"),
    ],
    6: [("seal.renamed", "load"), ("bulk.finished", "load"), ("heal.file-renamed", "scrub")],
}


@pytest.fixture(autouse=True)
def mortal(monkeypatch):
    monkeypatch.setenv("COFFER_BIN", str(kills.failpoint_binary()))


@pytest.mark.parametrize("drives", CHOSEN)
def test_a_store_survives_dying_at_named_points(folder, drives):
    wanted = CHOSEN[drives]
    found = kills.points()
    assert all(scene in found[name] for name, scene in wanted)
    result = kills.campaign(folder, drives, random.getrandbits(32), len(wanted), wanted, (1, 2, 3))
    assert result["kills"] == len(wanted)
    assert result["answered"] > 0
    del result["reached"]
    figures.record("kills at named points", **result)


def test_the_binary_of_users_knows_no_failpoints(monkeypatch):
    monkeypatch.undo()
    for path, there in ((binary(), False), (kills.failpoint_binary(), True)):
        assert (b"COFFER_FAILPOINT" in path.read_bytes()) == there, path


def test_a_variable_that_names_no_point_is_refused(folder):
    store = kills.Mortal(folder / "store", 1)
    for wrong in ("no.such", "lane.synced:0"):
        store.failpoint = wrong
        done = store.run("serve", "DIRS", check=False)
        assert done.returncode == 2 and "COFFER_FAILPOINT" in done.stderr, done
    assert not store.drives[0].exists()
