"""PUT and GET of 16 MiB, and small PUTs beside large ones."""

import hashlib
import shutil
import time

import peers
from measuring import (
    BUCKET, Bench, cpu_gb, mb, p99_us, ratios, spread, start, values, wait,
)
from quick import Quick
from small import fill, load_of, puts, started, stopped

SIZE = ["--size", "16MiB"]
OBJECTS = 32
ERASURE = ["--erasure", "4+2"]
GETTERS = 4


def large_gets(bench: Bench):
    bench.part(beside_nginx)
    bench.part(two_drives_lost)


def beside_nginx(bench: Bench):
    folder = bench.folder("large-gets")
    coffer = started(peers.Coffer(folder / "coffer", drives=6, flags=ERASURE))
    nginx = peers.Nginx(folder / "nginx", BUCKET)
    servers = {"coffer": coffer, "nginx": nginx}
    if not bench.options.absent("rustfs"):
        servers["rustfs"] = started(peers.RustFs(folder / "rustfs"))
    try:
        fill(bench, servers, nginx, SIZE, OBJECTS)
        nginx.start()
        measures = {
            name: load_of(bench, server, "get", SIZE, OBJECTS, GETTERS)
            for name, server in servers.items()
        }
        for measure in measures.values():
            measure(0)  # warm, not counted
        rounds = bench.rounds(measures)
    finally:
        stopped(folder, *servers.values())
    work = f"GET 16 MiB, 4+2, {GETTERS} clients, plaintext HTTP/1.1"
    ratio, cpu = ratios(rounds, "coffer", "nginx", mb), ratios(rounds, "coffer", "nginx", cpu_gb)
    bench.add(
        work, "nginx sendfile",
        "≥ 0.8× throughput, CPU s/GB ≤ 1.7× (reaching for 1.25×)",
        f"{ratio.text()}×, CPU {cpu.text()}×; {values(rounds, 'coffer', mb).text('{:,.0f}')} MB/s at "
        f"{values(rounds, 'coffer', cpu_gb).text()} CPU s/GB beside "
        f"{values(rounds, 'nginx', mb).text('{:,.0f}')} MB/s at {values(rounds, 'nginx', cpu_gb).text()}",
        ratio.median >= 0.8 and cpu.median <= 1.7, rounds,
    )
    if "rustfs" in servers:
        ratio = ratios(rounds, "coffer", "rustfs", mb)
        bench.add(work, "RustFS", "ahead", f"{ratio.text()}×", ratio.median > 1, rounds)
    else:
        bench.add(
            work, "RustFS (1.7 GB/s, 0.9 CPU s/GB when first measured)", "ahead",
            f"{values(rounds, 'coffer', mb).text('{:,.0f}')} MB/s at "
            f"{values(rounds, 'coffer', cpu_gb).text()} CPU s/GB; {bench.options.absent('rustfs')}", None,
        )


def two_drives_lost(bench: Bench):
    folder = bench.folder("two-lost")
    whole = started(peers.Coffer(folder / "whole", drives=6, flags=ERASURE, name="whole"))
    lossy = started(peers.Coffer(folder / "lossy", drives=6, flags=ERASURE, name="two-lost"))
    try:
        for server in (whole, lossy):
            flags = ["--prefix", "get/", "-n", OBJECTS, "-c", 8, *SIZE]
            bench.load(server, "put", *flags, seconds=0)
        # The index is on the first.
        for drive in lossy.store.drives[-2:]:
            shutil.rmtree(drive)
        measures = {
            server.name: load_of(bench, server, "get", SIZE, OBJECTS, GETTERS)
            for server in (whole, lossy)
        }
        for measure in measures.values():
            measure(0)
        rounds = bench.rounds(measures)
    finally:
        stopped(folder, whole, lossy)
    ratio = ratios(rounds, "two-lost", "whole", mb)
    bench.add(
        f"GET 16 MiB, 4+2, {GETTERS} clients, two drives lost", "Coffer with all drives", "≥ 0.7×",
        f"{ratio.text()}×; {values(rounds, 'two-lost', mb).text('{:,.0f}')} MB/s at "
        f"{values(rounds, 'two-lost', cpu_gb).text()} CPU s/GB beside "
        f"{values(rounds, 'whole', mb).text('{:,.0f}')} MB/s at {values(rounds, 'whole', cpu_gb).text()}",
        ratio.median >= 0.7, rounds,
    )


def md5_seconds_per_gb(_=None) -> float:
    """OpenSSL's MD5 on one core, over what does not fit into a cache of the core."""
    block = bytes(range(256)) * (16 << 12)
    total = 0
    begun = time.thread_time()
    while time.thread_time() - begun < 0.5:
        hashlib.md5(block, usedforsecurity=False).digest()
        total += len(block)
    return (time.thread_time() - begun) * 1e9 / total


