"""PUT, GET and HEAD of 4 KiB."""

import os
import shutil
from pathlib import Path

import faultfs
import peers
from measuring import (
    BUCKET, Bench, cpu_us, drive, p50_us, p99_us, rate, ratios, spread, values,
)
from quick import Quick

SIZE = ["--size", "4KiB"]
OBJECTS = 2000
#: `coffer bench drive` and the null server name the ways of a durable write differently.
WAYS = {
    "O_DIRECT, O_DSYNC": "direct-dsync",
    "buffered, fdatasync": "buffered-sync",
    "buffered, O_DSYNC": "buffered-dsync",
}


def small_puts(bench: Bench):
    bare = drive(bench, bench.folder("drive"), 64)
    way = WAYS[bare["way"]]
    bench.part(one_client)
    bench.part(fixed_sync)
    bench.part(beside_null, way, 1, bare)
    bench.part(beside_null, way, 6, bare)


def puts(bench: Bench, server, clients: int):
    """A measure of PUTs under new keys each time."""

    def measure(number):
        first = ["--first", number * 10_000_000, "--prefix", f"put-{clients}/"]
        return bench.load(server, "put", *SIZE, "-c", clients, *first)

    return measure


def one_client(bench: Bench):
    folder = bench.folder("one-client")
    coffer = started(peers.Coffer(folder / "coffer"))
    try:
        rounds = bench.rounds({
            "coffer": puts(bench, coffer, 1),
            "bare": lambda _: drive(bench, folder, 1, bench.seconds / 3),
        })
    finally:
        stopped(folder, coffer)
    beyond = spread([p50_us(run["coffer"]) - p50_us(run["bare"]) for run in rounds])
    whole, bare = values(rounds, "coffer", p50_us), values(rounds, "bare", p50_us)
    bench.add(
        "PUT 4 KiB, 1 client", "bare write", "p50 ≤ bare + 150 µs",
        f"bare + {beyond.text('{:.0f}')} µs (p50 {whole.text('{:.0f}')} µs, bare {bare.text('{:.0f}')} µs)",
        beyond.median <= 150, rounds,
    )


def fixed_sync(bench: Bench):
    """A drive whose every sync takes a millisecond longer."""
    work = "PUT 4 KiB, 1 client, every sync takes 1 ms"
    target = "p99 outside the sync ≤ 1 ms"
    if reason := faultfs.missing():
        bench.add(work, "the drive's sync", target, f"not measured: {reason}", None)
        return
    os.environ.setdefault("COFFER_FAULTFS_BIN", str(Path("target/release/coffer-faultfs").resolve()))
    folder = bench.folder("fixed-sync")
    fs = faultfs.FaultFs(folder / "drives", drives=1, journal=False)
    coffer = peers.Coffer(folder / "coffer")
    coffer.store.drives = fs.data
    try:
        started(coffer)
        fs.fault(0, "delay", "sync", "syncdir", ms=1)
        bare = fs.mounts[0] / "bare"
        bare.mkdir()
        rounds = bench.rounds({
            "coffer": puts(bench, coffer, 1),
            "bare": lambda _: drive(bench, bare, 1, bench.seconds / 3),
        })
    finally:
        coffer.stop()
        fs.end()
        shutil.rmtree(folder, ignore_errors=True)
    beyond = spread([(p99_us(run["coffer"]) - p50_us(run["bare"])) / 1e3 for run in rounds])
    bare = values(rounds, "bare", lambda run: p50_us(run) / 1e3)
    bench.add(
        work, f"the same drive's bare write, p50 {bare.text()} ms", target,
        f"{beyond.text()} ms", beyond.median <= 1, rounds,
    )


def beside_null(bench: Bench, way: str, drives: int, bare: dict):
    folder = bench.folder(f"null-{drives}")
    files = 1 if drives == 1 else 3
    null = started(peers.NullServer(folder / "null", files, way))
    flags = [] if drives == 1 else ["--erasure", "4+2"]
    coffer = started(peers.Coffer(folder / "coffer", drives=drives, flags=flags))
    try:
        rounds = bench.rounds({
            "coffer": puts(bench, coffer, 64), "null": puts(bench, null, 64),
        })
    finally:
        stopped(folder, coffer, null)
    ratio, mine = ratios(rounds, "coffer", "null", rate), values(rounds, "coffer", rate)
    theirs = values(rounds, "null", rate)
    cpu = ratios(rounds, "coffer", "null", cpu_us)
    text = (
        f"{ratio.text()}×; {mine.text('{:,.0f}')}/s beside {theirs.text('{:,.0f}')}/s; "
        f"CPU a request {values(rounds, 'coffer', cpu_us).text('{:.0f}')} µs, {cpu.text()}×"
    )
    if drives == 1:
        text += f"; the bare drive {bare['per_second']:,.0f}/s ({bare['way']})"
        met = ratio.median >= 0.7 and mine.median >= 10_000
        bench.add("PUT 4 KiB, 64 clients, 1 drive", "null server", "≥ 0.7× and ≥ 10,000/s", text, met, rounds)
    else:
        bench.add(
            "PUT 4 KiB, 64 clients, 4+2 on six directories", "null server over 3 files", "≥ 0.7×",
            text, ratio.median >= 0.7, rounds,
        )


