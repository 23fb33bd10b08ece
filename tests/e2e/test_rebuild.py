"""The index deleted, damaged, or lost together with any M drives: everything is there again, soon.

COFFER_REBUILD_OBJECTS says how many objects there are (the campaign: a million).
"""

import hashlib
import itertools
import os
import random
import re
import shutil
import time

import pytest

import figures

OBJECTS = int(os.environ.get("COFFER_REBUILD_OBJECTS", "600"))
SECONDS_MAX = 30
BUCKET = "coffer-bench"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A stopped store of three drives, 2+1, with its objects and what a listing says of them."""
    yield from filled(tmp_path_factory.mktemp("rebuild"), 3, "2+1")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """The same of six drives, 4+2."""
    yield from filled(tmp_path_factory.mktemp("rebuild-wide"), 6, "4+2")


def filled(place, drives, scheme):
    from running import Store

    store = Store(place, drives, ["--erasure", scheme]).start()
    store.bench("put", "--size", "256B", "-c", "64", "-n", str(OBJECTS), "--payload", "unsigned")
    listed = listing(store)
    assert listed[0] == OBJECTS
    store.stop()
    yield store, listed
    store.kill()


def listing(store):
    """How many there are, and a digest of all keys, sizes and ETags."""
    digest, count = hashlib.sha256(), 0
    for page in store.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for entry in page.get("Contents", []):
            digest.update(f"{entry['Key']} {entry['Size']} {entry['ETag']}\n".encode())
            count += 1
    return count, digest.hexdigest()


def start_timed(store, what, *flags):
    began = time.monotonic()
    store.start(*flags)
    store.client().list_objects_v2(Bucket=BUCKET, MaxKeys=1)
    took = time.monotonic() - began
    figures.record("index rebuilt", objects=OBJECTS, case=what, seconds=round(took, 2))
    assert took < SECONDS_MAX, f"{what}: {took:.1f} s"


def index_of(store):
    return next(d / "index" for d in store.drives if (d / "index").is_dir())


def test_the_index_deleted(full):
    store, listed = full
    shutil.rmtree(index_of(store))
    start_timed(store, "deleted")
    assert listing(store) == listed
    store.stop()


def test_the_index_deleted_and_killed_while_it_is_rebuilt(full):
    store, listed = full
    shutil.rmtree(index_of(store))
    for _ in range(3):
        with pytest.raises(AssertionError):
            store.start(timeout_s=0.3 if OBJECTS > 100_000 else 0.02)
    start_timed(store, "deleted, killed three times on the way")
    assert listing(store) == listed
    store.stop()


def test_from_the_records_alone(full):
    """The worst case: no checkpoint is of use."""
    store, listed = full
    began = time.monotonic()
    said = store.run("index", "rebuild", "DIRS", timeout_s=600).stdout
    took = time.monotonic() - began
    figures.record("index rebuilt", objects=OBJECTS, case="from records alone", seconds=round(took, 2))
    assert "Rebuilt the index" in said
    assert took < SECONDS_MAX, said
    store.start()
    assert listing(store) == listed
    store.stop()


@pytest.mark.parametrize("lost", range(3))
def test_the_index_and_a_drive_lost_at_once(full, lost):
    store, listed = full
    shutil.rmtree(index_of(store))
    away = store.drives[lost].rename(store.root / "away")
    start_timed(store, f"deleted, and drive {lost}", "--degraded")
    assert listing(store) == listed
    store.stop()
    away.rename(store.drives[lost])
    # The drive that is back may have an index from before.
    store.start()
    assert listing(store) == listed
    store.stop()


def test_the_index_and_two_of_six_drives_lost_at_once(wide):
    store, listed = wide
    pairs = random.Random(11).sample(list(itertools.combinations(range(6), 2)), 4)
    for lost in pairs:
        shutil.rmtree(index_of(store))
        away = [store.drives[n].rename(store.root / f"away-{n}") for n in lost]
        start_timed(store, f"deleted, and drives {lost} of six", "--degraded")
        assert listing(store) == listed, lost
        store.stop()
        for n, path in zip(lost, away):
            path.rename(store.drives[n])
        # Those that are back may have an index from before.
        store.start()
        assert listing(store) == listed, lost
        store.stop()


def test_any_byte_of_the_index_damaged(full):
    """Answers are right or 503, and in the end all are right."""
    store, listed = full
    dice = random.Random(7)
    rounds = 2 if OBJECTS < 100_000 else 8
    for number in range(rounds):
        paths = [p for p in index_of(store).rglob("*") if p.is_file() and p.stat().st_size]
        for path in dice.sample(paths, min(len(paths), 1 + number)):
            data = bytearray(path.read_bytes())
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            path.write_bytes(data)
        store.start()
        noticed = None
        while True:
            try:
                found = listing(store)
                break
            except Exception as failure:
                text = str(failure)
                assert re.search("503|SlowDown|ServiceUnavailable|reached max retries", text), text
                # A listing may take long to get where the damage is.
                noticed = noticed or time.monotonic()
                assert time.monotonic() < noticed + 60, "not healed in a minute"
                time.sleep(0.2)
        assert found == listed, f"round {number}"
        store.stop()
