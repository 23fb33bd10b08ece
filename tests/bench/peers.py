"""Servers to measure: coffer, and SeaweedFS with its default and with its fsync setting."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import running


class Coffer:
    """One drive, default settings."""

    name = "coffer"

    def __init__(self, root: Path):
        self.store = running.Store(root)

    def start(self):
        self.store.start()
        self.endpoint, self.pid = self.store.endpoint, self.store.pid

    def stop(self):
        self.store.stop()


class SeaweedFs:
    """`weed server` with S3 on one drive; `fsync`: each write is synced before it is answered."""

    def __init__(self, root: Path, fsync: bool):
        self.name = "seaweedfs-fsync" if fsync else "seaweedfs"
        self.root, self.fsync, self.process = Path(root), fsync, None

    @property
    def weed(self) -> str:
        return str(Path(sys.executable).parent / "weed")

    def start(self):
        data = self.root / "data"
        data.mkdir(parents=True)
        identity = {
            "name": "bench",
            "credentials": [{"accessKey": running.ACCESS_KEY, "secretKey": running.SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        config = self.root / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}))
        s3, master, volume, filer = (free_port() for _ in range(4))
        self.endpoint = f"http://127.0.0.1:{s3}"
        command = [
            self.weed, "server", "-dir", data, "-ip", "127.0.0.1",
            "-master.port", master, "-volume.port", volume, "-filer.port", filer,
            "-volume.max", 100, "-master.volumeSizeLimitMB", 1024,
            "-s3", "-s3.port", s3, "-s3.config", config,
            "-s3.port.iceberg", 0, "-s3.port.lance", 0,
        ]
        self.log = self.root / "weed.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.root, env=running.clean_environment(),
            )
        self.pid = self.process.pid
        try:
            self._wait(s3)
            self._wait(filer)
            self._warm_up()
            if self.fsync:
                self._set_fsync(master, filer)
        except BaseException:
            self.stop()
            raise

    def _wait(self, port: int):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"weed ended with {self.process.returncode}: see {self.log}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"weed doesn't listen on port {port}: see {self.log}")

    def _warm_up(self):
        """The first writes fail until the volumes are made."""
        store = running.Store(self.root / "client")
        store.endpoint = self.endpoint
        s3 = store.client()
        deadline = time.monotonic() + 60
        while True:
            try:
                s3.create_bucket(Bucket="warm-up")
            except Exception:
                pass  # it may exist by now; the write tells
            try:
                s3.put_object(Bucket="warm-up", Key="x", Body=b"x")
                return
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _set_fsync(self, master: int, filer: int):
        shell = [self.weed, "shell", "-master", f"127.0.0.1:{master}", "-filer", f"127.0.0.1:{filer}"]
        asked = "fs.configure -locationPrefix=/buckets/ -fsync -apply\nfs.configure\nexit\n"
        done = subprocess.run(
            shell, input=asked, capture_output=True, text=True, timeout=60, cwd=self.root
        )
        if not re.search(r'"fsync":\s*true', done.stdout):
            raise RuntimeError(f"weed doesn't take the fsync setting:\n{done.stdout}{done.stderr}")
        time.sleep(2)  # the filer and the S3 server read it again

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


def free_port() -> int:
    """A free port whose neighbour 10,000 above, which weed takes for gRPC, is free too."""
    while True:
        port = random.randrange(10_000, 22_000)
        try:
            for number in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
            return port
        except OSError:
            continue
