"""One large file goes up in 8 parts, one of them cut off half way and sent again.

COFFER_PART_MB says how large a part is (the campaign: 200).
"""

import os
import random
import time

import figures
import multipart

PART_BYTES = int(float(os.environ.get("COFFER_PART_MB", "8")) * 1e6)
PARTS = 8


def part(number: int) -> bytes:
    return random.Random(number).randbytes(PART_BYTES)


def test_a_large_file_in_parts_one_of_which_broke_off(store, s3, bucket):
    began = time.monotonic()
    bodies = (part(number) for number in range(1, PARTS + 1))
    etag = multipart.upload_with_one_cut(store, s3, bucket, "large", bodies, cut=5)
    up_s = time.monotonic() - began

    began = time.monotonic()
    reply = s3.get_object(Bucket=bucket, Key="large")
    assert reply["ETag"] == etag and reply["ContentLength"] == PARTS * PART_BYTES
    for number in range(1, PARTS + 1):
        expected = memoryview(part(number))
        while expected:
            piece = reply["Body"].read(min(4 << 20, len(expected)))
            assert piece == expected[: len(piece)] and piece, f"part {number} has wrong bytes"
            expected = expected[len(piece) :]
    assert reply["Body"].read() == b""
    down_s = time.monotonic() - began

    for number in (1, 5, PARTS):
        by_number = s3.get_object(Bucket=bucket, Key="large", PartNumber=number)
        assert by_number["PartsCount"] == PARTS
        assert by_number["Body"].read() == part(number)
    seam = 5 * PART_BYTES
    ranged = s3.get_object(Bucket=bucket, Key="large", Range=f"bytes={seam - 1000}-{seam + 999}")
    assert ranged["Body"].read() == part(5)[-1000:] + part(6)[:1000]
    figures.record(
        "large", mb=PARTS * PART_BYTES / 1e6, up_s=round(up_s, 1), down_s=round(down_s, 1)
    )
