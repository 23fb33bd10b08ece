"""Clients that write down what they see: a history, for `coffer-sim check-history`.

Each request is one record with the moments before it was sent and after its answer was there, of
one monotonic clock. A request whose answer never came, or does not tell, is recorded as unknown;
it can't take effect after the process that had its connection is dead. Requests that never left
(no connection) are not recorded, nor are reads without an answer: they say nothing.
docs/design/history.md says what the checker makes of them.
"""

import base64
import collections
import datetime
import hashlib
import hmac
import http.client
import json
import random
import subprocess
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from running import ACCESS_KEY, REGION, SECRET_KEY, binary

#: Longer than any pause of the server.
ANSWER_TIMEOUT_S = 60
PADDING = random.Random(0).randbytes(1 << 20)


class NotSent(Exception):
    """There was no connection: nothing happened."""


class Lost(Exception):
    """The request was sent, or begun, and its outcome is unknown."""


@dataclass
class Value:
    """The bytes of an object: its ETag, the MD5 of all bytes, and how many."""

    etag: str
    body: str
    size: int

    def fields(self) -> dict:
        return {"etag": self.etag, "body": self.body, "size": self.size}


@dataclass
class Shared:
    """What the clients of one run have in common."""

    path: Path
    bucket: str
    endpoint: str
    hot: list
    cold: list
    #: How many processes were started; a connection made now is at most of this one.
    process: int = 1
    up: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.lock = threading.Lock()
        self.file = open(self.path, "w", buffering=1 << 20)
        self.unknown = collections.defaultdict(list)
        self.died_ns = {}
        self.counts = collections.Counter()
        #: What was seen last on a key, for conditions and copies; it may be old.
        self.seen = {}
        self.uploads = collections.deque(maxlen=50)

    def record(self, entry: dict):
        line = json.dumps(entry, separators=(",", ":"))
        with self.lock:
            self.file.write(line + "\n")
            self.counts[entry["op"] + (" if" if entry.get("when") else "")] += 1

    def record_unknown(self, process: int, entry: dict):
        """Kept until the process is dead: then it is known until when it may take effect."""
        with self.lock:
            died_ns = self.died_ns.get(process)
            if died_ns is None:
                self.unknown[process].append(entry)
                return
        self._record_dead(entry, died_ns)

    def _record_dead(self, entry: dict, died_ns: int):
        if entry["invoke_ns"] > died_ns:
            return  # sent over a connection to a dead process
        with self.lock:
            self.counts["unknown"] += 1
        self.record(entry | {"until_ns": died_ns})

    def process_died(self):
        """The process is dead for certain."""
        now_ns = time.monotonic_ns()
        with self.lock:
            self.died_ns[self.process] = now_ns
            entries = self.unknown.pop(self.process, [])
        for entry in entries:
            self._record_dead(entry, now_ns)

    def close(self):
        """Call it when the last process is dead."""
        assert not self.unknown, "a process that never died has unknown outcomes"
        self.file.close()


@dataclass
class Reply:
    status: int
    etag: str
    body: bytes
    process: int

    @property
    def code(self) -> str:
        return ElementTree.fromstring(self.body).findtext("Code", "") if self.body else ""


