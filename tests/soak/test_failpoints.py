"""kill -9 at every named point, on one drive and on 2+1 and 4+2, two stores at a time.

COFFER_KILLS says how many; never fewer than there are points with their scenes, each of which has
to be reached on each set of drives. COFFER_KILLS_SEED repeats the choices, not the timing.
"""

import multiprocessing
import os
import random
import signal
import sys
import time
import traceback

import figures
import kills

KILLS = int(os.environ.get("COFFER_KILLS", "1000"))
SEED = int(os.environ.get("COFFER_KILLS_SEED", "0")) or random.SystemRandom().getrandbits(32)
LAYOUTS = [1, 3, 6]
# Each layout's kills are cut into so many pieces, done side by side.
PIECES = 2


def end_cleanly():
    """The others are ended when a piece fails: each takes its server with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("another piece failed"))


def run_piece(piece) -> dict:
    """A piece in a process of its own; a failure is shown when it happens."""
    place, drives, seed, *_ = piece
    try:
        return kills.campaign(*piece)
    except Exception:
        print(f"\nfailed: {place.name}, {drives} drives, seed {seed}", flush=True)
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        raise


def test_a_store_survives_dying_at_every_point(folder, monkeypatch):
    monkeypatch.setenv("COFFER_BIN", str(kills.failpoint_binary()))
    print(f"seed {SEED}")
    found = kills.points()
    began = time.monotonic()
    pieces = []
    for drives in LAYOUTS:
        wanted = kills.goals(drives, found)
        for piece in range(PIECES):
            place = folder / f"{drives}-{piece}"
            share = -(-KILLS // (len(LAYOUTS) * PIECES))
            pieces.append((place, drives, SEED + len(pieces), share, wanted[piece::PIECES]))
    processes = multiprocessing.get_context("spawn")
    with processes.Pool(2, initializer=end_cleanly, maxtasksperchild=1) as pool:
        # In the order in which they end: the first failure ends all.
        results = list(pool.imap_unordered(run_piece, pieces))
    reached = {(r["drives"], name, scene) for r in results for name, scene, _ in r["reached"]}
    for drives in LAYOUTS:
        ours = [r for r in results if r["drives"] == drives]
        total = {
            name: sum(r[name] for r in ours) for name in ("kills", "missed", "answered", "fscks")
        }
        figures.record("kills at named points", drives=drives, **total)
        lacking = [goal for goal in kills.goals(drives, found) if (drives, *goal) not in reached]
        assert not lacking, f"never reached on {drives} drives: {lacking}"
    total = sum(r["kills"] for r in results)
    figures.record(
        "kills at named points, all",
        kills=total,
        points=len({name for _, name, _ in reached}),
        of_points=len(found),
        seconds=round(time.monotonic() - began),
        answered=sum(r["answered"] for r in results),
        losses=0,
    )
    assert total >= KILLS
    assert {name for _, name, _ in reached} == found.keys()
