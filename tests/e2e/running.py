"""A coffer server under test: start, kill, stop, ask."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

REPOSITORY = Path(__file__).resolve().parents[2]
ACCESS_KEY = "root-of-tests"
SECRET_KEY = "not-a-secret-since-it-is-in-the-tests"
REGION = "us-east-1"


def binary() -> Path:
    path = Path(os.environ.get("COFFER_BIN", REPOSITORY / "target" / "debug" / "coffer"))
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: cargo build, or set COFFER_BIN")
    return path.resolve()


def clean_environment() -> dict:
    """This process's environment without settings of coffer and of AWS clients."""
    prefixes = ("COFFER_", "AWS_", "RCLONE_", "RESTIC_")
    return {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}


class Store:
    """A server with its data directories below `root`; usable again after kill() and stop()."""

    def __init__(self, root: Path, drives: int = 1, flags=()):
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.drives = [self.root / f"drive{i}" for i in range(drives)]
        self.flags = list(flags)
        self.log = self.root / "server.log"
        self.process = None
        self.endpoint = None
        self.admin = None
        #: The file with the certificate to trust, of a server that speaks TLS.
        self.ca = None

    def _environment(self) -> dict:
        environment = clean_environment()
        environment["COFFER_ROOT_ACCESS_KEY"] = ACCESS_KEY
        environment["COFFER_ROOT_SECRET_KEY"] = SECRET_KEY
        # The issuer of the tests is on this machine.
        environment["COFFER_OIDC_PRIVATE_ADDRESSES"] = "true"
        return environment

    def start(self, *flags, timeout_s: float = 120) -> "Store":
        """Starts the server and waits until it says that it listens."""
        assert self.process is None, "it runs already"
        listen = host_of(self.endpoint) if self.endpoint else "127.0.0.1:0"
        admin = self.admin.removeprefix("http://") if self.admin else "127.0.0.1:0"
        command = [binary(), "serve", "--listen", listen, "--admin-listen", admin]
        command += ["--log-format", "json", *self.flags, *flags, *self.drives]
        with open(self.log, "ab") as log:
            read_from = log.tell()
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.root,
                env=self._environment(),
            )
        deadline = time.monotonic() + timeout_s
        while True:
            event = find_event(self.log, read_from, "listening")
            if event:
                self.endpoint = with_scheme(event["endpoint"])
                self.admin = with_scheme(event["admin"])
                return self
            code = self.process.poll()
            if code is not None:
                self.process = None
                raise AssertionError(f"the server ended with {code}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"not listening in {timeout_s} s:\n{self.log_tail()}")
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self):
        """kill -9."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self, timeout_s: float = 60):
        """SIGTERM; the server must drain and exit with 0."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(timeout=timeout_s)
            self.process = None
            assert code == 0, f"exit code {code} on SIGTERM:\n{self.log_tail()}"

    def assert_alive(self):
        code = self.process.poll()
        assert code is None, f"the server died with {code}:\n{self.log_tail()}"

    def log_tail(self, lines: int = 40) -> str:
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def run(self, *arguments, check: bool = True, timeout_s: float = 600):
        """Runs a coffer command; `DIRS` among the arguments stands for all data directories."""
        command = [str(binary())]
        for argument in arguments:
            command += self.drives if argument == "DIRS" else [argument]
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.root,
            env=self._environment(),
            timeout=timeout_s,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def fsck(self, *flags):
        """Checks the stopped store; everything must agree."""
        assert self.process is None, "fsck works on a stopped store"
        return self.run("fsck", *flags, "DIRS", timeout_s=3600)

    def status(self, *flags) -> dict:
        return json.loads(self.run("status", "--json", *flags, "DIRS").stdout)

    def bench(self, *arguments, timeout_s: float = 3600) -> dict:
        """Runs `coffer bench` against the server; its figures."""
        figures = self.root / "bench.json"
        figures.unlink(missing_ok=True)
        self.run(
            "bench", *arguments,
            "--endpoint", self.endpoint, "--region", REGION,
            "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY,
            "--pid", self.pid, "--json", figures,
            timeout_s=timeout_s,
        )
        return json.loads(figures.read_text())

    def admin_get(self, path: str) -> str:
        with urllib.request.urlopen(self.admin + path, timeout=10) as reply:
            return reply.read().decode()

    def metric(self, name: str) -> float:
        """The sum of a metric over all its labels."""
        values = [
            float(value)
            for value in re.findall(
                rf"^{re.escape(name)}(?:\{{[^}}]*\}})? ([^ \n]+)", self.admin_get("/metrics"), re.M
            )
        ]
        assert values, f"/metrics has no {name}"
        return sum(values)

    def memory(self, field: str) -> int:
        """VmRSS or VmHWM, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.M)[1]) * 1024

    def client(self, keys=None, **settings):
        """A boto3 client that never retries: what the server says is what the test sees."""
        verify = settings.pop("verify", str(self.ca) if self.ca else None)
        access_key, secret_key = keys or (ACCESS_KEY, SECRET_KEY)
        settings.setdefault("retries", {"max_attempts": 0})
        settings.setdefault("read_timeout", 120)
        settings.setdefault("connect_timeout", 10)
        settings.setdefault("max_pool_connections", 32)
        settings.setdefault("s3", {"addressing_style": "path"})
        # In us-east-1 boto3 still presigns by the retired SigV2 unless it is told.
        settings.setdefault("signature_version", "s3v4")
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            verify=verify,
            config=Config(**settings),
        )

    def aws_environment(self) -> dict:
        """The environment for programs that are AWS clients."""
        environment = clean_environment()
        environment |= {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return environment

    def connect(self) -> socket.socket:
        """A bare connection to the S3 port."""
        host, port = host_of(self.endpoint).rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=30)


def host_of(endpoint: str) -> str:
    """HOST:PORT of a URL."""
    return endpoint.split("://", 1)[1]


def with_scheme(address: str) -> str:
    return address if "://" in address else f"http://{address}"


def find_event(log: Path, offset: int, name: str):
    """The first JSON line after `offset` whose event is `name`, its fields flattened."""
    with open(log, "rb") as lines:
        lines.seek(offset)
        for line in lines:
            if not line.endswith(b"\n") or not line.startswith(b"{"):
                continue
            try:
                event = json.loads(line)
            except ValueError:
                continue
            event |= event.get("fields") or {}
            if event.get("event") == name:
                return event
    return None
