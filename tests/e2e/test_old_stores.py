"""Stores that older programs made are opened, read whole, written on, and opened again."""

import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from old_stores import make as old
from running import find_event

STORES = sorted(old.HERE.glob("*.tar.xz"))


@pytest.fixture(params=STORES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def old_store(request, make_store):
    store = make_store(drives=3, start=False)
    with tarfile.open(request.param) as tar:
        tar.extractall(store.root, filter="data")
    return store


def check(s3, lives):
    """Everything of these lives is there, whole, and nothing else is."""
    expected = {}
    for life in lives:
        expected |= {key: old.body(key, size) for key, size in old.contents(life).items()}
        expected[f"parts/life{life}"] = old.body(f"parts/life{life}", 6 << 20)
        expected[f"changed/life{life}"] = b"after"
    listed = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=old.BUCKET):
        listed |= {entry["Key"]: entry["Size"] for entry in page.get("Contents", [])}
    assert listed == {key: len(data) for key, data in expected.items()}
    for key, data in expected.items():
        if "/many/" in key and not key.endswith("7"):
            continue  # every tenth tells
        read = s3.get_object(Bucket=old.BUCKET, Key=key)
        assert read["Body"].read() == data, key
        if key.startswith("life"):
            assert read["Metadata"] == {"life": key[4]}


def versions(store):
    """The format version of each superblock."""
    files = [drive / name for drive in store.drives for name in ("super.a", "super.b")]
    return [int.from_bytes(path.read_bytes()[8:10], "little") for path in files]


def plain_secret(store, user):
    """The secret that an old program wrote beside the name of a user as it is."""
    wanted = re.compile(bytes([len(user)]) + user.encode() + rb"\x28([A-Za-z0-9+-]{40})")
    for path in Path(store.root).glob("drive*/*"):
        if path.is_file() and (found := wanted.search(path.read_bytes())):
            return found[1].decode()
    raise AssertionError(f"no drive holds the secret of {user}")


def test_its_users_work_on(old_store):
    store = old_store
    secret = plain_secret(store, "reader")
    for _ in range(2):
        store.start()
        (reader,) = json.loads(store.run("user", "list", "--json", "DIRS").stdout)
        assert (reader["name"], reader["policies"]) == ("reader", ["readonly"])
        s3 = store.client(keys=(reader["access_keys"][0], secret))
        assert s3.list_objects_v2(Bucket=old.BUCKET)["KeyCount"] > 0
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=old.BUCKET, Key="no", Body=b"")
        store.stop()
        store.fsck()
        shutil.rmtree(next(Path(store.root).glob("drive*/index")))


def test_it_is_carried_forward(old_store):
    store = old_store
    before = versions(store)
    store.start()
    check(store.client(), (1, 2, 3))
    assert store.status()["degraded"] == []
    assert min(versions(store)) > max(before), "written on as the newest"
    assert "reader" in store.run("user", "list", "DIRS").stdout
    old.write(store.client(), 4)
    store.stop()
    store.fsck()
    store.start()
    check(store.client(), (1, 2, 3, 4))
    store.stop()


def test_without_its_index_and_a_drive(old_store):
    store = old_store
    shutil.rmtree(store.drives[0])
    store.start("--degraded")
    check(store.client(), (1, 2, 3))
    assert find_event(store.log, 0, "listening")
    old.write(store.client(), 4)
    store.kill()
    store.start("--degraded")
    check(store.client(), (1, 2, 3, 4))


def test_its_objects_are_null_versions(old_store):
    store = old_store
    store.start()
    s3 = store.client()
    everything = {}
    for life in (1, 2, 3):
        everything |= {key: old.body(key, size) for key, size in old.contents(life).items()}
    keys = ["changed/life1", "parts/life1", *[key for key in everything if "/many/" not in key]]
    whole = {key: s3.get_object(Bucket=old.BUCKET, Key=key)["Body"].read() for key in keys}
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=old.BUCKET, VersioningConfiguration=enabled)
    for key in keys:
        s3.put_object(Bucket=old.BUCKET, Key=key, Body=b"new")
    s3.delete_object(Bucket=old.BUCKET, Key=keys[0])

    def versions_of(key):
        page = s3.list_object_versions(Bucket=old.BUCKET, Prefix=key)
        return [entry["VersionId"] for entry in page["Versions"] if entry["Key"] == key]

    for _ in range(2):
        for key in keys:
            newer, null = versions_of(key)
            assert null == "null" != newer
            read = s3.get_object(Bucket=old.BUCKET, Key=key, VersionId="null")
            assert read["Body"].read() == whole[key], key
        store.stop()
        store.fsck()
        shutil.rmtree(next(Path(store.root).glob("drive*/index")))
        store.start()
        s3 = store.client()
    for key in keys:
        s3.delete_object(Bucket=old.BUCKET, Key=key, VersionId="null")
        assert "null" not in versions_of(key)
    store.stop()
    store.fsck()


def test_every_drive_may_be_half_way(old_store):
    """Some drives are carried forward already, the others not: as a power cut leaves it."""
    store = old_store
    held = {path: path.read_bytes() for path in Path(store.root).glob("drive*/super.*")}
    store.start()
    store.kill()
    for path in held:
        if path.parent == store.drives[1]:
            path.write_bytes(held[path])
    assert {1, 2} == set(versions(store))
    store.start()
    check(store.client(), (1, 2, 3))
    store.stop()
    store.fsck()