class Wire:
    """One connection at a time; signs and sends."""

    def __init__(self, shared: Shared):
        self.shared, self.connection, self.process = shared, None, 0
        self.host = shared.endpoint.removeprefix("http://")
        self.key_of_day = (None, None)

    def send(self, method: str, path: str, query: dict, headers: dict, body: bytes) -> Reply:
        """Sends one request, once."""
        query = "&".join(
            f"{urllib.parse.quote(name, safe='-_.~')}={urllib.parse.quote(value, safe='-_.~')}"
            for name, value in sorted(query.items())
        )
        if self.connection is None:
            connection = http.client.HTTPConnection(self.host, timeout=ANSWER_TIMEOUT_S)
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                raise NotSent from error
            self.process = self.shared.process  # read behind connecting: at most this one
            self.connection = connection
        headers = self.sign(method, path, query, headers)
        try:
            target = path + (f"?{query}" if query else "")
            self.connection.request(method, target, body=body, headers=headers)
            reply = self.connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Lost from error
        if reply.will_close:
            self.close()
        return Reply(reply.status, reply.getheader("ETag", "").strip('"'), content, self.process)

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def sign(self, method: str, path: str, query: str, headers: dict) -> dict:
        """Signature version 4, with a payload that is not signed."""
        at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        day = at[:8]
        if self.key_of_day[0] != day:
            key = f"AWS4{SECRET_KEY}".encode()
            for part in (day, REGION, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self.key_of_day = (day, key)
        headers = headers | {
            "host": self.host,
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            "x-amz-date": at,
        }
        names = sorted(headers)
        signed = ";".join(names)
        lines = "".join(f"{name}:{headers[name]}\n" for name in names)
        request = f"{method}\n{path}\n{query}\n{lines}\n{signed}\nUNSIGNED-PAYLOAD"
        scope = f"{day}/{REGION}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{digest}"
        signature = hmac.digest(self.key_of_day[1], text.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope},"
            f"SignedHeaders={signed},Signature={signature}"
        )
        return headers


