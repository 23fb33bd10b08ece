"""Listings, starts, memory, absent keys and a mixed load with ten million objects.

COFFER_TEN_MILLION says how many (the campaign: ten million). COFFER_TEN_MILLION_STORE names a
directory that is kept: its store is filled once, and used again by later runs.
"""

import http.client
import json
import os
import re
import statistics
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import figures
from running import ACCESS_KEY, REGION, SECRET_KEY, Store, binary

OBJECTS = int(os.environ.get("COFFER_TEN_MILLION", "10000"))
KEPT = os.environ.get("COFFER_TEN_MILLION_STORE")
#: Of the mixed load, in all; a tenth of it is a window.
MIXED_SECONDS = float(os.environ.get("COFFER_TEN_MILLION_MIXED_SECONDS", "3"))
IS_CAMPAIGN = OBJECTS >= 1_000_000
PREFIXES = 10
EACH = OBJECTS // PREFIXES
BUCKET = "coffer-bench"
SMALL_BUCKET, SMALL = "ten-thousand", 10_000 if IS_CAMPAIGN else 2_000
#: First pages asked for one after the other.
PAGES = 300 if IS_CAMPAIGN else 20


def fill(store, bucket, objects):
    """Puts the objects below ten prefixes, if the bucket has none."""
    names = [found["Name"] for found in store.client().list_buckets()["Buckets"]]
    if bucket in names:
        return
    for number in range(PREFIXES):
        store.bench(
            "put", "--size", "64B", "-c", "64", "-n", str(objects // PREFIXES),
            "--bucket", bucket, "--prefix", f"prefix-{number}/", "--payload", "unsigned",
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store whose bucket has the objects below ten prefixes, and a bucket of few beside it."""
    store = Store(Path(KEPT) if KEPT else tmp_path_factory.mktemp("ten-million")).start()
    fill(store, BUCKET, OBJECTS)
    fill(store, SMALL_BUCKET, SMALL)
    yield store
    store.kill()


class MemoryPeak:
    """The highest anonymous memory of a process while it is watched."""

    def __init__(self, pid):
        self.pid, self.peak, self._stop = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def now(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.M)[1]) * 1024

    def _watch(self):
        while not self._stop.is_set():
            self.peak = max(self.peak, self.now())
            self._stop.wait(0.1)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.peak = max(self.peak, self.now())


class Pages:
    """First pages of a listing over one connection, timed around the bare request."""

    def __init__(self, store, bucket, **question):
        parameters = {"Bucket": bucket, **question}
        url = urlsplit(store.client().generate_presigned_url("list_objects_v2", parameters))
        self.target = f"{url.path}?{url.query}"
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)

    def ask(self) -> tuple:
        """Milliseconds, and the answer."""
        began = time.perf_counter()
        self.connection.request("GET", self.target)
        reply = self.connection.getresponse()
        body = reply.read()
        took = (time.perf_counter() - began) * 1e3
        assert reply.status == 200, body
        return took, body


def percentile(times, share) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def first_pages(store, what, **question):
    """Interleaved first pages of the large and of the small bucket: p50 and p99 of both."""
    large, small = Pages(store, BUCKET, **question), Pages(store, SMALL_BUCKET, **question)
    times = {"large": [], "small": []}
    for _ in range(3):
        large.ask(), small.ask()
    for _ in range(PAGES):
        times["large"].append(large.ask()[0])
        times["small"].append(small.ask()[0])
    shown = {
        f"{which}_p{int(share * 100)}_ms": round(percentile(took, share), 2)
        for which, took in times.items()
        for share in (0.5, 0.99)
    }
    figures.record(f"first page, {what}", objects=OBJECTS, **shown)
    if IS_CAMPAIGN:
        assert shown["large_p50_ms"] < 5
        assert shown["large_p50_ms"] < 2 * shown["small_p50_ms"] + 1
    return shown


def test_first_pages_do_not_depend_on_the_number_of_keys(store):
    first_pages(store, "flat")
    first_pages(store, "delimited", Delimiter="/")
    first_pages(store, "below a prefix", Prefix="prefix-7/")


def test_all_keys_are_listed_in_order_and_fast(store):
    pages = -(-EACH // 1000)
    with MemoryPeak(store.pid) as memory:
        load = store.bench(
            "list", "-c", "1", "-n", str(pages), "--prefix", "prefix-1/", "--objects", "0",
            "--no-prepare",
        )
    page = load["operations"][0]
    assert page["failed"] == 0
    # Each key once: the pages up to the last truncated one together.
    assert page["keys"] == EACH
    figures.record(
        "listed in sequence", objects=OBJECTS,
        keys_per_s=round(page["keys_per_second"]),
        p50_ms=page["latency_us"]["p50"] / 1e3,
        server_cpu_us_per_key=round(
            load["server"]["cpu_us_per_request"] * page["count"] / page["keys"], 2
        ),
        peak_anonymous_mb=round(memory.peak / 1e6),
    )


def cold(store):
    """Takes the store's files out of the page cache, as after a power cut."""
    for path in store.root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def timed_start(store, key) -> float:
    """Seconds until a starting program listens; then the key is there."""
    began = time.monotonic()
    store.start()
    took = time.monotonic() - began
    assert store.client().head_object(Bucket=BUCKET, Key=key)["ContentLength"] > 0
    return took


def test_starts(store):
    store.stop(timeout_s=600)
    took = {"clean": timed_start(store, f"prefix-5/{0:010}")}
    late = min(OBJECTS // 100, 8_000)
    for what in ("killed", "power_cut"):
        # So that there is something to recover: half of what the index may lag behind.
        store.bench(
            "put", "--size", "16KiB", "-c", "64", "-n", str(late),
            "--prefix", f"late-{what}/", "--payload", "unsigned",
        )
        store.kill()
        if what == "power_cut":
            cold(store)
        took[what] = timed_start(store, f"late-{what}/{late - 1:010}")
    shown = {f"{what}_s": round(seconds, 2) for what, seconds in took.items()}
    figures.record("starts", objects=OBJECTS, **shown)
    if IS_CAMPAIGN:
        assert took["clean"] < 2
        assert took["killed"] < 6
        assert took["power_cut"] < 20


def test_memory(store):
    """What an object costs, after a load that fills the caches."""
    with MemoryPeak(store.pid) as memory:
        for number in (2, 8):
            store.bench(
                "get", "-c", "64", "-n", str(min(OBJECTS, 200_000)), "--size", "64B",
                "--prefix", f"prefix-{number}/", "--objects", str(EACH), "--no-prepare",
            )
        store.bench(
            "put", "--size", "64B", "-c", "64", "-n", str(min(OBJECTS // 10, 100_000)),
            "--prefix", "memory/", "--payload", "unsigned", "--clean",
        )
    figures.record("memory", objects=OBJECTS, peak_anonymous_mb=round(memory.peak / 1e6, 1))
    assert memory.peak < 512 << 20
    # The caches (40 MiB), tables in memory (16 MiB), and a server without objects under such a
    # load, with what glibc keeps.
    assert memory.peak < (160 << 20) + 16 * OBJECTS


def get_load(store, seconds, prefix, objects, workers):
    """A `bench get` in the background; of absent keys, too."""
    path = store.root / f"get-{prefix.strip('/')}-{workers}.json"
    path.unlink(missing_ok=True)
    command = [
        binary(), "bench", "get", "--endpoint", store.endpoint, "--region", REGION,
        "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY, "-c", str(workers),
        "-d", f"{seconds}s", "--size", "64B", "--prefix", prefix, "--objects", str(objects),
        "--no-prepare", "--json", path,
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([str(part) for part in command], **quiet), path


def index_counts(store) -> dict:
    text = store.admin_get("/metrics")
    found = re.findall(
        r'^coffer_index_(gets|filter|blocks)_total\{\w+="([^"]+)"\} (\S+)', text, re.M
    )
    return {f"{family} {label}": int(float(value)) for family, label, value in found}


def test_absent_keys_are_answered_by_the_filter(store):
    """Random absent keys: what they reach in the index, and what they do to keys that are there."""
    seconds, hot = (10, 1000) if IS_CAMPAIGN else (1, 100)
    p99 = {}
    for what in ("present", "absent", "present", "absent"):
        other = ("prefix-6/", EACH) if what == "present" else ("absent/", 1_000_000_000)
        before = index_counts(store)
        loads = [
            get_load(store, seconds, "prefix-4/", hot, 16),
            get_load(store, seconds, *other, 16),
        ]
        for process, _ in loads:
            process.wait(timeout=seconds + 60)
        after = index_counts(store)
        load = json.loads(loads[0][1].read_text())["operations"][0]
        assert load["failed"] == 0
        p99.setdefault(what, []).append(load["latency_us"]["p99"])
        grown = {name: after[name] - before[name] for name in after}
        if what == "absent":
            misses = json.loads(loads[1][1].read_text())["operations"][0]["failed"]
            assert misses > 100
            blocks = grown["blocks cache"] + grown["blocks file"] + grown["blocks directory"]
            figures.record(
                "absent keys", objects=OBJECTS, absent=misses, hot_gets=load["count"],
                answered_by_hot_rows=grown["gets hot"], filters_said_absent=grown["filter absent"],
                filter_errors=grown["filter perhaps, wrongly"], blocks_looked_into=blocks,
            )
            # Beside the few that the filter is wrong about only the first look at each hot key.
            assert grown["filter perhaps, wrongly"] < misses / 20
            assert blocks < misses / 20 + 10 * hot
    figures.record(
        "hot keys", objects=OBJECTS, p99_us_beside_present=p99["present"],
        p99_us_beside_absent=p99["absent"],
    )


def drive_probe(store) -> float:
    """Writes of 4 KiB a second that the bare drive makes durable for 64 writers, the best way."""
    path = store.root / "probe.json"
    seconds = "1s" if IS_CAMPAIGN else "50ms"
    flags = ["-d", seconds, "-c", "64", "--stream", "1MiB", "--json", path]
    store.run("bench", "drive", *flags, store.root)
    return max(way["per_second"] for way in json.loads(path.read_text())["commits"])


def longest_steps(store) -> dict:
    """Milliseconds, by the step of a commit."""
    name = r'^coffer_commit_step_longest_seconds\{step="([^"]+)"\} (\S+)'
    found = re.findall(name, store.admin_get("/metrics"), re.M)
    return {step: round(float(seconds) * 1e3, 1) for step, seconds in found}


def test_a_mixed_load_does_not_decay(store):
    """Windows of a mixed load, each divided by a probe of the bare drive right after it."""
    windows, seconds = (10, MIXED_SECONDS / 10) if IS_CAMPAIGN else (2, MIXED_SECONDS / 2)
    background = ("coffer_checkpoints_total", "coffer_scrub_bytes_total", "coffer_index_bytes")
    before = {name: store.metric(name) for name in background}
    shares, rates, longest = [], [], {}
    for window in range(windows):
        load = store.bench(
            "mixed", "-c", "64", "-d", f"{int(seconds * 1000)}ms", "--size", "4KiB",
            "--prefix", f"mixed-{window}/", "--objects", "10000" if IS_CAMPAIGN else "500",
            "--page", "100", "--payload", "unsigned",
        )
        for operation in load["operations"]:
            assert operation["failed"] == 0, operation
            at = operation["name"]
            longest[at] = max(longest.get(at, 0), operation["latency_us"]["max"] / 1e3)
        rates.append(sum(operation["per_second"] for operation in load["operations"]))
        shares.append(rates[-1] / drive_probe(store))
    after = {name: store.metric(name) - before[name] for name in background}
    relative = [round(share / shares[0], 2) for share in shares]
    figures.record(
        "mixed load", objects=OBJECTS, seconds=windows * seconds,
        per_second=[round(rate) for rate in rates], against_the_first_window=relative,
        longest_ms=longest, longest_steps_ms=longest_steps(store), meanwhile=after,
    )
    if IS_CAMPAIGN:
        assert statistics.median(relative[1:]) > 0.6


def test_deletes_at_the_front_do_not_slow_the_first_page(store):
    pages, during = Pages(store, BUCKET), []
    deleting = threading.Event()

    def watch():
        while True:
            during.append(pages.ask()[0])
            if deleting.wait(0.25):
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        load = store.bench(
            "delete", "-c", "64", "--objects", str(EACH), "--no-prepare", "--prefix", "prefix-0/",
        )["operations"][0]
    finally:
        deleting.set()
        watcher.join()
    assert load["failed"] == 0
    took, body = pages.ask()
    assert b"<Key>prefix-0/" not in body and b"<Key>" in body
    right_after, began = took, time.monotonic()
    # What is deleted is merged away once no more comes.
    quick = 0
    while quick < 10:
        took = pages.ask()[0]
        quick = quick + 1 if took < (5 if IS_CAMPAIGN else 100) else 0
        assert time.monotonic() - began < 300, f"a first page still takes {took} ms"
    figures.record(
        "a tenth deleted at the front", deleted=load["count"],
        deletes_per_s=round(load["per_second"]), pages_during=len(during),
        during_p50_ms=round(percentile(during, 0.5), 1), during_longest_ms=round(max(during), 1),
        right_after_ms=round(right_after, 1), quick_after_s=round(time.monotonic() - began, 1),
    )
    first_pages(store, "flat, behind deletes")
    first_pages(store, "delimited, behind deletes", Delimiter="/")
