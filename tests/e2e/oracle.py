"""What a client may expect of its keys, whatever happens to the server.

The oracle knows each key's possible contents. A write that was answered leaves one; a write whose
answer never came leaves the old ones and the new one. Contents are compared whole.

It does not know in which order answers came to different workers: each key has one writer.
"""

import hashlib
import random
import threading
import time

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

PART_BYTES = 5 << 20
ABSENT = None


class Content:
    """The bytes that a seed gives; multipart if it was uploaded in parts."""

    def __init__(self, seed: int, size: int, parts=()):
        self.seed, self.size, self.parts = seed, size, tuple(parts)

    def bytes(self) -> bytes:
        return random.Random(self.seed).randbytes(self.size)

    def etag(self, data: bytes) -> str:
        if not self.parts:
            return f'"{hashlib.md5(data).hexdigest()}"'
        digests, offset = b"", 0
        for size in self.parts:
            digests += hashlib.md5(data[offset : offset + size]).digest()
            offset += size
        return f'"{hashlib.md5(digests).hexdigest()}-{len(self.parts)}"'

    def __repr__(self):
        return f"{self.size} bytes of seed {self.seed}, parts {self.parts}"


class Worker:
    """One client thread with keys of its own."""

    def __init__(self, name: str, seed: int, bucket: str, keys: int):
        self.random = random.Random(seed)
        self.bucket = bucket
        self.possible = {f"{name}/key-{i:03}": [ABSENT] for i in range(keys)}
        self.answered = 0
        self.broken = 0
        self.failure = None

    def run(self, s3, stop: threading.Event, killed: threading.Event):
        """Works until told to stop, or until the server is gone, which it may be once killed."""
        try:
            while not stop.is_set():
                self.step(s3)
        except Gone as gone:
            self.broken += 1
            if not killed.is_set():
                self.failure = gone
        except BaseException as failure:  # handed to the test's thread
            self.failure = failure

    def step(self, s3):
        key = self.random.choice(list(self.possible))
        roll = self.random.randrange(100)
        if roll < 45:
            self.put(s3, key, self.random.randrange(0, 6000))
        elif roll < 60:
            self.put(s3, key, self.random.randrange(6000, 250_000))
        elif roll < 68:
            self.put(s3, key, self.random.randrange(250_000, 3 << 20))
        elif roll < 82:
            self.write(key, ABSENT, lambda: s3.delete_object(Bucket=self.bucket, Key=key))
        elif roll < 87:
            self.delete_many(s3)
        elif roll < 92:
            self.multipart(s3, key)
        elif roll < 95:
            self.copy(s3, key)
        else:
            self.read(s3, key)

    def write(self, key: str, content, send):
        """Sends a write; until it is answered both the old and the new may be found."""
        before = list(self.possible[key])
        self.possible[key] = before + [content]
        self.ask(send)
        self.possible[key] = [content]

    def ask(self, send):
        try:
            answer = send()
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status in (500, 503):
                raise Gone from error
            raise
        except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
            raise Gone from error
        self.answered += 1
        return answer

    def content(self, size: int, parts=()) -> Content:
        return Content(self.random.getrandbits(64), size, parts)

    def put(self, s3, key: str, size: int):
        content = self.content(size)
        body = content.bytes()
        self.write(key, content, lambda: s3.put_object(Bucket=self.bucket, Key=key, Body=body))

    def delete_many(self, s3):
        keys = self.random.sample(list(self.possible), min(4, len(self.possible)))
        before = {key: list(self.possible[key]) for key in keys}
        for key in keys:
            self.possible[key] = before[key] + [ABSENT]
        answer = self.ask(
            lambda: s3.delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys]}
            )
        )
        assert not answer.get("Errors"), answer["Errors"]
        for key in keys:
            self.possible[key] = [ABSENT]

    def multipart(self, s3, key: str):
        last = self.random.randrange(1, 400_000)
        content = self.content(PART_BYTES + last, (PART_BYTES, last))
        data = content.bytes()
        upload = self.ask(lambda: s3.create_multipart_upload(Bucket=self.bucket, Key=key))
        names = {"Bucket": self.bucket, "Key": key, "UploadId": upload["UploadId"]}
        bodies = [data[:PART_BYTES], data[PART_BYTES:]]
        parts = []
        for number, body in enumerate(bodies, 1):
            part = self.ask(lambda: s3.upload_part(**names, PartNumber=number, Body=body))
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        if self.random.randrange(4) == 0:
            self.ask(lambda: s3.abort_multipart_upload(**names))
            return
        self.write(
            key,
            content,
            lambda: s3.complete_multipart_upload(**names, MultipartUpload={"Parts": parts}),
        )

    def copy(self, s3, key: str):
        sources = [k for k, v in self.possible.items() if len(v) == 1 and v[0] and k != key]
        if not sources:
            return
        source = self.random.choice(sources)
        original = self.possible[source][0]
        # A copy is one object, whatever the source's parts were.
        content = Content(original.seed, original.size)
        self.write(
            key,
            content,
            lambda: s3.copy_object(
                Bucket=self.bucket, Key=key, CopySource={"Bucket": self.bucket, "Key": source}
            ),
        )

    def read(self, s3, key: str):
        """Compares a key's bytes with what they may be; from then on that is what they are."""
        possible = self.possible[key]

        def get():
            try:
                reply = s3.get_object(Bucket=self.bucket, Key=key)
                return reply["Body"].read(), reply["ETag"]
            except s3.exceptions.NoSuchKey:
                return ABSENT

        found = self.ask(get)
        for content in reversed(possible):
            if content is ABSENT or found is ABSENT:
                if content is found:
                    break
                continue
            data, etag = found
            if len(data) != content.size or data != content.bytes():
                continue
            assert etag == content.etag(data), f"{key}: ETag {etag}, not {content.etag(data)}"
            break
        else:
            shown = "absent" if found is ABSENT else f"{len(found[0])} bytes"
            raise AssertionError(f"{key} is {shown}, and may be one of {possible}")
        self.possible[key] = [content]


