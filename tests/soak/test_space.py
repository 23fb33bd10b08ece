"""Bytes on six drives (4+2) for each byte stored, by `du` after a clean stop.

COFFER_SPACE_OBJECTS says how many small objects, COFFER_SPACE_LARGE_GIB how much of large ones
(the campaign: a million, 20).
"""

import os
import subprocess

import pytest

import figures

OBJECTS = int(os.environ.get("COFFER_SPACE_OBJECTS", "20000"))
LARGE_GIB = float(os.environ.get("COFFER_SPACE_LARGE_GIB", "0.5"))
LARGE_OBJECT_BYTES = 64 << 20


def used_bytes(store) -> int:
    """What the data directories take, the index among them."""
    done = subprocess.run(
        ["du", "--block-size=1", "--summarize", "--total", *store.drives],
        capture_output=True, text=True, check=True,
    )
    return int(done.stdout.splitlines()[-1].split()[0])


def ratio(store, load, stored_bytes: int) -> float:
    empty = used_bytes(store)
    figures_of_load = store.bench("put", *load, "--payload", "unsigned")
    store.stop()
    used = used_bytes(store)
    each = used / stored_bytes
    put = figures_of_load["operations"][0]
    figures.record(
        "space " + figures_of_load["size"],
        objects=put["count"],
        stored_mb=round(stored_bytes / 1e6),
        used_mb=round(used / 1e6),
        when_empty_mb=round(empty / 1e6),
        ratio=round(each, 3),
        puts_per_s=round(put["per_second"]),
    )
    store.fsck()
    return each


@pytest.mark.parametrize("size, most", [(1024, 2.7), (4096, 1.95)])
def test_small_objects(make_store, size, most):
    store = make_store(drives=6)
    load = ["--size", str(size), "-c", "64", "-n", str(OBJECTS)]
    assert ratio(store, load, OBJECTS * size) <= most


def test_large_objects(make_store):
    store = make_store(drives=6)
    count = max(round(LARGE_GIB * (1 << 30) / LARGE_OBJECT_BYTES), 1)
    load = ["--size", str(LARGE_OBJECT_BYTES), "-c", "4", "-n", str(count)]
    assert ratio(store, load, count * LARGE_OBJECT_BYTES) <= 1.55
