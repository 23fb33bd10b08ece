"""The AWS SDK for Rust, unmodified, in a workspace of its own (clients/aws-sdk-rust)."""

import os
import shutil
import subprocess

import pytest

from running import REPOSITORY


def test_the_sdk_does_its_work(store):
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    if not cargo:
        pytest.skip("cargo is not on the path")
    environment = store.aws_environment() | {"COFFER_ENDPOINT": store.endpoint}
    done = subprocess.run(
        [cargo, "run", "--quiet", "--locked", "--release",
         "--manifest-path", REPOSITORY / "clients/aws-sdk-rust/Cargo.toml"],
        env=environment, stdin=subprocess.DEVNULL, timeout=3000,
    )
    assert done.returncode == 0
