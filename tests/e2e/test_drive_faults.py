"""Drives that fail, lie, fill up and hang under the real server, one kind at a time.

COFFER_FAULT_ROUNDS says how often (the campaign: 5), with other drives and objects each time.
COFFER_FAULT_P99_PERCENT holds the p99 of reads during a stall to so many percent of the one without
(the campaign: 200); unless it is set the ratio is only measured: it needs many reads.
"""

import json
import os
import random
import threading
import time

import pytest

import faultfs
import figures
from faultfs import FaultFs
from quick import Quick
from running import Store

ROUNDS = int(os.environ.get("COFFER_FAULT_ROUNDS", "1"))
P99_PERCENT = int(os.environ.get("COFFER_FAULT_P99_PERCENT", "0"))
BUCKET = "faults"
# So that most of what is read is in sealed segments, in cells on all drives.
FLAGS = ["--test-segment-bytes", str(1 << 20)]
WITHIN_S = 5
STALL_S = 1.2
SIZES = [0, 1, 1000, 4096, 70_000, 300_000, 1 << 20]
#: Files of the log; the index is not asked for what it can't rebuild.
LOG_FILES = ("commit-", "bulk-")

rounds = pytest.mark.parametrize("number", range(ROUNDS))


class Set:
    """A server on drives that can be told to misbehave, with objects in it."""

    def __init__(self, folder, drives: int, seed: int):
        faultfs.required()
        self.dice = random.Random(seed)
        self.fs = FaultFs(folder / "fs", drives, journal=False)
        self.store = Store(folder / "server", drives, FLAGS)
        self.store.drives = self.fs.data
        self.contents = {}

    def __enter__(self):
        self.store.start()
        status, _, body = self.client().send("PUT", f"/{BUCKET}")
        assert status == 200, body
        self.fill("stable", 60)
        return self

    def __exit__(self, *_):
        self.fs.clear()
        self.store.kill()
        self.fs.end()

    def client(self, timeout_s: float = 60) -> Quick:
        return Quick(self.store.endpoint, timeout_s)

    def fill(self, prefix: str, count: int):
        client = self.client()
        for i in range(count):
            self.put(client, f"{prefix}/{i:03}", SIZES[i % len(SIZES)])
        client.close()

    def put(self, client: Quick, key: str, size: int):
        body = self.dice.randbytes(size)
        client.put(BUCKET, key, body)
        self.contents[key] = body

    def read_all(self):
        """Every object has its bytes."""
        client = self.client()
        for key, body in self.contents.items():
            found = client.get(BUCKET, key)
            assert found and found[0] == body, f"{key} is wrong"
        client.close()

    def writing(self) -> list:
        """The drives, but for the index's, that a small write goes to now."""
        def barriers():
            return [drive["barriers"] for drive in self.store.status()["drives"]]

        before, client = barriers(), self.client()
        self.put(client, "probe", 1000)
        client.close()
        moved = [i for i, (a, b) in enumerate(zip(before, barriers())) if b > a and i > 0]
        assert moved, "a write synced no drive"
        return moved

    def drive(self, number: int) -> dict:
        """What status says of a drive."""
        return self.store.status("--degraded")["drives"][number]

    def wait_until_out(self, number: int, within_s: float = WITHIN_S) -> dict:
        """Waits until the server no longer counts on a drive."""
        began = time.monotonic()
        while (said := self.drive(number))["state"] == "active":
            waited = time.monotonic() - began
            assert waited < within_s, f"drive {number} counts after {waited:.1f} s: {said}"
            time.sleep(0.05)
        return said

    def wait_until_trusted(self, number: int, within_s: float = 60):
        """Waits until a drive that hung is read from again."""
        began = time.monotonic()
        while (said := self.drive(number))["why"] or said["state"] != "active":
            assert said["state"] == "active", said
            assert time.monotonic() - began < within_s, f"still avoided: {said}"
            time.sleep(0.1)

    def assert_said(self, number: int, state: str):
        """Status, metrics and log name the drive."""
        said = self.drive(number)
        assert said["state"] == state and said["why"], said
        status = self.store.status("--degraded")
        assert status["degraded"], json.dumps(status, indent=1)
        assert self.store.metric("coffer_degraded") == 1
        path = str(self.fs.data[number])
        lines = [line for line in self.store.admin_get("/metrics").splitlines() if path in line]
        active = [line for line in lines if line.startswith("coffer_drive_active")]
        assert active and active[0].endswith(" 0"), lines
        log = self.store.log.read_text(errors="replace").splitlines()
        warned = [line for line in log if path in line and '"level":"INFO"' not in line]
        assert warned, f"no warning in the log names {path}"


