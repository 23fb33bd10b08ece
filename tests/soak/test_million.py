"""Restart and listings with a million objects.

COFFER_MILLION says how many (the campaign: a million).
"""

import os
import statistics
import time

import pytest

import figures

OBJECTS = int(os.environ.get("COFFER_MILLION", "20000"))
PREFIXES = 4
BUCKET = "coffer-bench"


@pytest.fixture(scope="module")
def full_store(tmp_path_factory):
    """A store whose bucket has the objects below few prefixes."""
    from running import Store

    store = Store(tmp_path_factory.mktemp("million")).start()
    for number in range(PREFIXES):
        put = store.bench(
            "put", "--size", "256B", "-c", "64", "-n", str(OBJECTS // PREFIXES),
            "--prefix", f"prefix-{number}/", "--payload", "unsigned",
        )["operations"][0]
        print(f"prefix {number}: {put['count']} objects, {put['per_second']:.0f}/s")
    yield store
    store.kill()


def test_a_restart_after_a_kill_takes_under_2_s(full_store):
    took = []
    for _ in range(3):
        full_store.client().put_object(Bucket=BUCKET, Key=f"last-{len(took)}", Body=b"x")
        full_store.kill()
        began = time.monotonic()
        full_store.start()
        s3 = full_store.client()
        assert s3.get_object(Bucket=BUCKET, Key=f"last-{len(took)}")["Body"].read() == b"x"
        took.append(time.monotonic() - began)
    figures.record("restart after a kill", objects=OBJECTS, seconds=[round(t, 2) for t in took])
    assert statistics.median(took) < 2


def test_pages_of_1000_by_prefix(full_store):
    figures_of_load = full_store.bench(
        "list", "-c", "1", "-n", "200", "--prefix", "prefix-1/", "--objects", "0", "--no-prepare"
    )
    page = figures_of_load["operations"][0]
    assert page["keys"] >= 1000 * min(200, OBJECTS // PREFIXES // 1000)
    figures.record(
        "page of 1,000 by prefix", objects=OBJECTS,
        p50_ms=page["latency_us"]["p50"] / 1e3, p99_ms=page["latency_us"]["p99"] / 1e3,
        server_cpu_ms=round(figures_of_load["server"]["cpu_us_per_request"] / 1e3, 2),
    )
    # The client's time is more than the server's.
    assert page["latency_us"]["p50"] < 10_000


def test_a_delimiter_over_few_prefixes(full_store):
    figures_of_load = full_store.bench(
        "list", "-c", "1", "-n", "200", "--prefix", "", "--delimiter", "/", "--objects", "0",
        "--no-prepare",
    )
    page = figures_of_load["operations"][0]
    assert page["keys"] >= PREFIXES * 200
    figures.record(
        "delimiter over few prefixes", objects=OBJECTS,
        p50_ms=page["latency_us"]["p50"] / 1e3, p99_ms=page["latency_us"]["p99"] / 1e3,
        server_cpu_ms=round(figures_of_load["server"]["cpu_us_per_request"] / 1e3, 2),
    )
    assert page["latency_us"]["p50"] < 10_000


def test_a_million_deletes_in_front_do_not_slow_the_first_page(full_store):
    full_store.bench(
        "delete", "-c", "64", "--objects", str(OBJECTS // PREFIXES), "--no-prepare",
        "--prefix", "prefix-0/",
    )
    figures_of_load = full_store.bench(
        "list", "-c", "1", "-n", "50", "--prefix", "prefix-", "--objects", "0", "--no-prepare"
    )
    page = figures_of_load["operations"][0]
    figures.record(
        "first pages behind deletes", deleted=OBJECTS // PREFIXES,
        p50_ms=page["latency_us"]["p50"] / 1e3, max_ms=page["latency_us"]["max"] / 1e3,
    )
    assert page["latency_us"]["p50"] < 10_000


def test_every_object_is_listed_once(full_store):
    s3 = full_store.client()
    last, count = "", 0
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="prefix-1/")
    for page in pages:
        for entry in page["Contents"]:
            assert entry["Key"] > last
            last = entry["Key"]
            count += 1
    assert count == OBJECTS // PREFIXES
