"""Listings stay complete and ordered while writers run."""

import threading
import uuid

STABLE = 700


def test_pages_are_complete_and_ordered_while_writers_run(store, s3, bucket):
    stable = [f"dir-{i % 7}/stable-{i:04}" for i in range(STABLE)]
    for key in stable:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    stop, failures, writes = threading.Event(), [], [0]

    def churn(number: int):
        client = store.client()
        try:
            while not stop.is_set():
                key = f"dir-{number}/churn-{uuid.uuid4().hex}"
                client.put_object(Bucket=bucket, Key=key, Body=b"y")
                client.delete_object(Bucket=bucket, Key=key)
                writes[0] += 2
        except Exception as failure:  # handed to the test's thread
            failures.append(failure)

    threads = [threading.Thread(target=churn, args=(i,), daemon=True) for i in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            keys = []
            pages = s3.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, PaginationConfig={"PageSize": 37}
            )
            for page in pages:
                keys += [entry["Key"] for entry in page.get("Contents", [])]
            assert keys == sorted(set(keys)), "not in order, or a key twice"
            assert [key for key in keys if "/stable-" in key] == sorted(stable)
            prefixes = [
                entry["Prefix"]
                for page in s3.get_paginator("list_objects_v2").paginate(
                    Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2}
                )
                for entry in page.get("CommonPrefixes", [])
            ]
            assert prefixes == [f"dir-{i}/" for i in range(7)]
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=60)
    assert not failures, failures[0]
    assert writes[0] > 0
