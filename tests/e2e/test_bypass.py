"""The bypass search finds nobody who is let in, and everybody who was let in on purpose.

COFFER_BYPASS_SHARE_PERCENT says how much of the matrix is searched (the campaign: all of it).
"""

import os

import pytest

import figures
from bypass import permissions, tricks
from bypass.scene import Scene
from bypass.search import LET_IN, Search, Tricks, controls, controls_of_people
from running import Store

#: Every how-manieth row is sent.
PARTS = round(100 / int(os.environ.get("COFFER_BYPASS_SHARE_PERCENT", "20")))


@pytest.fixture
def make_scene(make_store):
    def make(planted=None, planted_in_bucket=()) -> Scene:
        return Scene(make_store(flags=["--domain", tricks.DOMAIN]), planted, planted_in_bucket)

    return make


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A scene that is attacked by all tests of this module that find nothing."""
    store = Store(tmp_path_factory.mktemp("bypass"), flags=["--domain", tricks.DOMAIN]).start()
    yield Scene(store)
    store.assert_alive()
    store.kill()


def closed(report, least: int = 40):
    """Prints the report, which must be without any finding."""
    print(report)
    figures.record("bypass", seconds=round(report.seconds, 1), **report.counts())
    assert report.rows["ok"] >= least
    assert not report.offending, str(report)


def test_every_operation_has_its_line_in_the_table(scene):
    of_s3 = {operation.name for operation in scene.operations if operation.service == "s3"}
    assert of_s3 == set(permissions.S3)


def test_nobody_is_let_in_who_should_not_be(scene):
    closed(Search(scene, PARTS).run())


def test_no_trick_gets_anybody_in(scene):
    closed(Tricks(scene).run())


def test_who_has_what_is_needed_is_not_kept_out(scene):
    closed(controls(scene))


def test_who_may_change_people_is_not_kept_out(scene):
    parts = 2 * PARTS - 1
    closed(controls_of_people(scene, parts), least=60 // parts)


def test_a_planted_allow_is_found(make_scene):
    """Somebody who should have nothing may read: exactly that is found, and nothing else."""

    def planted(name, statements):
        extra = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::vault/*"}
        return [*statements, extra] if name == "pauper" else statements

    scene = make_scene(planted)
    found = Search(scene).attack_all(
        ["s3:GetObject", "s3:HeadObject", "s3:PutObject", "s3:CopyObject", "s3:ListObjects"]
    )
    assert {row.key for row in found.offending} == {
        ("s3:GetObject", "who may do nothing"),
        ("s3:GetObject", "a session of who may do nothing"),
        ("s3:HeadObject", "who may do nothing"),
        ("s3:HeadObject", "a session of who may do nothing"),
    }
    assert {row.verdict for row in found.offending} == {LET_IN}
    line = str(found).splitlines()
    assert line[0].startswith("LET IN: s3:GetObject, who may do nothing: 200")
    assert line[1].lstrip().startswith("curl ") and scene.endpoint in line[1]


def test_a_bucket_that_everybody_may_read_is_found(make_scene):
    """Everybody may read by the bucket's policy: all are found whom nothing else keeps out."""
    everybody = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::vault/*",
    }
    scene = make_scene(planted_in_bucket=[everybody])
    found = Search(scene).attack_all(["s3:GetObject", "s3:ListObjects", "s3:DeleteObject"])
    assert {row.operation for row in found.offending} == {"s3:GetObject"}
    assert {row.verdict for row in found.offending} == {LET_IN}
    # Those with a wrong signature are still refused, and those whom a deny, a boundary or a
    # session keeps out.
    kinds = (
        "anonymous",
        "who may do nothing",
        "a session of who may do nothing",
        "no allow (",
        "allow ",
    )
    let_in = {row.caller for row in found.offending}
    strangers = let_in & set(scene.foreigners)
    assert all(name.startswith(kinds) for name in let_in - strangers), let_in
    assert len(strangers) == len(scene.foreigners) and len(let_in) > 15, let_in
    assert {"anonymous", "who may do nothing", "no allow (s3:GetObject on the key)"} <= let_in


def test_a_planted_allow_of_writes_is_found_by_its_effect(make_scene):
    """Somebody may delete one of two keys, which the reply's status does not show."""

    def planted(name, statements):
        extra = {
            "Effect": "Allow",
            "Action": "s3:DeleteObject",
            "Resource": "arn:aws:s3:::vault/*silver",
        }
        return [*statements, extra] if name == "pauper" else statements

    scene = make_scene(planted)
    found = Search(scene).attack_all(["s3:DeleteObject", "s3:DeleteObjects", "s3:PutObject"])
    assert {row.key for row in found.offending} == {
        ("s3:DeleteObjects", "who may do nothing"),
        ("s3:DeleteObjects", "a session of who may do nothing"),
    }
    assert all("list-type" in row.why for row in found.offending)


def test_a_planted_lobbyist_gets_at_the_vault_by_tricks(make_scene):
    def planted(name, statements):
        extra = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::vault/*"}
        return [*statements, extra] if name == "lobbyist" else statements

    search = Tricks(make_scene(planted))
    search.report.enough = 10
    found = search.run()
    assert len(found.offending) >= 10
    assert {row.verdict for row in found.offending} == {LET_IN}
    assert "lobbyist: GET /vault/%66ort-knox/gold" in {row.caller for row in found.offending}
