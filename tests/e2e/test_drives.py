"""Drives that are missing, replaced, swapped, stale, copied, foreign or damaged, through the program.

Each test starts from a copy of one small store of three drives, 2+1.
"""

import json
import shutil
import subprocess

import pytest

from running import Store, binary

BUCKET = "drives"
FLAGS = ["--erasure", "2+1"]
SIZES = {"small": 100, "page": 5000, "inline": 150_000, "bulk": 600_000}


def body(name: str, size: int) -> bytes:
    pattern = (name + " ").encode()
    return (pattern * (size // len(pattern) + 1))[:size]


def write(s3, life: str):
    for name, size in SIZES.items():
        key = f"{life}/{name}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=body(key, size))


def check(s3, *lives):
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    assert len(listed) == len(lives) * len(SIZES)
    for life in lives:
        for name, size in SIZES.items():
            key = f"{life}/{name}"
            read = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            assert read == body(key, size), key


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A stopped store with a first life in it."""
    store = Store(tmp_path_factory.mktemp("drives") / "store", 3, FLAGS)
    store.start()
    store.client().create_bucket(Bucket=BUCKET)
    write(store.client(), "first")
    store.stop()
    return store


@pytest.fixture
def store(made, make_store):
    copy = make_store(drives=3, flags=FLAGS, start=False)
    shutil.copytree(made.root, copy.root, dirs_exist_ok=True)
    return copy


def refusal(store, *flags) -> str:
    """What the program says when it does not start; it must leave all drives as they were."""
    before = {drive: sizes(drive) for drive in store.drives}
    command = [binary(), "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    done = subprocess.run(
        [str(part) for part in [*command, *store.flags, *flags, *store.drives]],
        capture_output=True, text=True, env=store._environment(), cwd=store.root, timeout=120,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert {drive: sizes(drive) for drive in store.drives} == before
    return done.stderr


def sizes(drive) -> dict:
    """Names, sizes and superblocks; locks come and go, and an index may be looked into."""
    files = [p for p in drive.rglob("*") if p.is_file() and "index" not in p.parts]
    files = [p for p in files if p.name != "lock"]
    return {p.name: p.read_bytes() if p.name.startswith("super") else p.stat().st_size for p in files}


def notes(store) -> str:
    return store.log.read_text()


def damage(path, at: int = 60):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def empty(drive):
    shutil.rmtree(drive)
    drive.mkdir()


def drive_status(store, path, *flags) -> dict:
    status = store.status(*flags)
    return next(d for d in status["drives"] if d["path"] == str(path))


def test_an_empty_directory_takes_the_place_of_a_missing_drive(store):
    old = store.root / "old"
    shutil.copytree(store.drives[1], old)
    empty(store.drives[1])
    said = refusal(store)
    for word in ("1 of 3 drives", str(store.drives[1]), "--replace", "--degraded"):
        assert word in said, said
    store.start("--replace")
    assert "takes the place of" in notes(store)
    check(store.client(), "first")
    write(store.client(), "second")
    assert drive_status(store, store.drives[1])["state"] == "active"
    store.kill()
    # Not asked again, and the drive from before is out.
    store.start()
    check(store.client(), "first", "second")
    store.stop()
    new = store.drives[1].rename(store.root / "new")
    old.rename(store.drives[1])
    assert "former drive" in refusal(store)
    shutil.rmtree(store.drives[1])
    new.rename(store.drives[1])
    store.start()
    check(store.client(), "first", "second")


def test_a_lost_drive_with_an_empty_directory_is_told_and_the_store_starts(store):
    away = store.drives[2].rename(store.root / "away")
    store.start("--degraded")
    store.stop()
    store.drives[2].mkdir()
    store.start()
    status = store.status()
    lost = next(d for d in status["drives"] if d["state"] == "lost")
    assert lost["why"] == "not here at the start" and lost["since"].startswith("20"), lost
    said = notes(store)
    assert "is empty and was left alone" in said and "--replace" in said, said
    check(store.client(), "first")
    store.stop()
    # Back again, it takes part.
    store.drives[2].rmdir()
    away.rename(store.drives[2])
    store.start()
    assert store.status()["degraded"] == []


def test_more_empty_directories_than_missing_drives(store):
    store.drives.append(store.root / "drive3")
    store.drives[3].mkdir()
    store.flags = []
    assert "none of them" in refusal(store, "--replace")


def test_both_superblocks_damaged(store):
    for name in ("super.a", "super.b"):
        damage(store.drives[0] / name)
    store.start()
    assert "both superblocks are damaged" in notes(store)
    check(store.client(), "first")
    write(store.client(), "second")
    assert store.status()["degraded"] == []
    store.kill()
    before = len(notes(store))
    store.start()
    assert "damaged" not in notes(store)[before:]
    check(store.client(), "first", "second")
    store.stop()
    # On all of them: what to do is said.
    for drive in store.drives:
        for name in ("super.a", "super.b"):
            damage(drive / name)
    assert "backup" in refusal(store)


def test_one_superblock_of_each_drive_damaged(store):
    for drive, name in zip(store.drives, ("super.a", "super.b", "super.a")):
        damage(drive / name)
    store.start()
    assert notes(store).count("is damaged or gone and is written anew") == 3
    check(store.client(), "first")
    store.stop()
    before = len(notes(store))
    store.start()
    assert "damaged" not in notes(store)[before:]


def test_swapped_directories(store):
    a, b, c = store.drives
    a.rename(store.root / "x")
    c.rename(a)
    (store.root / "x").rename(c)
    store.start()
    check(store.client(), "first")
    write(store.client(), "second")
    store.drives = [b, c, a]
    store.kill()
    store.start()
    check(store.client(), "first", "second")
    assert store.status()["degraded"] == []


def test_an_older_copy_of_a_drive(store):
    old = store.root / "old"
    shutil.copytree(store.drives[1], old)
    store.start()
    write(store.client(), "second")
    store.stop()
    shutil.rmtree(store.drives[1])
    old.rename(store.drives[1])
    # With another one missing, what only those two knew could be lost.
    away = store.drives[2].rename(store.root / "away")
    assert "may lack what it should hold" in refusal(store, "--degraded")
    away.rename(store.drives[2])
    store.start()
    assert "is an older copy of drive" in notes(store)
    check(store.client(), "first", "second")


def test_older_copies_of_all_drives_with_a_newer_index(store, folder):
    index = ["--index-dir", folder / "index"]
    old = [shutil.copytree(drive, store.root / f"old{i}") for i, drive in enumerate(store.drives)]
    store.start(*index)
    write(store.client(), "second")
    store.stop()
    for drive, copy in zip(store.drives, old):
        shutil.rmtree(drive)
        copy.rename(drive)
    said = refusal(store, *index)
    assert "older" in said and "the index has seen position" in said, said


def test_a_drive_and_its_copy_and_one_of_another_store(store, make_store):
    shutil.rmtree(store.drives[1])
    shutil.copytree(store.drives[0], store.drives[1])
    said = refusal(store)
    assert "second copy" in said and str(store.drives[0]) in said, said
    other = make_store(drives=3, flags=FLAGS)
    other.stop()
    shutil.rmtree(store.drives[1])
    shutil.copytree(other.drives[1], store.drives[1])
    assert "belongs to store" in refusal(store)


def test_two_histories(make_store):
    store = make_store(drives=2)
    store.client().create_bucket(Bucket=BUCKET)
    store.stop()
    for here, away in ((0, 1), (1, 0)):
        aside = store.drives[away].rename(store.root / "aside")
        store.start("--force")
        write(store.client(), f"on{here}")
        store.stop()
        aside.rename(store.drives[away])
    said = refusal(store)
    for word in ("two histories", "(1) epoch 2", "(2) epoch 2", "recorded 20", "they part after"):
        assert word in said, said
    for drive in store.drives:
        assert f"on {drive}" in said, said


def test_the_states_of_drives_are_in_the_metrics(store):
    shutil.rmtree(store.drives[0])
    store.start("--degraded")
    assert store.metric("coffer_drive_active") == 2
    assert store.metric("coffer_drive_fenced") == 0
    lost = next(d for d in store.status("--degraded")["drives"] if d["state"] == "lost")
    assert json.dumps(lost).count("not here at the start") == 1
