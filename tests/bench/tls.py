"""Coffer's TLS beside nginx's: GET of large objects over TLS 1.3, the same cipher, certificate,
client and machine, in pairs that follow each other within seconds, each second pair in the other
order. What counts is the ratio of a pair; the absolute figures are the machine's mood.

The client is h2load (Debian's nghttp2-client), which throws away what it gets."""

import argparse
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from running import Store  # noqa: E402: found by the line before

HERE = Path(__file__).resolve().parent
CIPHERS = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"]
BUCKET = "bench"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for figures")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--requests", type=int, default=192, help="in each half of a pair")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--objects", type=int, default=16)
    parser.add_argument("--mib", type=int, default=16, help="size of an object")
    parser.add_argument("--threads", type=int, default=2, help="of the client")
    parser.add_argument("--h2", action="store_true", help="HTTP/2 instead of HTTP/1.1")
    parser.add_argument("--buffer", default="512k", help="of nginx, each of two")
    parser.add_argument("--cipher", choices=CIPHERS, action="append")
    options = parser.parse_args()
    for program in ("nginx", "h2load", "openssl"):
        if not shutil.which(program):
            sys.exit(f"{program} is missing: apt-get install nginx-light nghttp2-client openssl")
    with tempfile.TemporaryDirectory(prefix="coffer-tls-") as root:
        figures = measure(Path(root), options)
    out = options.out / f"tls-{'h2' if options.h2 else 'h1'}.json"
    out.write_text(json.dumps(figures, indent=1))
    print(f"figures: {out}")


def measure(root: Path, options) -> dict:
    cert, key = root / "cert.pem", root / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )
    files = root / "files" / BUCKET
    files.mkdir(parents=True)
    # Below /tmp for all: nginx's workers leave root.
    for folder in (root, root / "files", files):
        folder.chmod(0o755)
    warnings.simplefilter("ignore")  # that the client below checks no certificate
    store = Store(root / "store", flags=["--tls-cert", cert, "--tls-key", key]).start()
    try:
        s3 = store.client(verify=False)
        s3.create_bucket(Bucket=BUCKET)
        urls = []
        for i in range(options.objects):
            body = random.Random(i).randbytes(options.mib << 20)
            (files / f"o{i}").write_bytes(body)
            s3.put_object(Bucket=BUCKET, Key=f"o{i}", Body=body)
            urls.append(
                s3.generate_presigned_url(
                    "get_object", Params={"Bucket": BUCKET, "Key": f"o{i}"}, ExpiresIn=86_400
                )
            )
        coffer = root / "coffer.urls"
        coffer.write_text("".join(f"{url}\n" for url in urls))
        figures = {"load_at_start": os.getloadavg(), "options": str(options), "ciphers": {}}
        for cipher in options.cipher or CIPHERS:
            figures["ciphers"][cipher] = compare(root, options, cert, key, files, coffer, cipher)
        return figures
    finally:
        store.kill()


def compare(root, options, cert, key, files, coffer, cipher) -> dict:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (HERE / "nginx-tls.conf").read_text()
    for name, value in {
        "ROOT": root, "PORT": port, "CERT": cert, "KEY": key, "CIPHER": cipher,
        "FILES": files.parent, "BUFFER": options.buffer,
    }.items():
        text = text.replace(f"@{name}@", str(value))
    (root / "nginx.conf").write_text(text)
    urls = root / "nginx.urls"
    base = f"https://127.0.0.1:{port}/{BUCKET}"
    urls.write_text("".join(f"{base}/o{i}\n" for i in range(options.objects)))
    nginx = subprocess.Popen(["nginx", "-p", root, "-c", root / "nginx.conf"])
    try:
        wait_for(port, nginx)
        for side in (coffer, urls):
            load(side, options, cipher)  # warm, not counted
        pairs = []
        for i in range(options.pairs):
            order = [("coffer", coffer), ("nginx", urls)]
            if i % 2:
                order.reverse()
            pair = {name: load(side, options, cipher) for name, side in order}
            pair["ratio"] = pair["coffer"] / pair["nginx"]
            pairs.append(pair)
            print(
                f"{cipher} pair {i + 1}: coffer {pair['coffer'] / 1e6:.0f} MB/s, "
                f"nginx {pair['nginx'] / 1e6:.0f} MB/s, ratio {pair['ratio']:.2f}",
                flush=True,
            )
    finally:
        nginx.terminate()
        nginx.wait(timeout=30)
    ratios = sorted(pair["ratio"] for pair in pairs)
    total = sum(p["coffer"] for p in pairs) / sum(p["nginx"] for p in pairs)
    median = statistics.median(ratios)
    print(
        f"{cipher}: ratio median {median:.2f}, of sums {total:.2f}, "
        f"from {ratios[0]:.2f} to {ratios[-1]:.2f}, {len(ratios)} pairs\n",
        flush=True,
    )
    return {"pairs": pairs, "median": median, "of_sums": total}


def wait_for(port: int, process):
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("nginx does not come up")
            time.sleep(0.05)


def load(urls: Path, options, cipher: str) -> float:
    """Bytes of bodies a second."""
    command = ["h2load", "-i", urls, "-c", options.clients, "-t", options.threads, "-m", 1,
               "-n", options.requests, "--tls13-ciphers", cipher, "-w", 24, "-W", 26]
    if not options.h2:
        command.append("--h1")
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=300)
    text = done.stdout
    failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", text)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    took = re.search(r"finished in ([\d.]+)(ms|s)", text)
    protocol = re.search(r"Cipher: (\S+)", text)
    if not (codes and failed and took and protocol) or done.returncode:
        raise SystemExit(f"h2load: {done.returncode}\n{text}\n{done.stderr}")
    if any(int(n) for n in codes.groups()[1:]) or int(codes[1]) != options.requests:
        raise SystemExit(f"not every request was answered well:\n{text}")
    if any(int(n) for n in failed.groups()):
        raise SystemExit(f"requests failed:\n{text}")
    if protocol[1] != cipher:
        raise SystemExit(f"the cipher is {protocol[1]}")
    seconds = float(took[1]) / (1000 if took[2] == "ms" else 1)
    return options.requests * (options.mib << 20) / seconds


if __name__ == "__main__":
    main()
