"""Six drives, 4+2: any two are lost under load, and nobody who reads or writes is told no.

COFFER_ERASURE_ROUNDS says how many pairs of drives are tried (the campaign: 15, all of them).
"""

import itertools
import json
import os
import random
import shutil
import threading
import time

import pytest

import figures
import oracle
from readers import Readers

ROUNDS = int(os.environ.get("COFFER_ERASURE_ROUNDS", "2"))
BUCKET = "erasure"
NOTICED_WITHIN_S = 5
PAIRS = list(itertools.combinations(range(6), 2))


def pairs():
    """The first drive (where the index lives) is always among the lost of one round."""
    dice = random.Random(1)
    chosen = dice.sample(PAIRS, min(ROUNDS, len(PAIRS)))
    if ROUNDS < len(PAIRS):
        chosen = [(0, 3), (2, 5), *dice.sample(PAIRS, len(PAIRS))][:ROUNDS]
    return chosen


def wait_until_degraded(store, within_s: float) -> float:
    """How long until the server says degraded."""
    began = time.monotonic()
    while not store.metric("coffer_degraded"):
        if time.monotonic() - began > within_s:
            raise AssertionError(f"not degraded after {within_s} s:\n{store.log_tail()}")
        time.sleep(0.1)
    return time.monotonic() - began


def assert_status_says_degraded(store):
    status = store.status("--degraded")
    assert status["degraded"], json.dumps(status, indent=1)


@pytest.mark.parametrize("lost", pairs())
def test_two_lost_drives_fail_nobody(make_store, lost):
    store = make_store(drives=6)
    s3 = store.client()
    s3.create_bucket(Bucket=BUCKET)
    sizes = [0, 1, 1000, 4096, 70_000, 300_000, 1 << 20, 5 << 20]
    contents = {}
    for i in range(40):
        key, body = f"stable/{i:03}", random.Random(i).randbytes(sizes[i % len(sizes)])
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        contents[key] = body

    assert not store.status()["degraded"]
    readers = Readers(store, BUCKET, contents)
    workers = [oracle.Worker(f"worker-{i}", i, BUCKET, keys=10) for i in range(3)]
    loader = threading.Thread(target=load, args=(store, workers), daemon=True)
    loader.start()
    time.sleep(1)
    for drive in lost:
        delete(store.drives[drive])
    took_s = wait_until_degraded(store, NOTICED_WITHIN_S)
    figures.record("lost drives noticed", drives=list(lost), after_s=round(took_s, 1))
    assert_status_says_degraded(store)
    loader.join(timeout=300)
    assert not loader.is_alive(), "a writer hangs"
    reads = readers.end()
    assert reads > 20, "hardly anything was read"
    for worker in workers:
        if worker.failure:
            raise worker.failure
    read_all(store, contents)
    verify_listing_of(store, workers, contents)

    # From now on no write counts the lost drives: it is there after a kill, without them.
    store.kill()
    store.start("--degraded")
    assert_status_says_degraded(store)
    read_all(store, contents)
    verify_listing_of(store, workers, contents)
    readers = Readers(store, BUCKET, contents)
    load(store, workers, 1.5)
    readers.end()
    for worker in workers:
        if worker.failure:
            raise worker.failure
    verify_listing_of(store, workers, contents)
    store.stop()


def delete(folder):
    """Deletes a directory in which files may still be made while it is deleted."""
    deadline = time.monotonic() + 10
    while folder.exists():
        assert time.monotonic() < deadline, f"{folder} is filled faster than it is emptied"
        shutil.rmtree(folder, ignore_errors=True)


def load(store, workers, seconds: float = 5.0):
    try:
        oracle.run_load(store, workers, seconds, kill=False)
    except Exception:  # each worker keeps its own failure for the test's thread
        pass


def read_all(store, contents):
    s3 = store.client()
    for key, body in contents.items():
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body, key


def verify_listing_of(store, workers, contents):
    oracle.verify(store, workers, others={key: len(body) for key, body in contents.items()})
