"""Power cuts of the real server, many.

COFFER_POWER_STATES says how many states (the campaign: 1,000), COFFER_POWER_SEED with which random
choices. Every second life begins with a state that a cut left of the one before it, so that cuts
during the recovery from a cut are among them.
"""

import os
import random
import shutil
import time
from collections import Counter

import faultfs
import figures
import power

STATES = int(os.environ.get("COFFER_POWER_STATES", "60"))
SEED = int(os.environ.get("COFFER_POWER_SEED", "0")) or random.SystemRandom().getrandbits(32)
STATES_A_LIFE = 40
DRIVES = (1, 3, 6)


def test_what_was_answered_outlives_every_power_cut(folder):
    faultfs.required()
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    place = power.scratch(folder)
    place.mkdir(exist_ok=True)
    began = time.monotonic()
    total, phases, failures, checking_s, number = Counter(), Counter(), [], 0.0, 0
    after = dict.fromkeys(DRIVES)
    while total["states"] < STATES:
        drives = DRIVES[number % len(DRIVES)]
        here = place / f"life{number}"
        life = power.Life(here, drives, dice.getrandbits(63), seconds=1.0, after=after[drives])
        if after[drives]:
            shutil.rmtree(after[drives].folder)
            after[drives], total["lives_after_a_cut"] = None, total["lives_after_a_cut"] + 1
        try:
            checker = power.Checker(life, place / "states")
            count = min(STATES_A_LIFE, STATES - total["states"])
            started = time.monotonic()
            checked = checker.check_all(life.choose(count))
            checking_s += time.monotonic() - started
            failures += checker.failures
            if number // len(DRIVES) % 2 == 0:
                state = dice.choice(checked)
                after[drives] = power.After(place / f"after{number}", state)
                checker.build(state, after[drives].folder)
        finally:
            life.end()
        shutil.rmtree(here, ignore_errors=True)
        phases.update(state.phase for state in checked)
        total["states"] += len(checked)
        total["open_writes"] += sum(state.found["open_writes"] for state in checked)
        total["open_names"] += sum(state.found["open_names"] for state in checked)
        total["with_something_open"] += sum(
            state.found["open_writes"] + state.found["open_names"] > 0 for state in checked
        )
        number += 1
        print(f"{total['states']} states, {len(failures)} lost, {drives} drives", flush=True)
        assert len(failures) < 10, "losses enough"
    seconds = time.monotonic() - began
    figures.record(
        "power cuts",
        seed=SEED,
        lives=number,
        **total,
        lost=len(failures),
        phases=dict(phases),
        seconds=round(seconds),
        states_a_second=round(total["states"] / checking_s, 1),
    )
    assert not failures, [f"{failure}: {kept}" for _, kept, failure in failures]
    assert total["with_something_open"] > STATES / 5, "hardly any cut left anything open"
    shutil.rmtree(place, ignore_errors=True)
