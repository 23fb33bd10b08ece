"""Power cuts of the real server on the real kernel.

A *life* runs `coffer serve` on drives that record (faultfs.py) under a load whose every request
notes the drives' event number before it is sent and after it was answered. Afterwards the power is
cut at chosen events: what the drives could hold then is written into plain directories, and the
server is started on them.

What was answered before the cut must be there. What was under way may be there or not, whole.
"""

import json
import random
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import oracle
from faultfs import DATA, FaultFs
from oracle import ABSENT, Content
from quick import Quick
from running import Store

BUCKET = "power"
SEGMENT_BYTES = 256 << 10
FLAGS = ["--test-segment-bytes", str(SEGMENT_BYTES)]
PARITIES = {1: 0, 3: 1, 6: 2}


@dataclass
class Step:
    """What one request may have made of one key; not answered if `answered` is none."""

    sent: int
    content: object
    answered: int | None = None


class Recorder(oracle.Worker):
    """A client that remembers the drives' event numbers around each of its requests."""

    def __init__(self, fs: FaultFs, name: str, seed: int, keys: int, base=None):
        super().__init__(name, seed, BUCKET, keys)
        self.fs = fs
        self.base = {key: list((base or {}).get(key, [ABSENT])) for key in self.possible}
        self.possible = {key: list(contents) for key, contents in self.base.items()}
        self.steps = {key: [] for key in self.possible}

    def step(self, s3):
        key = self.random.choice(list(self.possible))
        roll = self.random.randrange(200)
        if roll < 90:
            self.put(s3, key, self.random.randrange(0, 6000))
        elif roll < 120:
            self.put(s3, key, self.random.randrange(6000, 100_000))
        elif roll < 130:
            self.put(s3, key, self.random.randrange(250_000, 900_000))
        elif roll < 155:
            self.write(key, ABSENT, lambda: s3.delete_object(Bucket=self.bucket, Key=key))
        elif roll < 170:
            self.delete_many(s3)
        elif roll < 173:
            self.multipart(s3, key)
        elif roll < 185:
            self.copy(s3, key)
        else:
            self.read(s3, key)

    def note(self, keys, contents, send):
        """Sends; notes for each key that it may from now on, and must once answered, be so."""
        sent = self.fs.number()
        steps = [Step(sent, content) for content in contents]
        for key, step in zip(keys, steps):
            self.steps[key].append(step)
        answer = self.ask(send)
        answered = self.fs.number()
        for step in steps:
            step.answered = answered
        return answer

    def write(self, key, content, send):
        self.possible[key] = self.possible[key] + [content]
        self.note([key], [content], send)
        self.possible[key] = [content]

    def delete_many(self, s3):
        keys = self.random.sample(list(self.possible), min(4, len(self.possible)))
        for key in keys:
            self.possible[key] = self.possible[key] + [ABSENT]
        wanted = {"Objects": [{"Key": key} for key in keys]}
        answer = self.note(
            keys,
            [ABSENT] * len(keys),
            lambda: s3.delete_objects(Bucket=self.bucket, Delete=wanted),
        )
        assert not answer.get("Errors"), answer["Errors"]
        for key in keys:
            self.possible[key] = [ABSENT]

    def read(self, s3, key):
        # What was read once is durable: it may not be another after a later cut.
        super().read(s3, key)
        answered = self.fs.number()
        (content,) = self.possible[key]
        self.steps[key].append(Step(answered, content, answered))

    def possible_at(self, at: int) -> dict:
        """What each key may be after a cut before event `at`."""
        possible = {}
        for key, steps in self.steps.items():
            contents = list(self.base[key])
            for step in steps:
                if step.answered is not None and step.answered <= at:
                    contents = [step.content]
                elif step.sent <= at:
                    # What came right after the cut may have been under way.
                    contents.append(step.content)
            possible[key] = contents
        return possible


@dataclass
class Phase:
    """A stretch of a life: events from `begin` to `end`."""

    name: str
    begin: int
    end: int


@dataclass
class State:
    """One cut, and what the store may hold after it."""

    phase: str
    at: int
    seed: int
    bucket_sure: bool
    possible: dict
    made: bool
    found: dict = field(default_factory=dict)