class Gone(Exception):
    """The server broke off, or says that it can't tell: the outcome is unknown."""


def run_load(store, workers, seconds: float, kill: bool = True):
    """Lets the workers load the server, and kills it when the time is over."""
    stop, killed = threading.Event(), threading.Event()
    clients = [store.client() for _ in workers]
    threads = [
        threading.Thread(target=worker.run, args=(client, stop, killed), daemon=True)
        for worker, client in zip(workers, clients)
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    if kill:
        store.assert_alive()
        killed.set()
        store.kill()
    stop.set()
    for thread in threads:
        thread.join(timeout=180)
        assert not thread.is_alive(), "a client hangs"
    for worker in workers:
        if worker.failure:
            raise worker.failure


def verify(store, workers, others=()):
    """Every key holds what it may hold, and the listing shows exactly the keys that exist: the
    workers' and `others`, by their sizes."""
    s3 = store.client()
    for worker in workers:
        for key in worker.possible:
            worker.read(s3, key)
    bucket = workers[0].bucket
    listed = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 50}):
        for entry in page.get("Contents", []):
            assert entry["Key"] not in listed, f"{entry['Key']} is listed twice"
            listed[entry["Key"]] = entry["Size"]
    expected = {
        key: contents[0].size
        for worker in workers
        for key, contents in worker.possible.items()
        if contents[0] is not ABSENT
    } | dict(others)
    assert listed == expected, (
        f"listed but not there: {sorted(listed.keys() - expected.keys())[:5]}, "
        f"there but not listed: {sorted(expected.keys() - listed.keys())[:5]}, "
        f"other sizes: {[k for k in listed if expected.get(k, listed[k]) != listed[k]][:5]}"
    )


def abort_uploads(store, bucket: str) -> int:
    """Aborts every upload in progress; how many there were."""
    s3 = store.client()
    aborted = 0
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(
                Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )
            aborted += 1
    return aborted
