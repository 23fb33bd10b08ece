"""The measurements of docs/benchmarks.md: all of them, or those that are named. Each is measured
beside its reference in the same run, interleaved; a figure is the median of the rounds' ratios, with
their quartiles behind it.

`target/bench/results.md` and `results.json` have the results."""

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

import keys
import large
import levels
import long
import measuring
import small

MEASUREMENTS = {
    "small-puts": small.small_puts,
    "peers": small.beside_peers,
    "small-gets": small.small_gets,
    "large-gets": large.large_gets,
    "large-puts": large.large_puts,
    "interference": large.interference,
    "list": keys.listing,
    "complete": keys.complete,
    "mixed": long.mixed,
    "start": keys.starting,
    "consistency": levels.consistency,
}


class Options(argparse.Namespace):
    def absent(self, name: str) -> str:
        """Why a peer is not measured, or nothing."""
        program = name.split("-")[0]
        if program in self.without:
            return "left out"
        if program == "garage" and not os.environ.get("GARAGE_BIN"):
            return "Garage is not built (see --garage)"
        if program == "rustfs" and not os.environ.get("RUSTFS_BIN"):
            return "on request only: --rustfs PATH"
        return ""


def main():
    options = read_options()
    for name, path in (("GARAGE_BIN", options.garage), ("RUSTFS_BIN", options.rustfs)):
        if path:
            os.environ[name] = str(Path(path).resolve())
    bench = measuring.Bench(options)
    try:
        for name in options.measurements or MEASUREMENTS:
            print(f"{name} …", flush=True)
            begun = time.monotonic()
            bench.part(MEASUREMENTS[name])
            print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
            write(bench)
    finally:
        bench.close()
    print(f"written: {bench.out / 'results.md'}, {bench.out / 'results.json'}")
    if bench.failed:
        raise SystemExit("not measured: " + "; ".join(bench.failed))


def write(bench):
    machine = measuring.machine()
    results = [dataclasses.asdict(result) for result in bench.results]
    whole = {"machine": machine, "options": vars(bench.options), "failed": bench.failed, "results": results}
    (bench.out / "results.json").write_text(json.dumps(whole, indent=1, default=str) + "\n")
    load = ", ".join(f"{load:.1f}" for load in machine["load"])
    lines = [
        f"{machine['date']}: {machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}, load {load} at the end; client and servers on this machine and "
        f"one drive; {bench.pairs} rounds of {bench.seconds:g} s a cell; median (quartiles); bodies "
        f"{bench.options.payload}.",
        "",
        "| work | reference | target | measured | |",
        "|---|---|---|---|---|",
    ]
    for result in bench.results:
        said = {True: "met", False: "**missed**", None: ""}[result.met]
        cells = (result.work, result.reference, result.target, result.measured, said)
        lines.append("| " + " | ".join(cells) + " |")
    lines += [f"\nNot measured: {line}" for line in bench.failed]
    (bench.out / "results.md").write_text("\n".join(lines) + "\n")


def read_options() -> Options:
    parser = argparse.ArgumentParser(
        prog="cargo xtask bench", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("measurements", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--out", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--dir", help="where the servers keep their data (a directory on the drive to measure)")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 s, and fewer keys")
    parser.add_argument("--pairs", type=int, help="rounds [10]")
    parser.add_argument("--seconds", type=float, help="for each measurement [3]")
    parser.add_argument("--keys", type=int, help="of list and start [10,000,000; quick: 200,000]")
    parser.add_argument("--minutes", type=float, help="of mixed [10; quick: 1]")
    parser.add_argument("--payload", choices=["signed", "unsigned"], default="unsigned")
    parser.add_argument("--without", action="append", default=[], choices=["seaweedfs", "garage"])
    parser.add_argument("--garage", metavar="PATH", help="Garage's binary, instead of building it")
    parser.add_argument("--rustfs", metavar="PATH", help="RustFS's binary; it is measured only with this")
    options = parser.parse_args(namespace=Options())
    if unknown := [name for name in options.measurements if name not in MEASUREMENTS]:
        parser.error(f"there is no measurement {', '.join(unknown)}")
    return options


if __name__ == "__main__":
    main()
