"""An hour of concurrent clients over kills, pauses and lost drives: linearisable for each key.

COFFER_HISTORY_SECONDS says for how long with six drives; with one drive it is a sixth of that.
"""

from history_campaign import SECONDS, assert_worth_something, campaign

EVERY_S = (5, 15)


def test_six_drives_stay_linearisable(make_store, folder):
    store, shared, nemesis = campaign(make_store, folder, 6, SECONDS, EVERY_S)
    assert_worth_something(shared, nemesis, SECONDS)
    store.fsck()


def test_one_drive_stays_linearisable(make_store, folder):
    seconds = max(SECONDS / 6, 60)
    store, shared, nemesis = campaign(make_store, folder, 1, seconds, EVERY_S)
    assert_worth_something(shared, nemesis, seconds)
    store.fsck()
