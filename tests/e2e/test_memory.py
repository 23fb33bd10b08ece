"""Memory stays small however much moves and however many connect.

COFFER_MEMORY_GB says how much goes up and down (the campaign: 10), COFFER_MEMORY_CONNECTIONS how
many connections are open (the campaign: 1,000).
"""

import os
import time

import figures

GB = float(os.environ.get("COFFER_MEMORY_GB", "1"))
CONNECTIONS = int(os.environ.get("COFFER_MEMORY_CONNECTIONS", "200"))


def test_an_idle_server_is_small(own_store):
    own_store.client().list_buckets()
    time.sleep(1)
    used = own_store.memory("VmRSS")
    figures.record("memory, idle", mb=round(used / 1e6))
    assert used < 64e6


def test_moving_much_holds_memory(own_store):
    size = 64 << 20
    count = max(int(GB * 1e9 / size), 1)
    own_store.bench("put", "--size", str(size), "-c", "8", "-n", str(count), "--payload", "unsigned")
    own_store.bench(
        "get", "--size", str(size), "-c", "8", "-n", str(count),
        "--objects", str(count), "--no-prepare",
    )
    used = own_store.memory("VmHWM")
    figures.record("memory, moved up and down", gb=GB, peak_mb=round(used / 1e6))
    assert used < 256e6


def test_many_open_connections_hold_memory(own_store):
    idle = []
    s3 = own_store.client()
    s3.create_bucket(Bucket="many")
    # A GET of 1 MiB on each connection, of which nothing is read yet.
    s3.put_object(Bucket="many", Key="read", Body=os.urandom(1 << 20))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "many", "Key": "read"})
    path = url.removeprefix(own_store.endpoint)
    host = own_store.endpoint.removeprefix("http://")
    try:
        for i in range(CONNECTIONS):
            connection = own_store.connect()
            idle.append(connection)
            if i % 2:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        run = own_store.bench("mixed", "--size", "64KiB", "-c", "64", "-n", "2000")
        assert all(op["failed"] == 0 for op in run["operations"])
        used = own_store.memory("VmHWM")
        figures.record("memory, connections", connections=CONNECTIONS, peak_mb=round(used / 1e6))
        assert used < 256e6
    finally:
        for connection in idle:
            connection.close()
