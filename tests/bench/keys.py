"""Many keys: listings, starts, memory; and an upload of many parts."""

import re
import shutil
import time
import xml.sax.saxutils
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import peers
from measuring import BUCKET, Bench, memory_kib, p99_us, ratios, values
from quick import Quick
from small import started, stopped

FEW = 10_000
PARTS = 10_000
PART_BYTES = 5 << 20

#: What `list` leaves for `start`.
filled = {}


def keys_of(bench: Bench) -> int:
    return bench.options.keys or (200_000 if bench.quick else 10_000_000)


def many_keys(bench: Bench):
    """A server with so many keys, in one bucket below one prefix: filled once for all."""
    if "server" not in filled:
        folder = bench.folder("many-keys")
        server = started(peers.Coffer(folder / "coffer"))
        filled.update(server=server, folder=folder)
        flags = ["--prefix", "many/", "--size", "64B", "-c", 64, "-n", keys_of(bench)]
        run = bench.load(server, "put", *flags, seconds=0)
        print(f"  {run['count']:,} objects at {run['per_second']:,.0f}/s", flush=True)
        filled["anonymous_max_kib"] = 0
        filled["last"] = f"many/{keys_of(bench) - 1:010}"
        note_memory()
    return filled["server"]


def note_memory():
    pid = filled["server"].pid
    now = memory_kib(pid, "RssAnon")
    filled["anonymous_max_kib"] = max(filled["anonymous_max_kib"], now)
    filled["peak_kib"] = max(filled.get("peak_kib", 0), memory_kib(pid, "VmHWM"))


def listing(bench: Bench):
    many = many_keys(bench)
    folder = bench.folder("few-keys")
    few = started(peers.Coffer(folder / "coffer", name="few"))
    flags = ["--prefix", "many/", "--size", "64B", "-c", 64, "-n", FEW]
    bench.load(few, "put", *flags, seconds=0)
    try:
        both_pages(bench, many, few, "")
        sequential(bench, many)
        deleted = keys_of(bench) // 10
        flags = ["--prefix", "many/", "--objects", deleted, "-c", 64]
        bench.load(many, "delete", *flags, seconds=0)
        both_pages(bench, many, few, f", after {deleted:,} deletes at the front")
        note_memory()
    finally:
        stopped(folder, few)


def both_pages(bench: Bench, many, few, when: str):
    n = keys_of(bench)
    for form, flags in {
        "flat": ["--prefix", "many/"],
        # All keys are one common prefix, which a listing must jump over.
        "delimited": ["--prefix", "", "--delimiter", "/"],
    }.items():
        def page(server):
            more = ["-c", 1, "--first-page", "--page", 1000, "--objects", 0]
            return lambda _: bench.load(server, "list", *flags, *more)

        rounds = bench.rounds({"many": page(many), "few": page(few)})
        ratio = ratios(rounds, "many", "few", p99_us)

        def p99_ms(run):
            return p99_us(run) / 1e3

        p99 = values(rounds, "many", p99_ms)
        bench.add(
            f"LIST, {n:,} keys, {form}, first page{when}", f"itself with {FEW:,} keys",
            "p99 ≤ 5 ms and within 1.5×",
            f"p99 {p99.text()} ms, {ratio.text()}×", p99.median <= 5 and ratio.median <= 1.5, rounds,
        )


def sequential(bench: Bench, many):
    def pages(_):
        return bench.load(many, "list", "--prefix", "many/", "-c", 1, "--page", 1000, "--objects", 0)

    rounds = bench.rounds({"coffer": pages})
    speed = values(rounds, "coffer", lambda run: run["keys_per_second"])
    bench.add(
        f"LIST, {keys_of(bench):,} keys, page after page, 1 client", "SeaweedFS 61–80 k, Garage 90–181 k",
        "≥ 300,000 keys/s", f"{speed.text('{:,.0f}')} keys/s", speed.median >= 300_000, rounds,
    )


