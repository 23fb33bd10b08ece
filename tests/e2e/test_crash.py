"""kill -9 under load: what was answered is there whole, and nothing else.

COFFER_CRASH_ROUNDS says how often (the campaign: 200), COFFER_CRASH_SEED with which random choices.
This kills the process, not the power: what the kernel holds survives. Power cuts are simulated
elsewhere.
"""

import os
import random
import time

import figures
import oracle

ROUNDS = int(os.environ.get("COFFER_CRASH_ROUNDS", "8"))
SEED = int(os.environ.get("COFFER_CRASH_SEED", "0")) or random.SystemRandom().getrandbits(32)
FSCK_EVERY = 25
BUCKET = "crash"


def campaign(make_store, drives: int, rounds: int):
    print(f"seed {SEED}")
    dice = random.Random(SEED + drives)
    store = make_store(drives=drives)
    store.client().create_bucket(Bucket=BUCKET)
    workers = [
        oracle.Worker(f"worker-{i}", dice.getrandbits(64), BUCKET, keys=12) for i in range(6)
    ]
    restart_s = []
    for number in range(1, rounds + 1):
        oracle.run_load(store, workers, dice.uniform(0.1, 1.6))
        if number % FSCK_EVERY == 0:
            store.fsck()
        began = time.monotonic()
        store.start()
        restart_s.append(time.monotonic() - began)
        oracle.verify(store, workers)
        oracle.abort_uploads(store, BUCKET)
    answered = sum(worker.answered for worker in workers)
    broken = sum(worker.broken for worker in workers)
    figures.record(
        "kills under load",
        drives=drives,
        kills=rounds,
        answered=answered,
        broken_off=broken,
        restart_s_mean=round(sum(restart_s) / len(restart_s), 2),
        restart_s_max=round(max(restart_s), 2),
    )
    assert answered > rounds * 5, "hardly any load: the campaign proves nothing"
    assert broken > rounds / 2, "hardly any request was under way at a kill"
    store.stop()
    store.fsck()
    store.start()
    oracle.verify(store, workers)
    store.stop()


def test_one_drive_survives_kills_under_load(make_store):
    campaign(make_store, drives=1, rounds=ROUNDS)


def test_three_drives_survive_kills_under_load(make_store):
    campaign(make_store, drives=3, rounds=max(ROUNDS // 2, 1))


def test_the_index_is_rebuilt_from_the_log_alone(own_store):
    dice = random.Random(SEED)
    own_store.client().create_bucket(Bucket=BUCKET)
    workers = [oracle.Worker(f"worker-{i}", dice.getrandbits(64), BUCKET, 12) for i in range(3)]
    oracle.run_load(own_store, workers, 1.0)
    own_store.run("index", "rebuild", "DIRS")
    own_store.fsck()
    own_store.start()
    oracle.verify(own_store, workers)


def test_the_oracle_notices_a_lost_and_a_wrong_write(own_store):
    """The test of the test: without these failures the campaign would prove nothing."""
    s3 = own_store.client()
    s3.create_bucket(Bucket=BUCKET)
    worker = oracle.Worker("worker", 1, BUCKET, keys=2)
    kept, spoiled = worker.possible
    for key in (kept, spoiled):
        worker.put(s3, key, 1000)
    oracle.verify(own_store, [worker])
    for spoil in (
        lambda: s3.delete_object(Bucket=BUCKET, Key=spoiled),
        lambda: s3.put_object(Bucket=BUCKET, Key=spoiled, Body=b"x" * 1000),
        lambda: s3.put_object(Bucket=BUCKET, Key="stranger", Body=b""),
    ):
        spoil()
        try:
            oracle.verify(own_store, [worker])
        except AssertionError:
            worker.put(s3, spoiled, 1000)
        else:
            raise AssertionError("the oracle noticed nothing")