class Client:
    """One client thread, working on keys that others work on, too."""

    def __init__(self, shared: Shared, number: int, seed: int, wire=Wire):
        self.shared, self.number, self.random = shared, number, random.Random(seed)
        self.wire = wire(shared)
        self.written = 0
        self.failure = None
        choices = {
            self.get: 30, self.head: 7, self.put: 22, self.put_if_none: 5, self.put_if_match: 9,
            self.delete: 7, self.delete_if_match: 4, self.delete_many: 2, self.copy: 5,
            self.multipart: 4, self.complete_again: 1, self.list: 8,
        }
        self.choices, self.weights = list(choices), list(choices.values())

    def run(self):
        """Works until told to stop, over restarts of the server."""
        try:
            while not self.shared.stop.is_set():
                try:
                    self.random.choices(self.choices, self.weights)[0]()
                except Lost:
                    pass
                except NotSent:
                    self.shared.up.wait(0.2)
                    time.sleep(0.01)
        except BaseException as failure:  # handed to the test's thread
            self.failure = failure
            self.shared.stop.set()
        finally:
            self.wire.close()

    # ----- one request, recorded

    def ask(self, entry, method, path, query=None, headers=None, body=b"") -> Reply:
        """Sends a request. `entry` is its record if it concerns a key, with no outcome yet; of one
        that changes something, an unknown outcome is recorded here."""
        entry["client"] = self.number
        entry["invoke_ns"] = time.monotonic_ns()
        try:
            reply = self.wire.send(method, path, query or {}, headers or {}, body)
        except Lost:
            self.is_unknown(entry, self.wire.process)
            raise
        entry["return_ns"] = time.monotonic_ns()
        if reply.status >= 500 and reply.status != 501:
            del entry["return_ns"]
            self.shared.counts[f"answered {reply.status}"] += 1
            self.is_unknown(entry, reply.process)
            raise Lost
        return reply

    def is_unknown(self, entry, process):
        if entry["op"] in ("put", "delete", "copy", "complete", "abort"):
            self.shared.record_unknown(process, entry | {"outcome": "unknown"})

    def outcome(self, entry, reply: Reply, *expected: int) -> bool:
        """Records an answered write; whether it was done."""
        outcomes = {"NoSuchKey": "not-found", "NoSuchUpload": "no-such-upload"}
        if reply.status in expected:
            entry["outcome"] = "done"
        elif reply.status == 412:
            entry["outcome"] = "precondition-failed"
        elif reply.status == 404 and reply.code in outcomes:
            entry["outcome"] = outcomes[reply.code]
        else:
            raise AssertionError(f"{entry} was answered with {reply.status} {reply.body[:500]}")
        self.shared.record(entry)
        return entry["outcome"] == "done"

    def path(self, key: str) -> str:
        return f"/{self.shared.bucket}/{key}"

    def key(self) -> str:
        shared = self.shared
        return self.random.choice(shared.hot if self.random.random() < 0.6 else shared.cold)

    def content(self):
        """Bytes that nobody wrote before, mostly few."""
        self.written += 1
        roll = self.random.random()
        size = self.random.randrange(0, 2000)
        if roll > 0.97:
            size = self.random.randrange(10_000, 60_000)
        if roll > 0.994:
            size = self.random.randrange(262_144, 500_000)
        start = self.random.randrange(0, len(PADDING) - size)
        data = f"{self.number}-{self.written};".encode() + PADDING[start : start + size]
        digest = hashlib.md5(data).hexdigest()
        return data, Value(digest, digest, len(data))

    # ----- reads

    def get(self, key=None):
        key = key or self.key()
        entry = {"op": "get", "key": key}
        reply = self.ask(entry, "GET", self.path(key))
        self.found(entry, reply, reply.status == 404 and reply.code == "NoSuchKey", True)

    def head(self):
        key = self.key()
        entry = {"op": "get", "key": key}
        reply = self.ask(entry, "HEAD", self.path(key))
        self.found(entry, reply, reply.status == 404, False)

    def found(self, entry, reply: Reply, is_absent: bool, has_body: bool):
        if is_absent:
            entry["found"] = None
            self.shared.seen.pop(entry["key"], None)
        elif reply.status == 200:
            entry["found"] = {"etag": reply.etag}
            if has_body:
                digest = hashlib.md5(reply.body).hexdigest()
                value = Value(reply.etag, digest, len(reply.body))
                entry["found"] = value.fields()
                self.shared.seen[entry["key"]] = value
        else:
            raise AssertionError(f"{entry} was answered with {reply.status} {reply.body[:500]}")
        self.shared.record(entry | {"outcome": "done"})

    def list(self, prefix=None, max_keys=None, whole=False):
        """Pages of a listing, each a record of its own."""
        prefix = prefix or self.random.choice(["hot/", "cold/", "cold/"])
        max_keys = max_keys or self.random.choice([2, 20, 60])
        after, token = None, None
        if prefix == "cold/" and not whole and self.random.random() < 0.5:
            after = self.random.choice(self.shared.cold)
        while True:
            entry = {"op": "list", "prefix": prefix, "after": after}
            query = {"list-type": "2", "prefix": prefix, "max-keys": str(max_keys)}
            if token:
                query["continuation-token"] = token
            elif after:
                query["start-after"] = after
            reply = self.ask(entry, "GET", f"/{self.shared.bucket}", query)
            if reply.status != 200:
                raise AssertionError(f"{entry}: {reply.status} {reply.body[:500]}")
            text = reply.body.decode()
            page = ElementTree.fromstring(
                text.replace(' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', "")
            )
            entry["truncated"] = page.findtext("IsTruncated") == "true"
            entry["entries"] = [
                {
                    "key": item.findtext("Key"),
                    "etag": item.findtext("ETag").strip('"'),
                    "size": int(item.findtext("Size")),
                }
                for item in page.iterfind("Contents")
            ]
            self.shared.record(entry | {"outcome": "done"})
            token = page.findtext("NextContinuationToken")
            if not entry["truncated"] or not (whole or self.random.random() < 0.7):
                return
            after = entry["entries"][-1]["key"]

    # ----- writes

    def put(self, when=None, headers=None, key=None):
        key = key or self.key()
        data, value = self.content()
        entry = {"op": "put", "key": key, "value": value.fields(), "when": when or {}}
        reply = self.ask(entry, "PUT", self.path(key), headers=headers, body=data)
        if self.outcome(entry, reply, 200):
            assert reply.etag == value.etag, f"{entry}: ETag {reply.etag}"
            self.shared.seen[key] = value

    def put_if_none(self):
        self.put({"if_none_match": True}, {"if-none-match": "*"})

    def put_if_match(self):
        key = self.key()
        if seen := self.shared.seen.get(key):
            self.put({"if_match": seen.etag}, {"if-match": f'"{seen.etag}"'}, key)

    def delete(self, when=None, headers=None, key=None):
        key = key or self.key()
        entry = {"op": "delete", "key": key, "when": when or {}}
        reply = self.ask(entry, "DELETE", self.path(key), headers=headers)
        self.outcome(entry, reply, 204)

    def delete_if_match(self):
        key = self.key()
        if seen := self.shared.seen.get(key):
            self.delete({"if_match": seen.etag}, {"if-match": f'"{seen.etag}"'}, key)

    def delete_many(self):
        """One request, a record for each key."""
        keys = self.random.sample(self.shared.cold, 2) + [self.random.choice(self.shared.hot)]
        objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
        body = f"<Delete>{objects}</Delete>".encode()
        digest = hashlib.sha256(body).digest()
        headers = {"x-amz-checksum-sha256": base64.b64encode(digest).decode()}
        entries = [{"op": "delete", "key": key, "client": self.number} for key in keys]
        whole = {"op": "delete-many"}
        try:
            path = f"/{self.shared.bucket}"
            reply = self.ask(whole, "POST", path, {"delete": ""}, headers, body)
        except Lost:
            for entry in entries:
                entry["invoke_ns"] = whole["invoke_ns"]
                self.is_unknown(entry, self.wire.process)
            raise
        assert reply.status == 200, f"{reply.status} {reply.body[:500]}"
        failed = reply.body.count(b"<Error>")
        for entry in entries:
            entry |= {name: whole[name] for name in ("invoke_ns", "return_ns")}
            if failed:
                del entry["return_ns"]
                self.is_unknown(entry, reply.process)
            else:
                self.shared.record(entry | {"outcome": "done"})

    def copy(self):
        source, key = self.key(), self.key()
        seen = self.shared.seen.get(source)
        if source == key or not seen:
            return
        # The ETag of a copy is that of its bytes, however the source was uploaded.
        value = Value(seen.body, seen.body, seen.size)
        entry = {
            "op": "copy", "key": key, "source": source, "source_etag": seen.etag,
            "value": value.fields(),
        }
        headers = {
            "x-amz-copy-source": self.path(source),
            "x-amz-copy-source-if-match": f'"{seen.etag}"',
        }
        reply = self.ask(entry, "PUT", self.path(key), headers=headers)
        if reply.status == 200 and b"<CopyObjectResult" not in reply.body:
            raise AssertionError(f"{entry}: {reply.body[:500]}")
        self.outcome(entry, reply, 200)

    def multipart(self):
        """An upload of one part; completed, perhaps twice or by others, too, or aborted."""
        key = self.key()
        data, value = self.content()
        reply = self.ask({"op": "create"}, "POST", self.path(key), {"uploads": ""})
        assert reply.status == 200, f"{reply.status} {reply.body[:500]}"
        upload = reply.body.decode().split("<UploadId>")[1].split("</UploadId>")[0]
        query = {"partNumber": "1", "uploadId": upload}
        reply = self.ask({"op": "part"}, "PUT", self.path(key), query, body=data)
        assert reply.status == 200, f"{reply.status} {reply.body[:500]}"
        etag = hashlib.md5(bytes.fromhex(value.body)).hexdigest() + "-1"
        begun = (key, upload, value.body, Value(etag, value.body, value.size))
        roll = self.random.random()
        if roll < 0.4:
            self.shared.uploads.append(begun)
        if roll < 0.1:
            return
        if roll > 0.75:
            entry = {"op": "abort", "key": key, "upload": upload}
            reply = self.ask(entry, "DELETE", self.path(key), {"uploadId": upload})
            self.outcome(entry, reply, 204)
            if roll < 0.9:
                return
        self.complete(begun)
        if roll < 0.6:
            self.complete(begun)

    def complete_again(self):
        """An upload that another client, or this one, began and may have ended."""
        try:
            begun = self.random.choice(self.shared.uploads)
        except (IndexError, RuntimeError):  # none, or changed meanwhile
            return
        self.complete(begun)

    def complete(self, begun):
        key, upload, part, value = begun
        when, headers = {}, {}
        if self.random.random() < 0.2:
            when, headers = {"if_none_match": True}, {"if-none-match": "*"}
        entry = {
            "op": "complete", "key": key, "upload": upload, "value": value.fields(), "when": when,
        }
        body = (
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
            f"<ETag>{part}</ETag></Part></CompleteMultipartUpload>"
        ).encode()
        reply = self.ask(entry, "POST", self.path(key), {"uploadId": upload}, headers, body)
        if reply.status == 200 and b"<CompleteMultipartUploadResult" not in reply.body:
            raise AssertionError(f"{entry}: {reply.body[:500]}")  # errors may come with a 200
        self.outcome(entry, reply, 200)

    def sweep(self):
        """Reads everything: the last records of a history."""
        for key in self.shared.hot + self.shared.cold:
            self.get(key)
        for prefix in ("hot/", "cold/"):
            self.list(prefix, 100, whole=True)


