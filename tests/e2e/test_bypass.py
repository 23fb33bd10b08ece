"""The bypass search finds nobody who is let in, and everybody who was let in on purpose.

COFFER_BYPASS_SHARE says which share of the matrix is searched, in percent; the campaign: 100.
"""

import os

import pytest

import figures
from bypass import permissions
from bypass.scene import Scene
from bypass.search import LET_IN, Search, controls

SHARE_PERCENT = int(os.environ.get("COFFER_BYPASS_SHARE_PERCENT", "100"))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    from running import Store

    store = Store(tmp_path_factory.mktemp("bypass")).start()
    yield Scene(store)
    store.assert_alive()
    store.kill()


def test_every_operation_has_a_row_in_the_table(scene):
    assert {operation.name for operation in scene.operations} == set(permissions.S3)


def test_nobody_is_let_in_who_should_not_be(scene):
    report = Search(scene, parts=max(1, round(100 / SHARE_PERCENT))).run()
    print(report)
    assert not report.offending, str(report)


def test_who_has_what_is_needed_is_not_kept_out(scene):
    report = controls(scene)
    print(report)
    assert not report.offending, str(report)
