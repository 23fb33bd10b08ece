"""Concurrent clients, a nemesis, and the check of what the clients saw.

COFFER_HISTORY_SECONDS says for how long (the campaign in tests/soak: an hour),
COFFER_HISTORY_SEED with which random choices. The threads' own order is not repeatable: a history
that is refused is kept, with the command that checks it again.
"""

import os
import random
import time

import figures
import history
from nemesis import Nemesis

SECONDS = float(os.environ.get("COFFER_HISTORY_SECONDS", "7"))
SEED = int(os.environ.get("COFFER_HISTORY_SEED", "0")) or random.SystemRandom().getrandbits(32)


def campaign(store, folder, seconds: float, every_s, clients: int = 14, fs=None, versioned=False):
    """Runs the clients and the nemesis, and checks what the clients saw, and the stopped store.
    `versioned`: in a bucket that keeps versions, none of which may be missing at the end."""
    print(f"seed {SEED}")
    drives = len(store.drives)
    dice = random.Random(SEED + drives)
    path = folder / "history.jsonl"
    shared = history.shared_for(store, path, f"history-{drives}", versioned=versioned)
    workers = [history.Client(shared, i + 1, dice.getrandbits(64)) for i in range(clients)]
    lost_max = 2 if drives == 6 else 0
    pause_s = (0.2, min(3.0, every_s[0]))
    nemesis = Nemesis(store, shared, dice.getrandbits(64), every_s, lost_max, pause_s, fs)
    history.work(shared, workers, nemesis, seconds)
    kept = []

    def look():
        history.Client(shared, 0, 0).sweep()
        if versioned:
            kept.extend(history.versions_in(store, shared.bucket))

    nemesis.end(look)
    shared.close()

    began = time.monotonic()
    accepted, said = history.check(shared.path)
    requests = sum(n for op, n in shared.counts.items() if not op.startswith(("answered", "unk")))
    figures.record(
        "linearisable history" if accepted else "history that is NOT linearisable",
        drives=drives,
        seconds=round(seconds),
        requests=requests,
        requests_per_s=round(requests / seconds),
        unknown=shared.counts["unknown"],
        **{name.replace(" ", "_"): count for name, count in sorted(nemesis.counts.items())},
        restart_s_max=round(max(nemesis.restart_s), 2),
        check_s=round(time.monotonic() - began, 1),
        history_mb=round(shared.path.stat().st_size / 1e6, 1),
    )
    print(dict(shared.counts))
    print(said)
    assert accepted, f"{said}\nagain: {history.checker()} check-history {shared.path}"
    assert_worth_something(shared, nemesis, seconds)
    if versioned:
        history.assert_kept(path, *kept)
    store.fsck()


def assert_worth_something(shared, nemesis, seconds: float):
    """A run in which little happened proves little."""
    assert nemesis.counts["kills"] >= 2, nemesis.counts
    assert shared.counts["unknown"] > 0, "no request was under way at a kill"
    assert shared.counts["get"] > 10 * seconds, "hardly any load"
    often = ("get", "put", "put if", "delete", "list")
    rare = ("delete if", "copy", "complete", "abort")
    # In few requests, as on a slow machine, what is rare need not come.
    for op in often + (rare if shared.counts.total() > 1000 else ()):
        assert shared.counts[op] > 0, f"no {op} was recorded"