@pytest.fixture
def make_set(folder):
    sets = []

    def make(drives: int, seed: int) -> Set:
        made = Set(folder / f"set{len(sets)}", drives, seed)
        sets.append(made)
        return made.__enter__()

    yield make
    for made in sets:
        made.__exit__()


@rounds
def test_a_failed_sync_fences_the_drive_for_good(make_set, number):
    set_ = make_set(3, number)
    victim = set_.dice.choice(set_.writing())
    set_.fs.fault(victim, "error", "sync", count=1, path="commit-")
    set_.fill("during", 20)
    assert set_.fs.applied(victim) == 1
    set_.wait_until_out(victim)
    set_.assert_said(victim, "fenced")
    set_.read_all()
    # From now on its syncs go well; that must not make it trusted again.
    for kill in (True, False):
        set_.store.kill() if kill else set_.store.stop()
        set_.store.start()
        assert set_.drive(victim)["state"] == "fenced"
        set_.fill("after", 20)
        set_.read_all()
    assert set_.drive(victim)["state"] == "fenced"


@rounds
@pytest.mark.parametrize("action", ["error", "corrupt"])
def test_reads_that_fail_or_lie_on_m_drives_hurt_nobody(make_set, action, number):
    set_ = make_set(6, number)
    victims = set_.dice.sample(range(6), 2)
    for victim in victims:
        for name in LOG_FILES:
            set_.fs.fault(victim, action, "read", path=name)
    set_.read_all()
    assert sum(set_.fs.applied(victim) for victim in victims) > 10, "hardly any read was hurt"
    set_.fill("during", 20)
    set_.read_all()


@rounds
def test_lies_on_more_than_m_drives_are_errors_and_never_wrong_bytes(make_set, number):
    set_ = make_set(3, number)
    for victim in set_.dice.sample(range(3), 2):
        for name in LOG_FILES:
            set_.fs.fault(victim, "corrupt", "read", path=name)
    refused = 0
    for key, body in set_.contents.items():
        client = set_.client()
        try:
            status, _, found = client.send("GET", f"/{BUCKET}/{key}")
        except OSError:
            status = 0
        except Exception as failure:
            # An answer that breaks off is one that says so.
            assert type(failure).__name__ == "IncompleteRead", failure
            status = 0
        client.close()
        if status == 200:
            assert found == body, f"{key}: wrong bytes were served"
        else:
            assert status in (0, 500, 503), f"{key}: {status}"
            refused += 1
    assert refused > 5, "hardly anything was beyond repair"
    set_.fs.clear()
    set_.read_all()


@rounds
def test_one_full_drive_loses_nothing_and_is_not_fenced(make_set, number):
    set_ = make_set(3, number)
    victim = set_.dice.randrange(1, 3)
    set_.fs.fault(victim, "full")
    answered = put_what_goes(set_, "full", 40)
    set_.read_all()
    assert set_.drive(victim)["state"] != "fenced"
    set_.fs.clear()
    set_.fill("after", 20)
    set_.read_all()
    set_.store.kill()
    set_.store.start()
    set_.read_all()
    figures.record("one drive full", answered=answered, of=40)


@rounds
def test_full_drives_say_so_and_go_on_when_there_is_space(make_set, number):
    set_ = make_set(3, number)
    for drive in range(3):
        set_.fs.fault(drive, "full")
    answered = put_what_goes(set_, "full", 60)
    assert answered < 60, "the drives are full, and all was written"
    set_.read_all()
    assert all(drive["state"] != "fenced" for drive in set_.store.status()["drives"])
    set_.fs.clear()
    went_on_s = first_put_after(set_)
    assert went_on_s < WITHIN_S, f"no write for {went_on_s} s after there was space"
    set_.fill("after", 20)
    set_.read_all()
    set_.store.kill()
    set_.store.start()
    set_.read_all()


def put_what_goes(set_: Set, prefix: str, count: int) -> int:
    """Writes; what is refused must say why, and changes nothing."""
    client, answered = set_.client(), 0
    for i in range(count):
        key, body = f"{prefix}/{i:03}", set_.dice.randbytes(SIZES[i % len(SIZES)])
        status, _, reply = client.send("PUT", f"/{BUCKET}/{key}", body=body)
        if status == 200:
            set_.contents[key] = body
            answered += 1
        else:
            assert status in (503, 507), f"{key}: {status} {reply[:300]}"
            assert client.get(BUCKET, key) is None, f"{key} was refused, and is there"
    client.close()
    return answered


