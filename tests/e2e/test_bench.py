"""The load generator tells the truth: it counts what the server counts, and notices wrong bytes."""

import pytest

LOADS = {
    "put": {"put"},
    "get": {"get"},
    "head": {"head"},
    "list": {"list"},
    "mixed": {"put", "get", "list", "delete"},
    "multipart": {"multipart", "part"},
    "delete": {"delete"},
}


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("payload", ["signed", "unsigned"])
def test_every_load_runs_without_a_failure(store, s3, load, payload):
    run = store.bench(
        load, "--size", "1KiB-600KiB", "-c", "4", "-n", "60", "--objects", "60",
        "--payload", payload, "--prefix", f"{load}-{payload}/", "--page", "25",
    )
    operations = {operation["name"]: operation for operation in run["operations"]}
    assert operations.keys() == LOADS[load]
    assert all(operation["failed"] == 0 for operation in run["operations"])
    whole = [operation["count"] for name, operation in operations.items() if name != "part"]
    assert sum(whole) == 60
    assert run["server"]["cpu_seconds"] > 0
    left = s3.list_objects_v2(Bucket="coffer-bench", Prefix=f"{load}-{payload}/")["KeyCount"]
    expected = {"put": 60, "get": 60, "head": 60, "list": 60, "multipart": 60, "delete": 0}
    assert left == expected.get(load, left)


def test_a_wrong_byte_fails_the_run(store, s3):
    common = ["-c", "2", "--size", "100KiB", "--prefix", "spoiled/", "--objects", "4"]
    store.bench("put", "-n", "4", *common)
    key = "spoiled/0000000002"
    body = bytearray(s3.get_object(Bucket="coffer-bench", Key=key)["Body"].read())
    assert len(body) == 100 << 10
    body[50_000] ^= 1
    s3.put_object(Bucket="coffer-bench", Key=key, Body=bytes(body))
    with pytest.raises(AssertionError, match=f"{key}: wrong byte at 50000 of 102400"):
        store.bench("get", "-n", "50", "--no-prepare", *common)


def test_uploads_keep_to_a_rate(store):
    run = store.bench(
        "put", "--size", "1MiB", "-c", "4", "-n", "8", "--rate", "8MiB", "--prefix", "paced/",
    )
    # The last of eight starts when seven have had their time.
    assert run["seconds"] > 0.8
    assert run["operations"][0]["count"] == 8


def test_the_bare_drive_is_measured(store, folder):
    done = store.run("bench", "drive", folder, "--duration", "100ms", "--stream", "16MiB")
    assert "fastest at 64" in done.stdout and "MB/s" in done.stdout
    assert list(folder.iterdir()) == []
