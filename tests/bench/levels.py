"""`coffer bench consistency` on six directories: latency by acknowledgement level."""

import json
import shutil
import subprocess

import faultfs
import peers
import running
from measuring import BUCKET, Bench
from small import started


def consistency(bench: Bench):
    """With no drive stalled and with one, into one picture."""
    if reason := faultfs.missing():
        bench.add("latency by acknowledgement level", "—", "a picture", f"not measured: {reason}", None)
        return
    folder = bench.folder("consistency")
    fs = faultfs.FaultFs(folder / "drives", drives=6, journal=False)
    coffer = peers.Coffer(folder / "coffer", drives=6, flags=["--erasure", "4+2", "--stall-limit-secs", "600"])
    coffer.store.drives = fs.data
    picture = bench.out / "consistency.svg"
    figures = bench.out / "consistency.json"
    try:
        started(coffer)
        # So few requests that the late drive keeps up: what a drive is behind with waits in a queue, and
        # a level that waits for all drives would show the length of that queue.
        seconds = 3 if bench.quick else 12
        command = [
            "consistency", "--endpoint", coffer.endpoint, "--bucket", BUCKET, "--payload",
            bench.options.payload, "-c", 4, "--rate", "400KiB", "--duration", f"{seconds}s", "--svg", picture, "--json", figures,
        ]
        measured(command, coffer, "no drive stalled", add=False)
        # It stalls for so long at every sync. One that gives no answer at all is given up after 3 s.
        fs.fault(0, "delay", "sync", "syncdir", ms=5)
        measured(command, coffer, "one drive stalls 5 ms at each sync", add=True)
    finally:
        fs.clear()
        coffer.stop()
        fs.end()
        shutil.rmtree(folder, ignore_errors=True)
    runs = json.loads(figures.read_text())["runs"]
    said = "; ".join(
        f"{run['case']}, {run['level']}: p50 {run['latency_us']['p50'] / 1e3:.2f} ms, "
        f"p99 {run['latency_us']['p99'] / 1e3:.1f} ms"
        for run in runs
    )
    bench.add("latency by acknowledgement level, PUT 4 KiB, 100/s by 4 clients, 4+2", "—", f"a picture: {picture}", said, None, runs)


def measured(command, coffer, case: str, add: bool):
    environment = running.clean_environment() | {
        "AWS_ACCESS_KEY_ID": coffer.access_key, "AWS_SECRET_ACCESS_KEY": coffer.secret_key,
    }
    done = subprocess.run(
        [str(running.binary()), "bench", *map(str, command), "--case", case, *(["--add"] if add else [])],
        env=environment, capture_output=True, text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"bench consistency ended with {done.returncode}: {done.stderr}")
