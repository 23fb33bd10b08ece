"""Servers to measure: Coffer, the null server, nginx, and SeaweedFS and Garage with their default and
with their fsync settings."""

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


HERE = Path(__file__).resolve().parent


class Keyed:
    """A server that takes the key pair of the tests."""

    access_key = running.ACCESS_KEY
    secret_key = running.SECRET_KEY


class Process(Keyed):
    """A server that is one command, in `root`."""

    def __init__(self, name: str, root: Path):
        self.name, self.root, self.process = name, Path(root), None
        self.root.mkdir(parents=True, exist_ok=True)
        self.log = self.root / "server.log"

    def spawn(self, command, environment=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.root, env=running.clean_environment() | (environment or {}),
            )
        self.pid = self.process.pid

    def listen(self, port: int, timeout_s: float = 60):
        """Waits until the server listens on `port`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}: see {self.log}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} doesn't listen on port {port}: see {self.log}")

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


class NullServer(Process):
    """Signature, MD5, group commit to bare files (crates/coffer-bench)."""

    def __init__(self, root: Path, files: int, way: str = "direct-dsync"):
        super().__init__(f"null-{files}", root)
        self.files, self.way = files, way

    def start(self):
        binary = Path(os.environ.get("NULL_SERVER_BIN", running.binary().parent / "null-server"))
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        command = [binary, "--listen", f"127.0.0.1:{port}", "--way", self.way]
        for number in range(self.files):
            command += ["--file", self.root / f"file{number}"]
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        self.spawn(command, keys)
        self.listen(port)


class Nginx(Process):
    """Files below `root`/files, as tests/bench/nginx.conf serves them."""

    def __init__(self, root: Path, bucket: str):
        super().__init__("nginx", root)
        self.bucket = bucket
        self.files = self.root / "files"
        (self.files / bucket).mkdir(parents=True)

    def start(self):
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        text = (HERE / "nginx.conf").read_text()
        values = {"ROOT": self.root, "PORT": port, "FILES": self.files, "BUCKET": self.bucket}
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        (self.root / "nginx.conf").write_text(text)
        for folder in [self.root, *(path for path in self.files.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        self.spawn(["nginx", "-p", self.root, "-c", self.root / "nginx.conf"])
        self.listen(port)


class Coffer(Keyed):
    """Default settings, on one drive or on k+m."""

    def __init__(self, root: Path, drives: int = 1, flags=(), name: str = "coffer"):
        self.name = name
        self.store = running.Store(root, drives=drives, flags=flags)

    def start(self):
        self.store.start()
        self.endpoint, self.pid = self.store.endpoint, self.store.pid

    def stop(self):
        self.store.stop()


class SeaweedFs(Process):
    """`weed server` with S3 on one drive; `fsync`: each write is synced before it is answered."""

    def __init__(self, root: Path, fsync: bool):
        super().__init__("seaweedfs-fsync" if fsync else "seaweedfs", root)
        self.fsync = fsync

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
        self.spawn(command)
        try:
            self.listen(s3)
            self.listen(filer)
            self._warm_up()
            if self.fsync:
                self._set_fsync(master, filer)
        except BaseException:
            self.stop()
            raise

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


class Garage(Process):
    """One node with its metadata in LMDB; `fsync`: both of its switches are on."""

    #: Garage makes keys of this form only.
    access_key = "GK" + "c0ffe7" * 4
    secret_key = "0123456789abcdef" * 4

    def __init__(self, root: Path, fsync: bool, bucket: str):
        super().__init__("garage-fsync" if fsync else "garage", root)
        self.fsync, self.bucket = fsync, bucket

    @property
    def binary(self) -> str:
        return os.environ["GARAGE_BIN"]

    def start(self):
        s3, rpc, admin = (free_port() for _ in range(3))
        self.endpoint = f"http://127.0.0.1:{s3}"
        switch = str(self.fsync).lower()
        config = self.root / "garage.toml"
        config.write_text(
            f"""metadata_dir = "{self.root}/meta"
data_dir = "{self.root}/data"
db_engine = "lmdb"
metadata_fsync = {switch}
data_fsync = {switch}
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{'5' * 64}"

[s3_api]
s3_region = "us-east-1"
api_bind_addr = "127.0.0.1:{s3}"
root_domain = ".s3.test"

[admin]
api_bind_addr = "127.0.0.1:{admin}"
"""
        )
        self.config = config
        self.spawn([self.binary, "-c", config, "server"], {"RUST_LOG": "warn"})
        try:
            self.listen(rpc)
            node = self._say("node", "id", "-q").strip().split("@")[0]
            self._say("layout", "assign", "-z", "here", "-c", "100G", node)
            self._say("layout", "apply", "--version", "1")
            self._say("key", "import", "--yes", "-n", "bench", self.access_key, self.secret_key)
            self._say("bucket", "create", self.bucket)
            allow = ["--read", "--write", "--owner"]
            self._say("bucket", "allow", *allow, self.bucket, "--key", self.access_key)
            self.listen(s3)
        except BaseException:
            self.stop()
            raise

    def _say(self, *arguments) -> str:
        """A command of its command line; again while the server is starting."""
        deadline = time.monotonic() + 30
        while True:
            done = subprocess.run(
                [self.binary, "-c", self.config, *arguments], capture_output=True, text=True,
                timeout=60, cwd=self.root,
            )
            if done.returncode == 0:
                return done.stdout
            if time.monotonic() > deadline:
                raise RuntimeError(f"garage {arguments}: {done.stdout}{done.stderr}")
            time.sleep(0.3)


class RustFs(Process):
    """A binary that the user built (90 minutes), on six directories: RustFS chooses 3+3."""

    def __init__(self, root: Path):
        super().__init__("rustfs", root)

    def start(self):
        s3, console = free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{s3}"
        drives = [self.root / f"drive{number}" for number in range(6)]
        for drive in drives:
            drive.mkdir()
        # All of them on one disk, which it refuses otherwise.
        environment = {
            "RUSTFS_ACCESS_KEY": self.access_key, "RUSTFS_SECRET_KEY": self.secret_key,
            "RUSTFS_ADDRESS": f"127.0.0.1:{s3}", "RUSTFS_CONSOLE_ADDRESS": f"127.0.0.1:{console}",
            "RUSTFS_CONSOLE_ENABLE": "false", "RUSTFS_UNSAFE_BYPASS_DISK_CHECK": "true",
            "RUSTFS_OBS_LOGGER_LEVEL": "error",
        }
        self.spawn([os.environ["RUSTFS_BIN"], *drives], environment)
        self.listen(s3)


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
