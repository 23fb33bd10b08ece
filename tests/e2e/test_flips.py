"""Bits flip in the files of up to two of six drives (4+2) under reading clients; `coffer scrub`
restores every file to the bit, and nobody reads a wrong byte.

COFFER_FLIPS says how many bits are flipped in all (the campaign: 10,000), COFFER_FLIPS_BATCH how
many between two scrubs. The index is not among the files: it is made anew from these.
"""

import json
import os
import random
import time

import figures
from readers import Readers

FLIPS = int(os.environ.get("COFFER_FLIPS", "80"))
BATCH = int(os.environ.get("COFFER_FLIPS_BATCH", "40"))
BUCKET = "flips"
SIZES = [0, 1, 1000, 4096, 70_000, 300_000, 1 << 20, 3 << 20]


def sealed_files(drive):
    """Files of which every byte means something and none is written to any more, and superblocks."""
    for path in sorted(drive.iterdir()):
        if path.name.startswith("super.") or path.name.endswith(".cell"):
            if path.stat().st_size > 0:
                yield path


def contents_of(store) -> dict:
    return {path: path.read_bytes() for drive in store.drives for path in sealed_files(drive)}


def flip(path, dice):
    with open(path, "r+b") as file:
        # Half of them in what is small: superblocks and headers.
        size = path.stat().st_size
        at = dice.randrange(4096 if dice.random() < 0.3 else size)
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ (1 << dice.randrange(8))]))
        file.flush()
        os.fsync(file.fileno())


def scrub(store, check=True) -> dict:
    done = store.run("scrub", "--json", "DIRS", check=check)
    return json.loads(done.stdout)


def fill(store) -> dict:
    s3 = store.client()
    s3.create_bucket(Bucket=BUCKET)
    contents = {}
    for i in range(48):
        key, body = f"object/{i:03}", random.Random(i).randbytes(SIZES[i % len(SIZES)])
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        contents[key] = body
    return contents


def make(make_store):
    """A store at rest but for reads: nothing in the background heals before the scrub does."""
    store = make_store(drives=6, flags=["--scrub-mib-per-sec", "0"])
    contents = fill(store)
    # What was open is sealed by the stop, and what is made anew then holds no groups.
    store.stop()
    store.start()
    return store, contents


def test_flipped_bits_are_healed_under_readers(make_store):
    store, contents = make(make_store)
    before = contents_of(store)
    assert scrub(store)["found"] == 0
    dice = random.Random(int(os.environ.get("COFFER_FLIPS_SEED", "1")))
    flipped = healed = 0
    began = time.monotonic()
    readers = Readers(store, BUCKET, contents, 3)
    while flipped < FLIPS:
        for drive in dice.sample(store.drives, 2):
            files = [path for path in sealed_files(drive) if path in before]
            for _ in range(BATCH // 2):
                flip(dice.choice(files), dice)
                flipped += 1
        result = scrub(store)
        assert result["found"] == result["healed"], result
        healed += result["healed"]
        wrong = [str(path) for path, bytes_ in before.items() if path.read_bytes() != bytes_]
        assert not wrong, f"not restored: {wrong}; {result}"
        assert not readers.failures, readers.failures
    readers.end()
    assert readers.reads > 10, "hardly anything was read"
    status = store.status()
    assert sum(drive["damage_healed"] for drive in status["drives"]) >= healed
    assert status["scrub"]["totals"]["lost"] == 0 and not status["degraded"]
    assert store.metric("coffer_drive_damage_unhealable_total") == 0
    assert store.metric("coffer_scrub_age_seconds") >= 0
    figures.record(
        "flipped bits",
        flips=flipped,
        healed=healed,
        reads=readers.reads,
        seconds=round(time.monotonic() - began, 1),
    )
    store.stop()
    store.fsck()


def test_an_emptied_drive_is_filled_again(make_store):
    store, contents = make(make_store)
    before = contents_of(store)
    readers = Readers(store, BUCKET, contents, 3)
    for path in sealed_files(store.drives[2]):
        path.unlink()
    result = scrub(store)
    assert result["found"] == result["healed"] > 0, result
    readers.end()
    wrong = [str(path) for path, bytes_ in before.items() if path.read_bytes() != bytes_]
    assert not wrong, f"not restored: {wrong}; {result}"
    assert scrub(store)["found"] == 0
    store.stop()
    store.fsck()


def test_a_stopped_store_is_scrubbed_as_well(make_store):
    store, contents = make(make_store)
    store.stop()
    dice = random.Random(2)
    victims = [path for path in sealed_files(store.drives[1]) if path.name.endswith(".cell")]
    for path in victims:
        flip(path, dice)
    result = scrub(store)
    assert result["found"] == result["healed"] >= len(victims), result
    store.fsck()


def test_what_is_beyond_parity_is_told(make_store):
    store, contents = make(make_store)
    name = next(p.name for p in sealed_files(store.drives[0]) if p.name.startswith("bulk-"))
    for drive in store.drives[:3]:
        with open(drive / name, "r+b") as file:
            # In the first row's cells.
            file.seek(9000)
            byte = file.read(1)[0]
            file.seek(9000)
            file.write(bytes([byte ^ 1]))
    result = scrub(store, check=False)
    assert result["lost"] >= 3 and result["healed"] == 0, result
    s3 = store.client()
    for key, body in contents.items():
        try:
            data = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except Exception as refused:  # right: an error and no wrong byte
            print(f"{key}: {refused}")
            continue
        assert data == body, f"{key} has wrong bytes"


def wait_for(what, timeout_s=60):
    until = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < until, "it did not come to it"
        time.sleep(0.1)


def test_a_pass_goes_on_after_a_restart_and_its_age_is_always_known(make_store):
    store, _ = make(make_store)
    assert store.metric("coffer_scrub_age_seconds") >= 0
    assert store.status()["scrub"]["last_full_secs"] is None
    store.stop()
    store.flags = []
    store.start("--scrub-mib-per-sec", "1", "--scrub-pause-secs", "0")
    wait_for(lambda: ((store.status()["scrub"]["pass"] or {}).get("segments") or 0) >= 1)
    whole = store.status()["scrub"]["bytes_total"]
    store.stop()
    kept = store.drives[0] / "index" / "scrub.json"
    assert json.loads(kept.read_text())["reached"]
    store.start("--scrub-mib-per-sec", "1", "--scrub-pause-secs", "0")
    wait_for(lambda: store.status()["scrub"]["bytes_total"])
    assert store.status()["scrub"]["bytes_total"] < whole
    assert scrub(store)["found"] == 0
    assert json.loads(kept.read_text())["last_full"]
    store.stop()
    store.start("--scrub-mib-per-sec", "0", "--scrub-pause-secs", "3600")
    assert store.status()["scrub"]["last_full_secs"] is not None
    # It is disposable.
    store.stop()
    kept.write_text("{")
    store.start("--scrub-mib-per-sec", "0")
    assert store.status()["scrub"]["last_full_secs"] is None
    assert store.metric("coffer_scrub_age_seconds") >= 0
    store.stop()
    store.fsck()
