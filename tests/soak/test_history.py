"""An hour of concurrent clients over kills, pauses and lost drives: linearisable for each key.

COFFER_HISTORY_SECONDS says for how long with six drives. With six that stall it is a quarter of
that, with one drive a sixth.
"""

import faultfs
from history_campaign import SECONDS, campaign

EVERY_S = (5, 15)


def test_six_drives_stay_linearisable(make_store, folder):
    campaign(make_store(drives=6), folder, SECONDS, EVERY_S)


def test_six_drives_that_stall_stay_linearisable(make_store, folder):
    faultfs.required()
    fs = faultfs.FaultFs(folder / "fs", 6, journal=False)
    store = make_store(drives=6, start=False)
    store.drives = fs.data
    try:
        campaign(store.start(), folder, max(SECONDS / 4, 60), EVERY_S, fs=fs)
    finally:
        fs.clear()
        store.kill()
        fs.end()


def test_one_drive_stays_linearisable(make_store, folder):
    campaign(make_store(), folder, max(SECONDS / 6, 60), EVERY_S)
