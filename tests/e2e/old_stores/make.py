"""Makes a store of the format of the program it is given, for test_old_stores.py.

    COFFER_BIN=/path/to/coffer-of-then python tests/e2e/old_stores/make.py version-1

It writes `version-1.tar.xz` beside itself, once; a file that is there is never made again. For
`version-1` the program was built from commit 84f7c9b with checkpoints after 1 MiB of log instead
of 256 MiB, so that the store is small and has one.

Three drives, 2+1, in three lives: with all drives; without the last; with all again, and killed,
so that segments are open. What is in it is computed by `contents()`, which the test uses too.
"""

import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from running import Store  # noqa: E402

HERE = Path(__file__).resolve().parent
BUCKET = "old"


def body(name: str, size: int) -> bytes:
    """Bytes that differ from name to name, and compress well."""
    pattern = (name + "\n").encode()
    return (pattern * (size // len(pattern) + 1))[:size]


def contents(life: int) -> dict:
    """The objects that a life adds: none is written twice."""
    sizes = {"empty": 0, "small": 100, "page": 4096, "inline": 200_000, "bulk": 700_000}
    sizes |= {f"many/{i:04}": 10 + i for i in range(600 if life <= 3 else 20)}
    return {f"life{life}/{name}": size for name, size in sizes.items()}


def write(s3, life: int):
    for key, size in contents(life).items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body(key, size), Metadata={"life": str(life)})
    # In parts, to be read back as one.
    key = f"parts/life{life}"
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    data = body(key, 6 << 20)
    parts = []
    for number, part in enumerate((data[: 5 << 20], data[5 << 20 :]), 1):
        done = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=part)
        parts.append({"PartNumber": number, "ETag": done["ETag"]})
    s3.complete_multipart_upload(
        Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
    )
    # Written, overwritten and deleted: neither may come back.
    s3.put_object(Bucket=BUCKET, Key=f"changed/life{life}", Body=b"before")
    s3.put_object(Bucket=BUCKET, Key=f"changed/life{life}", Body=b"after")
    s3.put_object(Bucket=BUCKET, Key=f"gone/life{life}", Body=b"gone")
    s3.delete_object(Bucket=BUCKET, Key=f"gone/life{life}")


def make(name: str):
    archive = HERE / f"{name}.tar.xz"
    if archive.exists():
        sys.exit(f"{archive} is there, and old stores are never made again")
    folder = Path(tempfile.mkdtemp(prefix="coffer-old-"))
    store = Store(folder / "store", 3, ["--erasure", "2+1"])
    store.start()
    s3 = store.client()
    s3.create_bucket(Bucket=BUCKET)
    write(s3, 1)
    store.stop()
    away = store.drives[2].rename(store.root / "away")
    store.start("--degraded")
    write(store.client(), 2)
    deadline = time.monotonic() + 30
    while store.status("--degraded")["index"]["checkpoint_position"] is None:
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.2)
    store.stop()
    away.rename(store.drives[2])
    store.start()
    write(store.client(), 3)
    store.run("user", "add", "--policy", "readonly", "reader", "DIRS")
    store.kill()
    with tarfile.open(archive, "x:xz", preset=9) as tar:
        for drive in store.drives:
            for path in sorted(drive.rglob("*")):
                if path.is_file() and path.name not in ("lock", "LOCK", "admin.sock"):
                    tar.add(path, arcname=str(path.relative_to(store.root)))
    print(f"{archive}: {archive.stat().st_size} bytes")
    shutil.rmtree(folder)


if __name__ == "__main__":
    make(sys.argv[1])