class Life:
    """A recorded run of a server, from the making of its store or from an earlier state of it."""

    def __init__(self, folder: Path, drives: int, seed: int, seconds: float, after=None):
        self.dice = random.Random(seed)
        self.drives = drives
        self.folder = folder
        begin_with = after and [after.folder / f"d{i}" for i in range(drives)]
        self.fs = FaultFs(folder / "fs", drives, begin_with)
        self.store = Store(folder / "server", drives, FLAGS)
        self.store.drives = self.fs.data
        self.phases, self.acks = [], []
        self.bucket = [None, None]
        base = after.state.possible if after else {}
        self.workers = [
            Recorder(self.fs, f"worker-{i}", self.dice.getrandbits(64), 8, base) for i in range(4)
        ]
        self.bucket_before = bool(after and after.state.bucket_sure)
        self.made_before = bool(after and after.state.made)
        try:
            self.live(seconds)
        finally:
            for drive in range(drives):
                self.fs.clear(drive)
            self.store.kill()

    def phase(self, name: str, work):
        begin = self.fs.number()
        work()
        self.phases.append(Phase(name, begin, self.fs.number()))

    def live(self, seconds: float):
        store = self.store
        if self.dice.randrange(2):
            # As a real drive: requests are under way for a while, and overlap.
            for drive in range(self.drives):
                self.fs.fault(drive, "delay", "sync", "syncdir", ms=self.dice.randint(1, 4))
        self.phase("first start", store.start)
        self.s3 = [store.client(max_pool_connections=1) for _ in self.workers]
        self.phase("making the bucket", self.make_bucket)
        self.phase("load", lambda: self.load(seconds, "kill"))
        self.phase("start after a kill", store.start)
        self.phase("load", lambda: self.load(seconds / 2, "nothing"))
        self.phase("stop", store.stop)
        self.phase("start after a stop", store.start)
        self.phase("stop under load", lambda: self.load(seconds / 2, "stop"))
        for worker in self.workers:
            self.acks += [
                step.answered for steps in worker.steps.values() for step in steps if step.answered
            ]
        self.words = self.fs.events()
        assert len(self.acks) > 20, "hardly any load: the campaign proves nothing"

    def make_bucket(self):
        self.bucket[0] = self.fs.number()
        if not self.bucket_before:
            try:
                self.s3[0].create_bucket(Bucket=BUCKET)
            except self.s3[0].exceptions.BucketAlreadyOwnedByYou:
                pass
        self.bucket[1] = self.fs.number()

    def load(self, seconds: float, ending: str):
        """Loads the server; at the end kills it, stops it, or lets it be."""
        stop, killed = threading.Event(), threading.Event()
        threads = [
            threading.Thread(target=worker.run, args=(s3, stop, killed), daemon=True)
            for worker, s3 in zip(self.workers, self.s3)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        if ending == "nothing":
            stop.set()
        else:
            self.store.assert_alive()
            killed.set()
            self.store.kill() if ending == "kill" else self.store.stop()
            stop.set()
        for thread in threads:
            thread.join(timeout=120)
            assert not thread.is_alive(), "a client hangs"
        for worker in self.workers:
            if worker.failure:
                raise worker.failure

    def choose(self, count: int):
        """Cuts, most of them beside syncs, changes of names and answers."""
        syncs = [i for i, w in enumerate(self.words) if w in ("sync", "durable-write", "sync-dir")]
        names = [i for i, w in enumerate(self.words) if w in ("create", "rename", "remove")]
        writes = [i + 1 for i, w in enumerate(self.words) if w in ("write", "set-len")]
        for _ in range(count):
            phase = self.dice.choice(self.phases)
            near = self.dice.choice((syncs, syncs, names, writes, self.acks, None))
            within = [i for i in near or () if phase.begin <= i <= phase.end]
            if within:
                at = self.dice.choice(within) + self.dice.randrange(-1, 3)
            else:
                at = self.dice.randint(phase.begin, phase.end)
            at = min(max(at, self.phases[0].begin), self.phases[-1].end)
            possible = {}
            for worker in self.workers:
                possible |= worker.possible_at(at)
            yield State(
                phase=phase.name,
                at=at,
                seed=self.dice.getrandbits(63),
                bucket_sure=self.bucket_before or self.bucket[1] <= at,
                possible=possible,
                made=self.made_before or self.phases[0].end <= at,
            )

    def end(self):
        self.store.kill()
        self.fs.end()


class Bytes:
    """Contents, made once."""

    def __init__(self):
        self.known = {}

    def of(self, content: Content):
        if content not in self.known:
            data = content.bytes()
            self.known[content] = (data, content.etag(data))
        return self.known[content]


def compare(client: Quick, state: State, contents: Bytes, extra=()) -> dict:
    """Compares a store with what it may hold; its listing."""
    listed = client.list(BUCKET)
    if listed is None:
        assert not state.bucket_sure, "the bucket is lost"
        for key, possible in state.possible.items():
            assert ABSENT in possible, f"{key} is lost with its bucket; it was {possible}"
        return {}
    strangers = listed.keys() - state.possible.keys() - set(extra)
    assert not strangers, f"listed and never written: {strangers}"
    for key, possible in state.possible.items():
        found = client.get(BUCKET, key)
        assert (found is None) == (key not in listed), f"{key}: listing and GET disagree"
        if found is None:
            assert ABSENT in possible, f"{key} is lost; it was {possible}"
            continue
        data, etag = found
        assert listed[key] == (len(data), etag), f"{key}: listed as {listed[key]}, has {etag}"
        for content in possible:
            if content is not ABSENT and content.size == len(data):
                if contents.of(content) == (data, etag):
                    break
        else:
            raise AssertionError(f"{key} has {len(data)} bytes that it never had: {possible}")
    client.uploads(BUCKET)
    return listed


class Checker:
    """Builds states and starts the server on them."""

    def __init__(self, life: Life, folder: Path, forget_syncs=None):
        self.life, self.folder, self.forget_syncs = life, folder, forget_syncs
        self.contents = Bytes()
        self.failures = []

    def build(self, state: State, into: Path):
        found = self.life.fs.cut(state.at, state.seed, into, self.forget_syncs)
        state.found = found

    def check(self, state: State):
        """Builds one state and checks it; a failure is kept with its directories."""
        folder = self.folder / f"{state.at}-{state.seed}"
        try:
            self.build(state, folder)
            self.prove(state, folder)
        except (AssertionError, OSError, subprocess.SubprocessError) as failure:
            self.keep(state, folder, failure)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return state

    def prove(self, state: State, folder: Path):
        drives = self.life.drives
        store = Store(folder / "server", drives, FLAGS)
        store.drives = [folder / f"d{i}" / DATA for i in range(drives)]
        dice = random.Random(state.seed)
        away = []
        if PARITIES[drives] and state.made and dice.randrange(5) == 0:
            away = dice.sample(range(drives), dice.randint(1, PARITIES[drives]))
        try:
            for drive in away:
                store.drives[drive].rename(folder / f"away{drive}")
            store.start(*(["--degraded"] if away else []), timeout_s=60)
            before = self.visit(store, state)
            for drive in away:
                store.kill()
                shutil.rmtree(store.drives[drive], ignore_errors=True)
                (folder / f"away{drive}").rename(store.drives[drive])
            if store.process:
                store.stop() if dice.randrange(2) else store.kill()
            if not away:
                store.fsck(*FLAGS)
            store.start(timeout_s=60)
            client = Quick(store.endpoint)
            after = client.list(BUCKET)
            assert after == before, f"after a restart {after}, before {before}"
            for key, data in self.further(state):
                assert client.get(BUCKET, key)[0] == data, f"{key}, written after the cut, is wrong"
            client.close()
        finally:
            store.kill()

    def further(self, state: State):
        """What is written after the cut: a small and a bulk one."""
        dice = random.Random(state.at)
        return [("after/small", dice.randbytes(3000)), ("after/large", dice.randbytes(300_000))]

    def visit(self, store: Store, state: State) -> dict:
        client = Quick(store.endpoint)
        listed = compare(client, state, self.contents)
        if not state.bucket_sure:
            status, _, body = client.send("PUT", f"/{BUCKET}")
            assert status in (200, 409), f"the bucket can't be made: {status} {body[:300]}"
        for key, data in self.further(state):
            client.put(BUCKET, key, data)
        again = client.list(BUCKET)
        assert again.keys() == listed.keys() | {"after/small", "after/large"}, "the writes show"
        client.close()
        return again

    def keep(self, state: State, folder: Path, failure):
        kept = self.folder / f"failed-{state.at}-{state.seed}"
        # The server has changed it: build it once more, as it was found.
        self.life.fs.cut(state.at, state.seed, kept, self.forget_syncs)
        log = folder / "server" / "server.log"
        if log.exists():
            shutil.copy(log, kept / "server.log")
        words = self.life.words[max(0, state.at - 20) : state.at]
        about = {
            "failure": str(failure),
            "phase": state.phase,
            "at": state.at,
            "seed": state.seed,
            "found": state.found,
            "last events": words,
        }
        (kept / "about.json").write_text(json.dumps(about, indent=1))
        self.failures.append((state, kept, failure))
        last = str(failure).strip().splitlines()[-1][:300]
        print(f"\n{state.phase}, cut before event {state.at}, seed {state.seed}: {last}\n  {kept}")

    def check_all(self, states, at_once: int = 2):
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(self.check, states))


@dataclass
class After:
    """A state that the next life begins with."""

    folder: Path
    state: State


def scratch(folder: Path) -> Path:
    """Where states are built: in memory if there is room."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30:
        return memory / f"coffer-{folder.name}"
    return folder