def beside_peers(bench: Bench):
    folder = bench.folder("peers")
    servers = {"coffer": peers.Coffer(folder / "coffer")}
    wanted = {
        "seaweedfs-fsync": (10, lambda: peers.SeaweedFs(folder / "weed-fsync", fsync=True)),
        "seaweedfs": (4, lambda: peers.SeaweedFs(folder / "weed", fsync=False)),
        "garage-fsync": (100, lambda: peers.Garage(folder / "garage-fsync", True, BUCKET)),
        "garage": (8, lambda: peers.Garage(folder / "garage", False, BUCKET)),
        "rustfs": (50, lambda: peers.RustFs(folder / "rustfs")),
    }
    for name, (_, make) in wanted.items():
        if reason := bench.options.absent(name):
            bench.add("PUT 4 KiB, 64 clients", name, f"≥ {wanted[name][0]}×", f"not measured: {reason}", None)
        else:
            servers[name] = make()
    try:
        for server in servers.values():
            server.start()
        rounds = bench.rounds({name: puts(bench, server, 64) for name, server in servers.items()})
    finally:
        stopped(folder, *servers.values())
    for name in servers:
        if name == "coffer":
            continue
        at_least = wanted[name][0]
        ratio = ratios(rounds, "coffer", name, rate)
        bench.add(
            "PUT 4 KiB, 64 clients", name, f"≥ {at_least}×",
            f"{ratio.text('{:.1f}')}×; {values(rounds, 'coffer', rate).text('{:,.0f}')}/s beside "
            f"{values(rounds, name, rate).text('{:,.0f}')}/s",
            ratio.median >= at_least, rounds,
        )


def small_gets(bench: Bench):
    folder = bench.folder("gets")
    coffer = started(peers.Coffer(folder / "coffer"))
    nginx = peers.Nginx(folder / "nginx", BUCKET)
    servers = {"coffer": coffer, "nginx": nginx}
    for name in ("seaweedfs",):
        if not bench.options.absent(name):
            servers[name] = started(peers.SeaweedFs(folder / "weed", fsync=False))
    try:
        fill(bench, servers, nginx, SIZE, OBJECTS)
        nginx.start()
        for kind in ("get", "head"):
            measures = {
                name: load_of(bench, server, kind, SIZE, OBJECTS, 64)
                for name, server in servers.items()
            }
            for measure in measures.values():
                measure(0)  # warm, not counted
            rounds = bench.rounds(measures)
            tell_gets(bench, kind.upper(), rounds, servers)
    finally:
        stopped(folder, *servers.values())


def tell_gets(bench: Bench, kind: str, rounds, servers):
    ratio, cpu = ratios(rounds, "coffer", "nginx", rate), ratios(rounds, "coffer", "nginx", cpu_us)
    bench.add(
        f"{kind} 4 KiB, 64 clients, warm", "nginx, the same files",
        "≥ 0.6× requests/s and ≤ 2× CPU a request (reaching for 0.8× and 1.3×)",
        f"{ratio.text()}×, CPU {cpu.text()}×; {values(rounds, 'coffer', rate).text('{:,.0f}')}/s at "
        f"{values(rounds, 'coffer', cpu_us).text('{:.1f}')} µs beside "
        f"{values(rounds, 'nginx', rate).text('{:,.0f}')}/s at "
        f"{values(rounds, 'nginx', cpu_us).text('{:.1f}')} µs",
        ratio.median >= 0.6 and cpu.median <= 2, rounds,
    )
    if "seaweedfs" in servers:
        ratio = ratios(rounds, "coffer", "seaweedfs", rate)
        bench.add(
            f"{kind} 4 KiB, 64 clients, warm", "SeaweedFS", "≥ 6×",
            f"{ratio.text('{:.1f}')}×; {values(rounds, 'seaweedfs', rate).text('{:,.0f}')}/s at "
            f"{values(rounds, 'seaweedfs', cpu_us).text('{:.0f}')} µs",
            ratio.median >= 6, rounds,
        )


def load_of(bench: Bench, server, kind: str, size, objects: int, clients: int):
    """A measure of reads of the objects that `fill` made."""
    flags = ["--prefix", "get/", "--objects", objects, "-c", clients, *size]
    return lambda _: bench.load(server, kind, *flags)


def fill(bench: Bench, servers: dict, nginx, size, objects: int):
    """The same objects on every server that takes them, and as files for nginx."""
    flags = ["--prefix", "get/", "-n", objects, "-c", 16, *size]
    for name, server in servers.items():
        if server is not nginx:
            bench.load(server, "put", *flags, seconds=0)
    coffer = servers["coffer"]
    client = Quick(coffer.endpoint)
    (nginx.files / BUCKET / "get").mkdir()
    for number in range(objects):
        key = f"get/{number:010}"
        (nginx.files / BUCKET / key).write_bytes(client.get(BUCKET, key)[0])


def started(server):
    server.start()
    return server


def stopped(folder: Path, *servers):
    """Stops servers and removes what they wrote."""
    for server in servers:
        server.stop()
    shutil.rmtree(folder, ignore_errors=True)
