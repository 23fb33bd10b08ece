"""Ten minutes of everything at once: does it slow down, and how long does it stand still?"""

import json
import time

import peers
from measuring import BUCKET, Bench, drive, start
from small import started, stopped


def mixed(bench: Bench):
    """Slices of load with a probe of the bare drive between them: each slice's rate is divided by the
    probe's before it."""
    minutes = bench.options.minutes or (1 if bench.quick else 10)
    slice_s = 5 if bench.quick else 20
    folder = bench.folder("mixed")
    coffer = started(peers.Coffer(folder / "coffer", drives=6, flags=["--erasure", "4+2"]))
    flags = ["--size", "4KiB:90,256KiB:9,4MiB:1", "-c", 64, "--page", 100]
    bench.load(coffer, "put", "--prefix", "mixed/", "-n", 2000, *flags, seconds=0)
    slices, first = [], 0
    deadline = time.monotonic() + 60 * minutes
    try:
        while time.monotonic() < deadline:
            bare = drive(bench, folder, 64)["per_second"]
            figures = bench.out / "mixed.json"
            figures.unlink(missing_ok=True)
            command = [
                "mixed", "--endpoint", coffer.endpoint, "--bucket", BUCKET, "--payload",
                bench.options.payload, "--prefix", "mixed/", "--first", first, "--objects", 2000,
                "--duration", f"{slice_s}s", "--json", figures, *flags,
            ]
            # Each slice works on objects of its own; what the one before left is deleted by it.
            load = start([*command, "--clean"], coffer)
            said = load.communicate()[1]
            if load.returncode != 0:
                raise RuntimeError(f"bench mixed ended with {load.returncode}: {said}")
            run = json.loads(figures.read_text())
            first += 10_000_000
            rate = sum(op["per_second"] for op in run["operations"])
            stall = max(run["operations"], key=lambda op: op["latency_us"]["max"])
            slices.append({
                "rate": rate, "bare": bare, "ratio": rate / bare,
                "stall_ms": stall["latency_us"]["max"] / 1e3, "stalled": stall["name"],
            })
            print(
                f"  {rate:,.0f}/s, the bare drive {bare:,.0f}/s, longest {stall['name']} "
                f"{slices[-1]['stall_ms']:.0f} ms", flush=True,
            )
    finally:
        stopped(folder, coffer)
    early = max(1, round(60 / slice_s))
    begin = sum(part["ratio"] for part in slices[:early]) / len(slices[:early])
    end = sum(part["ratio"] for part in slices[-early:]) / len(slices[-early:])
    plain = sum(part["rate"] for part in slices[-early:]) / sum(part["rate"] for part in slices[:early])
    longest = max(slices, key=lambda part: part["stall_ms"])
    bench.add(
        f"mixed 70/20/5/5 GET/PUT/LIST/DELETE, 64 clients, 4+2, {minutes:g} minutes",
        "its own first minute, both divided by a bare-drive probe", "no decay over 10 %",
        f"{end / begin:.2f}× (undivided {plain:.2f}×); longest stall {longest['stall_ms']:.0f} ms "
        f"of a {longest['stalled']}",
        end / begin >= 0.9, slices,
    )
