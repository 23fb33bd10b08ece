"""What concurrent clients see is linearisable for each key, over kills, pauses and lost drives.

See history_campaign.py; the campaign in full length is in tests/soak.
"""

import time

import pytest

import history
import lying
from history_campaign import SECONDS, SEED, campaign


def test_six_drives_are_linearisable_over_kills_pauses_and_lost_drives(make_store, folder):
    campaign(make_store(drives=6), folder, SECONDS, (0.7, 1.5))


def test_one_drive_is_linearisable_over_kills_and_pauses(make_store, folder):
    campaign(make_store(), folder, max(SECONDS / 2, 3), (0.5, 1.2))


def test_a_bucket_with_versions_is_linearisable_and_keeps_them_all(make_store, folder):
    campaign(make_store(drives=3), folder, max(SECONDS / 2, 3), (0.5, 1.2), versioned=True)


class Idle:
    """Lets the clients work in peace, until they have sent enough."""

    def __init__(self, shared, requests: int):
        self.shared, self.requests = shared, requests

    def run(self, end: float):
        while self.shared.counts.total() < self.requests and time.monotonic() < end:
            if self.shared.stop.wait(0.02):
                return


FAULTS = {
    None: None,
    lying.StaleReads: "read: ",
    lying.LostWrites: "NOT LINEARISABLE",
    lying.ReplayedPuts: "NOT LINEARISABLE",
    lying.ShortListings: "list: nothing",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__ if fault else "none")
def test_the_checker_finds_what_is_wrong(store, folder, fault):
    """The test of the test: with a fault between server and clients the history is refused, and
    without one it is not."""
    bucket = f"history-{fault.__name__ if fault else 'none'}".lower()
    shared = history.shared_for(store, folder / "history.jsonl", bucket, cold_keys=20)
    wire = fault or history.Wire
    workers = [history.Client(shared, i + 1, SEED + i, wire) for i in range(6)]
    history.work(shared, workers, Idle(shared, 2000), 60)
    assert shared.counts.total() >= 2000, "hardly any load"
    history.Client(shared, 0, 0).sweep()
    shared.process_died()  # it goes on, but no request is under way any more
    shared.close()
    accepted, said = history.check(shared.path)
    assert accepted == (fault is None), said
    if fault:
        assert FAULTS[fault] in said, said
