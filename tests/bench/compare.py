"""PUT and GET beside SeaweedFS, interleaved in one run: the tables of docs/benchmarks.md.

Each cell is measured once a round on every server in turn, so that what else the machine does
hits all alike; a cell's figure is the median of its rounds.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import peers
import running

SIZES = {"4KiB": 4 << 10, "256KiB": 256 << 10, "16MiB": 16 << 20}
CLIENTS = [1, 16, 64]


def main():
    options = read_options()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="coffer-bench-", dir=options.dir))
    servers = [
        peers.Coffer(work / "coffer"),
        peers.SeaweedFs(work / "seaweedfs", fsync=False),
        peers.SeaweedFs(work / "seaweedfs-fsync", fsync=True),
    ]
    if options.only_coffer:
        servers = servers[:1]
    drive = bench(["drive", work, "--duration", "2s"], out / "drive.json")
    runs = []
    try:
        for server in servers:
            server.start()
        for size in options.sizes:
            for clients in options.clients:
                for number in range(options.rounds):
                    for server in servers:
                        runs += measure(server, size, clients, number, options, out)
                drop(servers, size, clients, options)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(work, ignore_errors=True)
    results = {"machine": machine(work), "drive": drive, "runs": runs}
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    text = report(results, options, [server.name for server in servers])
    (out / "results.md").write_text(text)
    print(text)
    print(f"written: {out / 'results.md'}, {out / 'results.json'}")


def read_options():
    parser = argparse.ArgumentParser(prog="cargo xtask bench", description=__doc__)
    parser.add_argument("--out", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--dir", help="where the servers keep their data (a directory on the drive to measure)")
    parser.add_argument("--seconds", type=float, default=5, help="for each measurement [5]")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each cell [3]")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--clients", nargs="+", type=int, default=CLIENTS)
    parser.add_argument("--payload", choices=["signed", "unsigned"], default="unsigned")
    parser.add_argument("--only-coffer", action="store_true", help="without SeaweedFS")
    return parser.parse_args()


def bench(arguments, figures: Path) -> dict:
    command = [str(running.binary()), "bench", *map(str, arguments), "--json", str(figures)]
    environment = running.clean_environment() | {
        "AWS_ACCESS_KEY_ID": running.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": running.SECRET_KEY,
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if not figures.is_file():
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr}")
    # A run with failed requests has figures too; they say how many failed.
    return json.loads(figures.read_text())


def objects_for(size: str) -> int:
    """Enough objects that a GET rarely meets the one before, and no more than 1 GiB of them."""
    return min(2000, (1 << 30) // SIZES[size])


def measure(server, size: str, clients: int, number: int, options, out: Path) -> list:
    common = [
        "--endpoint", server.endpoint, "--pid", server.pid, "--size", size, "-c", clients,
        "--payload", options.payload, "--bucket", "bench",
    ]
    runs = []
    for load in ("put", "get"):
        prefix = f"{load}/{size}/{clients}/" if load == "put" else f"get/{size}/"
        flags = ["--prefix", prefix, "--duration", f"{options.seconds}s"]
        if load == "put":
            # Every round writes new objects.
            flags += ["--first", number * 10_000_000]
        else:
            flags += ["--objects", objects_for(size)]
            if (server.name, size) in prepared:
                flags.append("--no-prepare")
            prepared.add((server.name, size))
        name = f"{server.name}-{load}-{size}-{clients}-{number}.json"
        (out / name).unlink(missing_ok=True)
        figures = bench([load, *common, *flags], out / name)
        operation = next(op for op in figures["operations"] if op["name"] == load)
        if operation["failed"]:
            print(f"{server.name}: {operation['failed']} failed: {operation['first_failure']}")
        print(
            f"{load} {size:>6} {clients:>2} clients, {server.name:<15} "
            f"{operation['per_second']:>9.0f}/s {operation['mb_per_second']:>7.0f} MB/s",
            flush=True,
        )
        runs.append({
            "server": server.name, "load": load, "size": size, "clients": clients, "round": number,
            **operation, "cpu": figures["server"],
        })
    return runs


prepared = set()


def drop(servers, size: str, clients: int, options):
    """Deletes what the puts wrote, so that the drive doesn't fill."""
    for server in servers:
        store = running.Store(Path(tempfile.gettempdir()) / f"coffer-bench-client-{os.getpid()}")
        store.endpoint = server.endpoint
        s3 = store.client()
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket="bench", Prefix=f"put/{size}/{clients}/"
        )
        for page in pages:
            keys = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
            if keys:
                s3.delete_objects(Bucket="bench", Delete={"Objects": keys, "Quiet": True})
        shutil.rmtree(store.root, ignore_errors=True)


def machine(work: Path) -> dict:
    model = "?"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kib / (1 << 20)),
        "kernel": os.uname().release,
    }


def median(runs, server, load, size, clients, pick):
    values = [
        pick(run)
        for run in runs
        if (run["server"], run["load"], run["size"], run["clients"]) == (server, load, size, clients)
    ]
    return statistics.median(values) if values else None


def report(results: dict, options, names) -> str:
    runs, machine_of = results["runs"], results["machine"]
    lines = [
        f"Measured on {machine_of['date']}: {machine_of['cores']} cores ({machine_of['cpu']}), "
        f"{machine_of['memory_gib']} GiB, Linux {machine_of['kernel']}; client and servers on the "
        f"same machine and the same drive; {options.rounds} rounds of {options.seconds:g} s a cell, "
        f"median; bodies {options.payload}.",
        "",
    ]
    for load in ("put", "get"):
        for size in options.sizes:
            large = SIZES[size] >= 1 << 20
            unit = "MB/s" if large else "per s"

            def rate(run):
                return run["mb_per_second"] if large else run["per_second"]

            head = [f"{load.upper()} {size}, clients"]
            for name in names:
                head += [f"{name} {unit}", "p50 ms", "p99 ms", "CPU µs"]
            head += [f"ratio to {name}" for name in names[1:]]
            lines += [row(head), row(["---:"] * len(head))]
            for clients in options.clients:
                cells = [str(clients)]
                rates = []
                for name in names:
                    def of(pick):
                        return median(runs, name, load, size, clients, pick)

                    rates.append(of(rate))
                    cells += [
                        f"{rates[-1]:,.0f}",
                        f"{of(lambda run: run['latency_us']['p50']) / 1e3:.2f}",
                        f"{of(lambda run: run['latency_us']['p99']) / 1e3:.1f}",
                        f"{of(lambda run: run['cpu']['cpu_us_per_request'] or 0):,.0f}",
                    ]
                cells += [f"{rates[0] / other:.2f}" if other else "–" for other in rates[1:]]
                lines.append(row(cells))
            lines.append("")
    lines.append("The bare drive (`coffer bench drive`):\n")
    lines += [row(["durable 4 KiB writes", "writers", "per s", "p99 ms"]), row(["---", "---:", "---:", "---:"])]
    for commit in results["drive"]["commits"]:
        lines.append(row([
            commit["way"], str(commit["writers"]), f"{commit['per_second']:,.0f}",
            f"{commit['latency_us']['p99'] / 1e3:.1f}",
        ]))
    failed = sum(run["failed"] for run in runs)
    if failed:
        lines += ["", f"{failed} requests failed; see the JSON files."]
    return "\n".join(lines) + "\n"


def row(cells) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
