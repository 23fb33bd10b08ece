"""What all measurements have in common: loads, CPU time, interleaving, and what a result says."""

import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import traceback
from pathlib import Path

import running

BUCKET = "bench"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Result:
    """One row of the table."""

    work: str
    reference: str
    target: str
    #: What was measured, with its unit, and its quartiles; none if it is a single figure.
    measured: str
    #: Whether the target is met; None for rows without one.
    met: bool | None
    #: Everything behind it.
    runs: list = dataclasses.field(default_factory=list)


class Bench:
    """One invocation: its options, its folders, and its results."""

    def __init__(self, options):
        self.options = options
        self.quick = options.quick
        self.pairs = options.pairs or (3 if options.quick else 10)
        self.seconds = options.seconds or (1 if options.quick else 3)
        self.out = Path(options.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.work = Path(tempfile.mkdtemp(prefix="coffer-bench-", dir=options.dir))
        # nginx's workers leave root.
        self.work.chmod(0o755)
        self.results: list[Result] = []
        self.failed: list[str] = []
        self.numbers = 0

    def part(self, measure, *arguments):
        """One part of a measurement; the others go on if it fails, and the run fails at its end."""
        try:
            measure(self, *arguments)
        except Exception as error:
            traceback.print_exc()
            self.failed.append(f"{measure.__name__}: {error}")

    def close(self):
        shutil.rmtree(self.work, ignore_errors=True)

    def folder(self, name: str) -> Path:
        """A fresh folder on the drive to measure."""
        self.numbers += 1
        folder = self.work / f"{self.numbers}-{name}"
        folder.mkdir()
        folder.chmod(0o755)
        return folder

    def add(self, work, reference, target, measured, met, runs=()):
        result = Result(work, reference, target, measured, met, list(runs))
        self.results.append(result)
        said = {True: "met", False: "MISSED", None: "-"}[met]
        print(f"{work} | {reference} | {target} | {measured} | {said}", flush=True)

    def load(self, server, kind: str, *flags, seconds=None, prepare: bool = False, **extra) -> dict:
        """One `coffer bench KIND` against a server; its figures, with the CPU time of all of the
        server's processes."""
        self.numbers += 1
        figures = self.out / f"{self.numbers:04}-{server.name}-{kind}.json"
        command = [
            kind, "--endpoint", server.endpoint, "--bucket", BUCKET,
            "--payload", self.options.payload, *flags, "--json", figures,
        ]
        if seconds != 0:
            command += ["--duration", f"{seconds or self.seconds}s"]
        if not prepare and kind in ("get", "head", "list", "mixed", "delete"):
            command.append("--no-prepare")
        before = cpu_seconds(server.pid)
        done = start(command, server)
        said = done.communicate()[1]
        cpu = cpu_seconds(server.pid) - before
        return self._figures(figures, kind, cpu, done, said, server)

    def _figures(self, figures: Path, kind: str, cpu: float, done, said, server) -> dict:
        if not figures.is_file():
            raise RuntimeError(f"bench {kind} of {server.name} ended with {done.returncode}: {said}")
        run = json.loads(figures.read_text())
        figures.unlink()
        operation = next(op for op in run["operations"] if op["name"] == kind) if kind != "mixed" else {
            "count": sum(op["count"] for op in run["operations"]),
            "failed": sum(op["failed"] for op in run["operations"]),
            "bytes": sum(op["bytes"] for op in run["operations"]),
            "per_second": sum(op["per_second"] for op in run["operations"]),
        }
        if operation["failed"]:
            raise RuntimeError(f"{server.name}: {operation['failed']} of {kind} failed: {said}")
        return {
            **operation,
            "server": server.name,
            "load": kind,
            "cpu_us": cpu * 1e6 / max(operation["count"], 1),
            "cpu_s_per_gb": cpu * 1e9 / operation["bytes"] if operation["bytes"] else None,
        }

    def rounds(self, measures: dict) -> list[dict]:
        """So many rounds as there are pairs; in each, every measure once, in turning order.
        `measures` are functions by name."""
        names = list(measures)
        rounds = []
        for number in range(self.pairs):
            turn = number % len(names)
            order = names[turn:] + names[:turn]
            measured = {name: measures[name](number) for name in order}
            rounds.append(measured)
            shown = ", ".join(f"{name} {brief(measured[name])}" for name in names)
            print(f"  round {number + 1}: {shown}", flush=True)
        return rounds


def start(command, server=None) -> subprocess.Popen:
    """`coffer bench`, with the key pair of the server."""
    access, secret = (
        (server.access_key, server.secret_key) if server else (running.ACCESS_KEY, running.SECRET_KEY)
    )
    environment = running.clean_environment()
    environment |= {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}
    return subprocess.Popen(
        [str(running.binary()), "bench", *map(str, command)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )


def brief(run) -> str:
    if not isinstance(run, dict):
        return f"{run:.4g}"
    if run.get("mb_per_second", 0) > 200 and run["per_second"] < 5000:
        return f"{run['mb_per_second']:,.0f} MB/s"
    return f"{run['per_second']:,.0f}/s"


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children, by /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total = (int(stat[11]) + int(stat[12])) / TICKS
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    return total + sum(cpu_seconds(int(child)) for child in children)


def memory_kib(pid: int, field: str) -> int:
    """A field of /proc/PID/status, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/{pid}/status has no {field}")


@dataclasses.dataclass
class Spread:
    """A median and its quartiles."""

    low: float
    median: float
    high: float

    def text(self, form: str = "{:.2f}") -> str:
        low, median, high = map(form.format, (self.low, self.median, self.high))
        return f"{median} ({low}–{high})"


def spread(values) -> Spread:
    values = sorted(values)
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low, median, high)


def ratios(rounds, one: str, other: str, pick) -> Spread:
    """How `pick` of one stands to the other's, round by round."""
    return spread([pick(measured[one]) / pick(measured[other]) for measured in rounds])


def values(rounds, name: str, pick) -> Spread:
    return spread([pick(measured[name]) for measured in rounds])


def rate(run) -> float:
    return run["per_second"]


def mb(run) -> float:
    return run["mb_per_second"]


def p50_us(run) -> float:
    return run["latency_us"]["p50"]


def p99_us(run) -> float:
    return run["latency_us"]["p99"]


def cpu_us(run) -> float:
    return run["cpu_us"]


def cpu_gb(run) -> float:
    return run["cpu_s_per_gb"]


def drive(bench: Bench, folder: Path, writers: int, seconds: float = 1.0) -> dict:
    """The fastest way of the bare drive."""
    figures = bench.out / "drive.json"
    figures.unlink(missing_ok=True)
    done = start([
        "drive", folder, "--duration", f"{seconds}s", "-c", writers, "--stream", "1MiB", "--json", figures,
    ])
    said = done.communicate()[1]
    if done.returncode != 0:
        raise RuntimeError(f"bench drive ended with {done.returncode}: {said}")
    commits = json.loads(figures.read_text())["commits"]
    return max(commits, key=lambda commit: commit["per_second"])


def wait(condition, what: str, timeout_s: float = 60):
    """Waits until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not in {timeout_s} s: {what}")
        time.sleep(0.05)


def machine() -> dict:
    model = "?"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory_kib_all = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kib_all / (1 << 20)),
        "kernel": os.uname().release,
        "load": os.getloadavg(),
    }