def starting(bench: Bench):
    server = many_keys(bench)
    try:
        note_memory()
        clean, kill, cut, lost = [], [], [], []
        for number in range(3):
            server.stop()
            clean.append(start_seconds(server))
            write_some(bench, server, number)
            server.store.kill()
            kill.append(start_seconds(server))
            write_some(bench, server, 10 + number)
            server.store.kill()
            # What a power cut takes with it of the index is not in it after a kill either: a table
            # is in the tree's manifest when it was synced.
            drop_caches()
            cut.append(start_seconds(server))
        server.store.kill()
        for index in server.store.root.rglob("index"):
            shutil.rmtree(index)
        lost.append(start_seconds(server))
        n = keys_of(bench)
        for after, took, most in (
            ("a clean stop", clean, 1), ("a kill", kill, 3),
            ("a power cut (a kill, and nothing in the page cache)", cut, 10),
            ("a loss of the whole index", lost, None),
        ):
            bench.add(
                f"start with {n:,} objects after {after}", "—", f"≤ {most} s" if most else "—",
                ", ".join(f"{t:.2f}" for t in took) + " s", max(took) <= most if most else None,
            )
        note_memory()
        anonymous, peak = filled["anonymous_max_kib"] / 1024, filled["peak_kib"] / 1024
        bench.add(
            f"memory at {n:,} objects", "—",
            "≤ 16 B an object beyond a stated cache; peak anonymous RSS ≤ 512 MB",
            f"anonymous {anonymous:.0f} MiB, peak of all {peak:.0f} MiB", anonymous <= 512,
        )
    finally:
        stopped(filled["folder"], server)
        filled.clear()


def start_seconds(server) -> float:
    """From starting the process until an object was read."""
    begun = time.monotonic()
    server.start()
    client = Quick(server.endpoint)
    last = filled["last"]
    assert client.get(BUCKET, last) is not None, f"{last} is lost"
    took = time.monotonic() - begun
    client.close()
    return took


def write_some(bench: Bench, server, number: int):
    """What a start after a kill has to replay."""
    bench.load(server, "put", "--prefix", f"late-{number}/", "--size", "4KiB", "-c", 16, "-n", 5000, seconds=0)
    filled["last"] = f"late-{number}/0000004999"


def drop_caches():
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
    except PermissionError:
        print("  only root drops the page cache; it stays", flush=True)


def complete(bench: Bench):
    """One upload: its parts are real ones of 5 MiB, and as many as fit into a fifth of the free room."""
    folder = bench.folder("complete")
    fit = shutil.disk_usage(folder).free // 5 // PART_BYTES
    parts = min(500 if bench.quick else PARTS, fit)
    coffer = started(peers.Coffer(folder / "coffer"))
    try:
        client = Quick(coffer.endpoint)
        client.send("PUT", f"/{BUCKET}")
        took_ms = 1e3 * upload(client, coffer, "large", parts)
    finally:
        stopped(folder, coffer)
    is_whole = parts == PARTS
    said = "" if is_whole else f"; {PARTS:,} parts of 5 MiB were not uploaded"
    bench.add(
        f"complete a {parts:,}-part upload", "—", f"≤ 50 ms at {PARTS:,} parts",
        f"{took_ms:.1f} ms{said}", took_ms <= 50 if is_whole else None,
    )


def upload(client: Quick, coffer, key: str, parts: int) -> float:
    """Seconds that completing took."""
    status, _, reply = client.send("POST", f"/{BUCKET}/{key}", [("uploads", "")])
    assert status == 200, reply
    upload_id = re.search(rb"<UploadId>([^<]*)", reply)[1].decode()

    def send(numbers):
        mine = Quick(coffer.endpoint)
        tags = []
        for number in numbers:
            query = [("partNumber", str(number)), ("uploadId", upload_id)]
            body = number.to_bytes(4, "little") * (PART_BYTES // 4)
            status, headers, reply = mine.send("PUT", f"/{BUCKET}/{key}", query, body)
            assert status == 200, reply
            tags.append((number, headers["ETag"]))
        mine.close()
        return tags

    with ThreadPoolExecutor(4) as pool:
        numbers = range(1, parts + 1)
        tags = sorted(sum(pool.map(send, [numbers[start::4] for start in range(4)]), []))
    body = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{xml.sax.saxutils.escape(tag)}</ETag></Part>"
        for number, tag in tags
    )
    document = f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>".encode()
    # The connection was idle for so long that the server may have closed it.
    client = Quick(coffer.endpoint)
    assert client.send("HEAD", f"/{BUCKET}")[0] == 200
    begun = time.monotonic()
    status, _, reply = client.send("POST", f"/{BUCKET}/{key}", [("uploadId", upload_id)], document)
    took = time.monotonic() - begun
    client.close()
    assert status == 200 and b"<ETag>" in reply, reply
    return took


