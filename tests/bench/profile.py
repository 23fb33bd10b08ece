"""Where the instructions of a hot path go, from what `cargo xtask budget` left in target/budget: a
table by part, and a flame graph.

The profile is the difference of two, of 2n and of n requests, so that starting and filling cancel
out. Callgrind records who called whom and what that cost, not whole stacks: a function's cost is
shared out among its callers as they caused it.

    python3 tests/bench/profile.py put-4KiB docs/benchmarks/put-4KiB.svg
"""

import re
import sys
from collections import defaultdict
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "target" / "budget"

#: The first that a function's name holds says which part it belongs to.
PARTS = [
    ("simulated drive", ["drive::sim", "SimFile", "SimDrive"]),
    ("benchmark's client", ["coffer_bench::", "duplex", "tokio::io::util::mem"]),
    ("SHA-256 (signature; no SHA instructions here)", ["sha2::", "hmac::", "digest::core_api"]),
    ("MD5 (ETag)", ["md5::", "coffer_md5"]),
    ("checksums", ["crc_fast", "xxhash", "crc"]),
    ("signature", ["coffer_sigv4"]),
    ("index engine", ["lsm_tree", "crossbeam_skiplist", "quick_cache"]),
    ("catalog", ["coffer_catalog"]),
    ("log", ["coffer_log", "rusty_erasure"]),
    ("objects", ["coffer_objects"]),
    ("identity and policies", ["coffer_identity", "coffer_iam"]),
    ("S3", ["coffer_s3", "quick_xml"]),
    ("HTTP", ["hyper", "httparse", "coffer_http", "http::", "h2::", "http_body"]),
    ("runtime", ["tokio", "futures", "mio"]),
    ("memory: allocating", ["malloc", "free", "calloc", "realloc", "_int_", "unlink_chunk", "__rust", "__rdl", "raw_vec"]),
    ("memory: copying, clearing, comparing", ["memcpy", "memset", "memmove", "memcmp", "__memc", "__memm", "__mems"]),
    ("formatting and text", ["core::fmt", "alloc::fmt", "core::str", "alloc::string", "memchr", "core::num"]),
]


def main():
    name, out = sys.argv[1], Path(sys.argv[2])
    files = sorted(FOLDER.glob(f"{name}-*.callgrind"), key=lambda path: int(path.stem.rsplit("-", 1)[1]))
    if len(files) != 2:
        raise SystemExit(f"{FOLDER} has no two profiles of {name}: cargo xtask budget {name}")
    once, twice = map(read, files)
    requests = int(files[0].stem.rsplit("-", 1)[1])
    self_cost = {f: (twice[0][f] - once[0].get(f, 0)) / requests for f in twice[0]}
    arcs = {arc: (twice[1][arc] - once[1].get(arc, 0)) / requests for arc in twice[1]}
    self_cost = {f: cost for f, cost in self_cost.items() if cost > 0}
    arcs = {arc: cost for arc, cost in arcs.items() if cost > 0 and arc[0] != arc[1]}
    total = sum(self_cost.values())
    parts = defaultdict(float)
    for function, cost in self_cost.items():
        parts[part(function)] += cost
    print(f"{name}: {total:,.0f} instructions a request\n\n| part | instructions | |\n|---|---:|---:|")
    for text, cost in sorted(parts.items(), key=lambda item: -item[1]):
        if cost >= total / 200:
            print(f"| {text} | {cost:,.0f} | {100 * cost / total:.0f} % |")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(draw(f"{name}: {total:,.0f} instructions a request", self_cost, arcs, total))


def part(function: str) -> str:
    for text, words in PARTS:
        if any(word in function for word in words):
            return text
    return "other"


def read(path: Path):
    """Own cost by function, and inclusive cost by (caller, callee)."""
    names, own, arcs = {}, defaultdict(int), defaultdict(int)
    function = callee = None
    is_call = False
    spec = re.compile(r"\((\d+)\)(?: (.*))?$")

    def named(text: str) -> str:
        number, name = spec.match(text).groups()
        if name is not None:
            names[number] = tidy(name)
        return names[number]

    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("fn="):
            function = named(line[3:])
        elif line.startswith("cfn="):
            callee = named(line[4:])
        elif line.startswith("calls="):
            is_call = True
        elif line and (line[0].isdigit() or line[0] in "+-*"):
            fields = line.split()
            cost = int(fields[1]) if len(fields) > 1 else 0
            if is_call:
                arcs[function, callee] += cost
                is_call = False
            else:
                own[function] += cost
    return own, arcs


def tidy(name: str) -> str:
    """Without hashes, crate numbers and what callgrind adds for recursion."""
    name = re.sub(r"::h[0-9a-f]{16}\b", "", name)
    name = re.sub(r"\[[0-9a-f]{8,}\]", "", name)
    return re.sub(r"'\d+$", "", name)


WIDTH, ROW, LEAST = 1200, 17, 0.002


def draw(title: str, own, arcs, total: float) -> str:
    callees = defaultdict(list)
    for (caller, callee), cost in arcs.items():
        callees[caller].append((callee, cost))
    inclusive = defaultdict(float, own)
    for (caller, _), cost in arcs.items():
        inclusive[caller] += cost
    boxes, deepest = [], 0

    def place(function: str, cost: float, x: float, depth: int, above: frozenset):
        nonlocal deepest
        if cost < total * LEAST or depth > 60:
            return
        deepest = max(deepest, depth)
        boxes.append((x, depth, cost, function))
        whole = max(inclusive[function], 1)
        for callee, part_cost in sorted(callees[function], key=lambda item: -item[1]):
            if callee not in above:
                share = cost * part_cost / whole
                place(callee, share, x, depth + 1, above | {callee})
                x += share

    # What is below says nothing.
    start = max((f for f in inclusive if f.endswith("path::Path::run")), key=lambda f: inclusive[f])
    place(start, total, 0, 0, frozenset([start]))
    height = (deepest + 3) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="monospace" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<text x="4" y="13" font-size="13">{escape(title)}</text>',
    ]
    for x, depth, cost, function in boxes:
        left, width = x / total * WIDTH, cost / total * WIDTH
        y = height - (depth + 1) * ROW
        said = escape(short(function)[: int(width / 6.7)]) if width > 24 else ""
        lines.append(
            f'<g><title>{escape(function[:160])}: {cost:,.0f} ({100 * cost / total:.1f} %)</title>'
            f'<rect x="{left:.1f}" y="{y}" width="{max(width - 0.4, 0.3):.1f}" height="{ROW - 1}" '
            f'fill="{colour(function)}"/>'
            + (f'<text x="{left + 2:.1f}" y="{y + 12}">{said}</text>' if said else "")
            + "</g>"
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def short(function: str) -> str:
    """The last two names of a path."""
    function = re.sub(r"<[^<>]*>", "", re.sub(r"<[^<>]*>", "", function))
    names = [name for name in function.split("::") if name and name != "{{closure}}"]
    return "::".join(names[-2:])


COLOURS = {
    "simulated drive": "#d0d0d0", "benchmark's client": "#e0e0e0", "HTTP": "#9ecae1", "runtime": "#c6dbef",
    "S3": "#a1d99b", "signature": "#fdae6b", "SHA-256 (signature; no SHA instructions here)": "#fd8d3c",
    "MD5 (ETag)": "#e6550d", "checksums": "#fdd0a2", "objects": "#74c476", "catalog": "#bcbddc",
    "log": "#9e9ac8", "index engine": "#dadaeb", "identity and policies": "#c7e9c0",
}


def colour(function: str) -> str:
    return COLOURS.get(part(function), "#f2e2b3")


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    main()