# ----- a run


def versions_in(store, bucket: str):
    """Every version in a bucket: a set of keys with ETags, and how many delete markers each key has."""
    objects, markers = set(), collections.Counter()
    for page in store.client().get_paginator("list_object_versions").paginate(Bucket=bucket):
        objects |= {(v["Key"], v["ETag"].strip('"')) for v in page.get("Versions", [])}
        markers.update(marker["Key"] for marker in page.get("DeleteMarkers", []))
    return objects, markers


def assert_kept(path: Path, objects: set, markers: collections.Counter):
    """What the history of a bucket with versions says to have been written is a version in it, and
    every delete a marker: nothing that was acknowledged is ever lost."""
    deleted = collections.Counter()
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if entry["outcome"] != "done":
            continue
        if entry["op"] in ("put", "complete"):
            version = (entry["key"], entry["value"]["etag"].strip('"'))
            assert version in objects, f"no version is left of {entry}"
        elif entry["op"] == "delete":
            deleted[entry["key"]] += 1
    assert deleted and deleted <= markers, deleted - markers


def shared_for(
    store, path: Path, bucket: str, cold_keys: int = 240, versioned: bool = False
) -> Shared:
    """Makes the bucket, and what its clients share."""
    s3 = store.client()
    s3.create_bucket(Bucket=bucket)
    if versioned:
        state = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=state)
    shared = Shared(
        path,
        bucket,
        store.endpoint,
        hot=[f"hot/{i}" for i in range(5)],
        cold=[f"cold/{i:04}" for i in range(cold_keys)],
    )
    shared.up.set()
    return shared


def work(shared: Shared, clients, nemesis, seconds: float):
    """Lets the clients work, and the nemesis at them, for so long."""
    threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    try:
        nemesis.run(time.monotonic() + seconds)
    finally:
        shared.stop.set()
        for thread in threads:
            thread.join(timeout=2 * ANSWER_TIMEOUT_S)
    assert not any(thread.is_alive() for thread in threads), "a client hangs"
    for client in clients:
        if client.failure:
            raise client.failure


def checker() -> Path:
    path = binary().parent / "coffer-sim"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: cargo build --package coffer-sim")
    return path


def check(path: Path):
    """Runs the checker; whether it accepts the history, and what it says."""
    done = subprocess.run(
        [checker(), "check-history", path], capture_output=True, text=True, timeout=3600
    )
    assert done.returncode in (0, 1, 3), done.stderr
    return done.returncode == 0, done.stdout
