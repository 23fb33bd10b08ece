"""Other people's clients, run against a store."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from running import ACCESS_KEY, REGION, SECRET_KEY


def find(program: str) -> str:
    """The program, from this Python's environment or from the path; without it a test is skipped."""
    beside = Path(sys.executable).parent / program
    found = str(beside) if beside.is_file() else shutil.which(program)
    if not found:
        pytest.skip(f"{program} is not installed")
    return found


def run(command, environment, timeout_s: float = 3600, **settings) -> str:
    """Runs a command that must succeed; its output."""
    done = subprocess.run(
        [str(part) for part in command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=timeout_s,
        **settings,
    )
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{out[-4000:]}{err[-4000:]}"
    return out


def aws(store, *arguments, config: str = "/dev/null", timeout_s: float = 3600) -> str:
    environment = store.aws_environment() | {"AWS_CONFIG_FILE": str(config)}
    return run([find("aws"), *arguments], environment, timeout_s)


def rclone(store, *arguments, timeout_s: float = 3600) -> str:
    environment = store.aws_environment() | {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_COFFER_TYPE": "s3",
        "RCLONE_CONFIG_COFFER_PROVIDER": "Other",
        "RCLONE_CONFIG_COFFER_ENDPOINT": store.endpoint,
        "RCLONE_CONFIG_COFFER_ACCESS_KEY_ID": ACCESS_KEY,
        "RCLONE_CONFIG_COFFER_SECRET_ACCESS_KEY": SECRET_KEY,
        "RCLONE_CONFIG_COFFER_REGION": REGION,
        "RCLONE_CONFIG_COFFER_FORCE_PATH_STYLE": "true",
    }
    return run([find("rclone"), *arguments], environment, timeout_s)


def restic(store, bucket: str, cache: Path, *arguments, timeout_s: float = 3600) -> str:
    environment = store.aws_environment() | {
        "RESTIC_REPOSITORY": f"s3:{store.endpoint}/{bucket}/restic",
        "RESTIC_PASSWORD": "of-the-tests",
        "RESTIC_CACHE_DIR": str(cache),
    }
    return run([find("restic"), *arguments], environment, timeout_s)


def curl(*arguments) -> str:
    import running

    command = [find("curl"), "--silent", "--show-error", "--fail-with-body", "--max-time", "300"]
    return run([*command, *arguments], running.clean_environment())
