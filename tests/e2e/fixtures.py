"""Fixtures of the end-to-end tests and of the campaigns."""

import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

import real_files
from running import Store


@pytest.fixture
def folder(request):
    """A directory of this test, kept if the test fails."""
    path = Path(tempfile.mkdtemp(prefix="coffer-test-"))
    yield path
    report = getattr(request.node, "call_report", None)
    if report is not None and report.failed:
        print(f"the test's files are kept in {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_store(folder):
    """Makes stores: make_store(drives=6, flags=[...]); they are started, and end with the test."""
    stores = []

    def make(drives: int = 1, flags=(), start: bool = True) -> Store:
        store = Store(folder / f"store{len(stores)}", drives, flags)
        stores.append(store)
        return store.start() if start else store

    yield make
    for store in stores:
        store.kill()


@pytest.fixture
def own_store(make_store):
    """A running store with one drive for this test alone, which may kill it."""
    return make_store()


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A running store that all tests share; none may stop it."""
    shared = Store(tmp_path_factory.mktemp("shared-store"))
    shared.start()
    yield shared
    shared.assert_alive()
    shared.stop()


@pytest.fixture(scope="session")
def s3(store):
    """A boto3 client of the shared store."""
    return store.client()


@pytest.fixture
def bucket(s3):
    """A new bucket in the shared store, emptied and deleted after the test."""
    name = f"bucket-{uuid.uuid4().hex[:16]}"
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=name):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        keys = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        if keys:
            s3.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
    s3.delete_bucket(Bucket=name)


@pytest.fixture(scope="session")
def small_tree(tmp_path_factory):
    """A few thousand real small files."""
    tree = tmp_path_factory.mktemp("tree")
    real_files.gather(tree, files=2000, largest_bytes=256 << 10)
    return tree