def large_puts(bench: Bench):
    for clients in (1, 16):
        folder = bench.folder(f"large-puts-{clients}")
        servers = {"coffer": peers.Coffer(folder / "coffer", drives=6, flags=ERASURE)}
        makes = {
            "seaweedfs": lambda: peers.SeaweedFs(folder / "weed", fsync=False),
            "garage": lambda: peers.Garage(folder / "garage", False, BUCKET),
        }
        for name, make in makes.items():
            if not bench.options.absent(name):
                servers[name] = make()
        try:
            for server in servers.values():
                server.start()
            measures = {
                name: large_put(bench, server, clients) for name, server in servers.items()
            }
            rounds = bench.rounds({**measures, "md5": md5_seconds_per_gb})
        finally:
            stopped(folder, *servers.values())
        tell_large_puts(bench, clients, rounds, makes)


def large_put(bench: Bench, server, clients: int):
    """The objects of a round are deleted after it, so that the drive does not fill."""

    def measure(number):
        flags = ["-c", clients, *SIZE, "--prefix", f"large-{number}/"]
        return bench.load(server, "put", *flags, "--clean")

    return measure


def tell_large_puts(bench: Bench, clients: int, rounds, makes):
    mine = values(rounds, "coffer", cpu_gb)
    floor = spread([measured["md5"] for measured in rounds])
    speed = values(rounds, "coffer", mb)
    said = f"{mine.text()} CPU s/GB, MD5 alone {floor.text()}; {speed.text('{:,.0f}')} MB/s"
    if clients == 1:
        above = spread([measured["coffer"]["cpu_s_per_gb"] - measured["md5"] for measured in rounds])
        bench.add(
            "PUT 16 MiB, 4+2, 1 client", "MD5 on one core", "CPU ≤ 1.3 s/GB above hashing",
            f"{above.text()} above; {said}", above.median <= 1.3, rounds,
        )
    else:
        bench.add(
            f"PUT 16 MiB, 4+2, {clients} clients", "MD5 on one core", "CPU ≤ 1.2 s/GB in all",
            said, mine.median <= 1.2, rounds,
        )
    for name, least in {"seaweedfs": 5, "garage": 1}.items():
        work = f"PUT 16 MiB, 4+2, {clients} client{'s' if clients > 1 else ''}"
        target = "≥ 5×" if least > 1 else "ahead"
        if name not in rounds[0]:
            bench.add(work, name, target, f"not measured: {bench.options.absent(name)}", None)
            continue
        ratio = ratios(rounds, "coffer", name, mb)
        bench.add(
            work, name, target,
            f"{ratio.text()}×; {speed.text('{:,.0f}')} MB/s beside "
            f"{values(rounds, name, mb).text('{:,.0f}')} MB/s at "
            f"{values(rounds, name, cpu_gb).text()} CPU s/GB",
            ratio.median >= least, rounds,
        )


def interference(bench: Bench):
    folder = bench.folder("interference")
    coffer = started(peers.Coffer(folder / "coffer"))
    small = puts(bench, coffer, 16)

    def beside(number):
        seconds = bench.seconds + 2
        large = start(
            ["put", "--endpoint", coffer.endpoint, "--bucket", BUCKET, "--payload",
             bench.options.payload, *SIZE, "-c", 4, "--rate", "200MB", "--duration", f"{seconds}s",
             "--prefix", f"beside-{number}/", "--clean"],
            coffer,
        )
        first = f"/{BUCKET}/beside-{number}/{0:010}"
        s3 = Quick(coffer.endpoint)
        wait(lambda: s3.send("HEAD", first)[0] == 200, "the large uploads have begun")
        s3.close()
        figures = small(1000 + number)
        said = large.communicate()[1]
        if large.returncode != 0:
            raise RuntimeError(f"the large uploads ended with {large.returncode}: {said}")
        return figures

    try:
        small(999)  # makes the bucket, and warms up
        rounds = bench.rounds({"alone": small, "beside": beside})
    finally:
        stopped(folder, coffer)
    ratio = ratios(rounds, "beside", "alone", p99_us)

    def p99_ms(run):
        return p99_us(run) / 1e3

    bench.add(
        "PUT 4 KiB p99, 16 clients, while four large uploads run at 200 MB/s together",
        "itself alone", "≤ 4×",
        f"{ratio.text('{:.1f}')}×; {values(rounds, 'beside', p99_ms).text('{:.1f}')} ms beside "
        f"{values(rounds, 'alone', p99_ms).text('{:.1f}')} ms",
        ratio.median <= 4, rounds,
    )
