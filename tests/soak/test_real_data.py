"""A tree of real files goes up by every client, is listed completely, and comes back bit for bit.

COFFER_TREE_FILES says how many files (the campaign: 50,000).
"""

import os
import time

import pytest

import figures
import programs
import real_files

FILES = int(os.environ.get("COFFER_TREE_FILES", "5000"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The tree, and how many bytes it holds."""
    path = tmp_path_factory.mktemp("tree")
    total = real_files.gather(path, FILES, largest_bytes=64 << 20)
    print(f"{FILES} real files, {total / 1e6:.0f} MB")
    return path, total


def listed_keys(s3, bucket: str, prefix: str) -> dict:
    listed, last = {}, ""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for entry in page.get("Contents", []):
            # Byte order of UTF-8, which is code point order.
            assert entry["Key"] > last, f"{entry['Key']} is listed after {last}"
            last = entry["Key"]
            listed[entry["Key"].removeprefix(prefix)] = entry["Size"]
    return listed


def assert_listed(s3, bucket: str, prefix: str, tree):
    expected = {name: path.stat().st_size for name, path in real_files.tree_files(tree).items()}
    assert listed_keys(s3, bucket, prefix) == expected


def test_rclone_moves_the_tree(store, s3, bucket, folder, tree):
    path, total = tree
    flags = ["--transfers", "16", "--checkers", "16", "--retries", "1", "--low-level-retries", "1"]
    began = time.monotonic()
    programs.rclone(store, "copy", path, f"coffer:{bucket}/rclone", *flags)
    up_s = time.monotonic() - began
    assert_listed(s3, bucket, "rclone/", path)
    began = time.monotonic()
    programs.rclone(store, "copy", f"coffer:{bucket}/rclone", folder / "back", *flags)
    down_s = time.monotonic() - began
    real_files.assert_same_trees(path, folder / "back")
    programs.rclone(store, "check", path, f"coffer:{bucket}/rclone", *flags)
    figures.record(
        "rclone", files=FILES, mb=round(total / 1e6), up_s=round(up_s, 1), down_s=round(down_s, 1)
    )


def test_aws_cli_moves_the_tree(store, s3, bucket, folder, tree):
    path, total = tree
    began = time.monotonic()
    programs.aws(store, "s3", "cp", path, f"s3://{bucket}/aws/", "--recursive", "--only-show-errors")
    up_s = time.monotonic() - began
    assert_listed(s3, bucket, "aws/", path)
    began = time.monotonic()
    programs.aws(
        store, "s3", "cp", f"s3://{bucket}/aws/", folder / "back", "--recursive", "--only-show-errors"
    )
    down_s = time.monotonic() - began
    real_files.assert_same_trees(path, folder / "back")
    figures.record(
        "aws-cli", files=FILES, mb=round(total / 1e6), up_s=round(up_s, 1), down_s=round(down_s, 1)
    )


def test_restic_keeps_the_tree(store, bucket, folder, tree):
    path, total = tree

    def restic(*arguments):
        return programs.restic(store, bucket, folder / "cache", *arguments)

    restic("init")
    began = time.monotonic()
    restic("backup", path)
    backup_s = time.monotonic() - began
    restic("check", "--read-data")
    began = time.monotonic()
    restic("restore", "latest", "--target", folder / "back")
    restore_s = time.monotonic() - began
    real_files.assert_same_trees(path, folder / "back" / path.relative_to("/"))
    figures.record(
        "restic",
        files=FILES,
        mb=round(total / 1e6),
        backup_s=round(backup_s, 1),
        restore_s=round(restore_s, 1),
    )