def first_put_after(set_: Set) -> float:
    client, began = set_.client(), time.monotonic()
    while time.monotonic() - began < 30:
        if client.send("PUT", f"/{BUCKET}/first", body=b"x")[0] == 200:
            set_.contents["first"] = b"x"
            break
        time.sleep(0.05)
    client.close()
    return time.monotonic() - began


@rounds
def test_a_drive_that_goes_away_is_taken_out(make_set, number):
    set_ = make_set(3, number)
    victim = number % 3
    set_.fs.fault(victim, "error", errno="ENODEV")
    said = set_.wait_until_out(victim)
    set_.assert_said(victim, said["state"])
    set_.fill("during", 20)
    set_.read_all()
    set_.store.kill()
    set_.fs.clear()
    set_.store.start("--degraded")
    set_.read_all()


@rounds
@pytest.mark.parametrize("size", [4096, 1 << 20], ids=["small", "bulk"])
def test_writes_go_on_when_a_drive_stalls(make_set, size, number):
    set_ = make_set(3, number)
    victim = set_.dice.choice(set_.writing())
    set_.fs.fault(victim, "stall", "write", "sync", "syncdir", "change")
    took_s, began = [], time.monotonic()
    client = set_.client(timeout_s=30)
    for i in range(20):
        started = time.monotonic()
        set_.put(client, f"stalled/{i}", size)
        took_s.append(time.monotonic() - started)
    figures.record(
        "writes while a drive stalls",
        size=size,
        slowest_s=round(max(took_s), 2),
        all_s=round(time.monotonic() - began, 2),
    )
    assert max(took_s) < WITHIN_S, f"writes took {sorted(took_s)[-3:]} s"
    assert time.monotonic() - began < 2 * WITHIN_S, "the stall is felt again and again"
    set_.wait_until_out(victim)
    set_.read_all()
    # What was on its way arrives at last, and must not count.
    set_.fs.clear()
    set_.fill("after", 10)
    set_.read_all()
    set_.store.kill()
    set_.store.start("--degraded")
    set_.read_all()


@rounds
def test_reads_go_round_a_drive_that_stalls(make_set, number):
    set_ = make_set(6, number)
    victim = (number + 1) % 6
    calm, stalled = [], []
    # A drive that hangs for longer than its limit is taken out; these stalls are shorter.
    pairs = 2 if not P99_PERCENT else 10
    for pair in range(pairs):
        set_.wait_until_trusted(victim)
        calm += read_for_a_while(set_, pair)
        set_.wait_until_trusted(victim)
        before = set_.fs.applied(victim)
        rule = set_.fs.fault(victim, "stall", "read")
        released = threading.Timer(STALL_S, set_.fs.clear, (victim, rule))
        released.start()
        stalled += read_for_a_while(set_, pair)
        released.join()
        assert set_.fs.applied(victim) > before, "no read met the stalled drive"
    ratio = p99(stalled) / p99(calm)
    figures.record(
        "reads while a drive stalls",
        reads=len(calm) + len(stalled),
        p99_ms=round(p99(calm) * 1000, 1),
        p99_stalled_ms=round(p99(stalled) * 1000, 1),
        slowest_stalled_s=round(max(stalled), 2),
        ratio=round(ratio, 2),
        held_up=set_.fs.applied(victim),
    )
    assert max(stalled) < WITHIN_S, f"a read took {max(stalled):.1f} s"
    if P99_PERCENT:
        assert ratio * 100 <= P99_PERCENT, f"p99 is {ratio:.1f} times the one without a stall"


def read_for_a_while(set_: Set, seed: int, seconds: float = STALL_S) -> list:
    """How long each read took; their bytes are compared."""
    took_s, failures = [], []
    until = time.monotonic() + seconds

    def work(dice):
        client = set_.client(timeout_s=30)
        try:
            while time.monotonic() < until:
                key = dice.choice(keys)
                began = time.monotonic()
                found = client.get(BUCKET, key)
                took_s.append(time.monotonic() - began)
                assert found and found[0] == set_.contents[key], f"{key} is wrong"
        except Exception as failure:  # handed to the test's thread
            failures.append(failure)
        client.close()

    keys = [key for key, body in set_.contents.items() if body]
    threads = [
        threading.Thread(target=work, args=(random.Random(2 * seed + i),)) for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive(), "a reader hangs"
    if failures:
        raise failures[0]
    return took_s


def p99(took_s: list) -> float:
    return sorted(took_s)[int(len(took_s) * 0.99)]
