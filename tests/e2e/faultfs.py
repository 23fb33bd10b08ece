"""Drives of our own making (crates/coffer-faultfs): they record, lose power, and misbehave."""

import json
import os
import select
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

import running

#: Data directories are below the mounts, so that their making is recorded, too.
DATA = "store"


def missing() -> str:
    """Why there can be no such drives here, or nothing."""
    if not Path("/dev/fuse").exists():
        return "there is no /dev/fuse"
    if os.geteuid() != 0 and not shutil.which("fusermount3"):
        return "only root mounts without fusermount3"
    return ""


def required():
    """Skips a test where it can't run; `cargo xtask test` names what is thereby not tested."""
    if reason := missing():
        pytest.skip(reason)


def binary() -> Path:
    path = Path(os.environ.get("COFFER_FAULTFS_BIN", running.binary().parent / "coffer-faultfs"))
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: cargo build -p coffer-faultfs")
    return path.resolve()


class FaultFs:
    """Mounted drives, until end()."""

    def __init__(self, folder: Path, drives: int, begin_with=None, journal: bool = True):
        folder.mkdir(parents=True)
        self.mounts = [folder / f"d{i}" for i in range(drives)]
        self.socket = folder / "control"
        command = [binary(), "--control", self.socket]
        command += [] if journal else ["--no-journal"]
        for i, mount in enumerate(self.mounts):
            mount.mkdir()
            command.append(f"{mount}={begin_with[i]}" if begin_with else mount)
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if ready else b""
        if line != b"mounted\n":
            self.end()
            raise AssertionError(f"the drives are not mounted: {line}")
        self._local = threading.local()

    @property
    def data(self) -> list:
        """The data directories for a server."""
        return [mount / DATA for mount in self.mounts]

    def ask(self, request: str, **fields) -> dict:
        """One question over the control channel; each thread has its own connection."""
        lines = getattr(self._local, "lines", None)
        if lines is None:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(120)
            # By its descriptor: the path may be longer than a socket's may be.
            directory = os.open(self.socket.parent, os.O_RDONLY)
            try:
                connection.connect(f"/proc/self/fd/{directory}/{self.socket.name}")
            finally:
                os.close(directory)
            lines = self._local.lines = connection.makefile("rwb")
        lines.write(json.dumps({"do": request, **fields}).encode() + b"\n")
        lines.flush()
        reply = json.loads(lines.readline())
        assert "error" not in reply, reply
        return reply

    def number(self) -> int:
        """How many events there were so far."""
        return self.ask("number")["number"]

    def events(self) -> list:
        """A word for each event."""
        return self.ask("events")["events"]

    def cut(self, at: int, seed: int, into: Path, forget_syncs=None) -> dict:
        """Writes what the drives hold after the power went before event `at`."""
        folders = [str(into / f"d{i}") for i in range(len(self.mounts))]
        return self.ask("cut", at=at, seed=seed, forget_syncs=forget_syncs, into=folders)

    def fault(self, drive: int, action: str, *ops, **rule) -> int:
        """Lets a drive misbehave; the number of the rule."""
        return self.ask("fault", drive=drive, rule={"action": action, "ops": ops, **rule})["rule"]

    def clear(self, drive=None, rule=None):
        """Takes rules away; what they made wait goes on."""
        for each in range(len(self.mounts)) if drive is None else [drive]:
            self.ask("clear", drive=each, rule=rule)

    def applied(self, drive: int) -> int:
        """How often rules of a drive applied."""
        return self.ask("applied", drive=drive)["applied"]

    def end(self):
        """Unmounts. Whoever uses the drives should have ended before."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
