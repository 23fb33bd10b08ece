"""kill -9 at named points: a server that ends itself there under load, and what must be left.

The server is a build with the cargo feature `failpoints`, whose segments, bulk files, tables and
checkpoints are so small that a second of load passes every point. A *scene* is what goes on when
the server dies; each point has those in which it is passed.

This kills the process, not the power: what the kernel holds survives.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import figures
import oracle
import test_flips
from running import REPOSITORY, Store, clean_environment

BUCKET = "kills"

# By prefix, the longest that fits. Every point that the program names must have an entry.
SCENES = {
    "superblock.": ["fresh"],
    "superblock.before-write": ["load", "start", "drive"],
    "superblock.written": ["load", "start", "drive"],
    "superblock.synced": ["load", "start", "drive"],
    "format.": ["fresh"],
    "supers.": ["load", "start", "drive"],
    "recovery.": ["start"],
    "recovery.joined": ["replaced"],
    "copy.": ["load"],
    "lane.": ["load"],
    "lane.reform-": ["drive"],
    "lane.settled": ["drive"],
    "lane.close": ["stop"],
    "seal.": ["load", "start", "stop"],
    "bulk.": ["load"],
    "bulk.trimmed": ["load", "stop"],
    "heal.": ["scrub"],
    "sequencer.": ["load"],
    "checkpoint.": ["load"],
    "index.": ["load"],
    "index.persisted": ["stop"],
    "index.wipe": ["damaged"],
    "rebuild.loaded": ["unindexed", "damaged"],
    "rebuild.batch": ["start", "unindexed"],
    "rebuild.done": ["start", "unindexed"],
    "roaming.": ["roam"],
    "catalog.stopped": ["stop"],
    "put.": ["load"],
    "complete.": ["load"],
    "users.": ["users"],
    "reply.": ["load"],
    "credentials.": ["keys"],
    "secrets.": ["keys"],
    "serve.opened": ["start"],
    "serve.drained": ["stop"],
    "serve.closed": ["stop"],
}

# Scenes with something to leave need another drive to go to.
SEVERAL_DRIVES = {"drive", "roam", "replaced", "scrub"}

# A point is passed so often before it counts; as far as the scene gets there.
TIMES = [1, 1, 2, 3, 5]

# How often a scene may not pass its point even once. On 4+2 the drive that goes is one of the three
# with the open segment every other time.
TRIES = 6
TRIES_OF = {"drive": 20}

# What every group and request passes.
TIMES_OF_FREQUENT = [1, 3, 8, 21, 55]
FREQUENT = ("lane.before", "lane.submitted", "lane.synced", "lane.w", "lane.com", "sequencer.", "reply.")

# Scenes that pass a point but a few times.
TIMES_OF = {"roam": [1], "replaced": [1], "damaged": [1], "keys": [1], "fresh": [1, 1, 2, 3]}

# The server's scrub runs only when told to.
NO_SCRUB = ["--scrub-mib-per-sec", "0"]

# How long a scene may go on without dying.
SCENE_S = 8.0
# One that seals a whole segment first, in a build that is not optimised, on a busy machine.
SEALING_SCENE_S = 40.0

# Dead bytes are not given back yet and each kill leaves some: a new store now and then.
KILLS_PER_STORE = 40

FSCK_EVERY = 10

# How long a server that is left alone takes at most to fill what a drive of it lacks.
REBUILT_S = 180.0


def failpoint_binary() -> Path:
    default = REPOSITORY / "target" / "failpoints" / "coffer"
    path = Path(os.environ.get("COFFER_FAILPOINTS_BIN", default))
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: `cargo xtask test` and `soak` build it")
    return path.resolve()


def points() -> dict:
    """Every point that the program names, with its scenes."""
    done = subprocess.run(
        [failpoint_binary(), "failpoints"], capture_output=True, text=True, check=True
    )
    names = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert len(names) > 40, f"only {len(names)} points"
    found = {}
    for name in names:
        fitting = [prefix for prefix in SCENES if name.startswith(prefix)]
        assert fitting, f"{name} has no scene"
        found[name] = SCENES[max(fitting, key=len)]
    for prefix in SCENES:
        assert any(name.startswith(prefix) for name in names), f"no point is called {prefix}"
    return found


class Mortal(Store):
    """A store whose server ends itself at a point."""

    def __init__(self, root: Path, drives: int, with_keys: bool = True):
        super().__init__(root, drives)
        self.with_keys = with_keys
        self.failpoint = None
        self.armed_from = 0

    def _environment(self) -> dict:
        environment = super()._environment() if self.with_keys else clean_environment()
        environment["RUST_BACKTRACE"] = "0"
        if self.failpoint:
            environment["COFFER_FAILPOINT"] = self.failpoint
        return environment

    def start_armed(self, name: str, nth: int) -> bool:
        """Starts with a point; whether it lived to listen."""
        self.armed_from = self.log.stat().st_size if self.log.exists() else 0
        self.failpoint = f"{name}:{nth}"
        try:
            self.start()
            return True
        except AssertionError as ended:
            if f"ended with {-signal.SIGKILL}:" not in str(ended):
                raise
            self.assert_said(name)
            return False
        finally:
            self.failpoint = None

    def died(self, name: str, timeout_s: float) -> bool:
        """Waits for the server to end itself; False if it does not in time."""
        if self.process is None:
            return False
        try:
            code = self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self.process = None
        if code == 0:
            # A clean stop that did not come past the point.
            return False
        assert code == -signal.SIGKILL, f"ended with {code}:\n{self.log_tail()}"
        self.assert_said(name)
        return True

    def assert_said(self, name: str):
        with open(self.log, "rb") as log:
            log.seek(self.armed_from)
            said = log.read().splitlines()
        assert f"failpoint {name}".encode() in said, f"killed by another:\n{self.log_tail()}"


class Load:
    """Workers on a server that may die any time; an error while it lives is a failure."""

    def __init__(self, store: Mortal, workers, s3, users=None):
        self.stop = threading.Event()
        self.gone = []
        self.failures = []
        self.threads = [
            threading.Thread(target=self.work, args=(worker.step, s3), daemon=True)
            for worker in workers
        ]
        if users:
            self.threads.append(
                threading.Thread(target=self.work, args=(users.step, store), daemon=True)
            )
        for thread in self.threads:
            thread.start()

    def work(self, step, server):
        try:
            while not self.stop.is_set():
                step(server)
        except oracle.Gone as gone:
            self.gone.append(gone)
        except BaseException as failure:  # handed to the test's thread
            self.failures.append(failure)

    def join(self):
        """No more requests are sent, and all that were are over."""
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=180)
            assert not thread.is_alive(), "a client hangs"

    def end(self, dead: bool):
        self.join()
        if self.failures:
            raise self.failures[0]
        if self.gone and not dead:
            raise self.gone[0]


class Users:
    """Adds, disables and removes users through the running server."""

    NAMES = [f"user-{i}" for i in range(4)]

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        # Of each name: whether it may be absent, enabled, disabled.
        self.possible = {name: {"absent"} for name in self.NAMES}

    def step(self, store: Mortal):
        name = self.random.choice(self.NAMES)
        before = self.possible[name]
        if before == {"absent"}:
            command, after = ["add", name, "--policy", "readwrite"], "enabled"
        elif before == {"enabled"} and self.random.random() < 0.5:
            command, after = ["disable", name], "disabled"
        else:
            command, after = ["remove", name], "absent"
        self.possible[name] = before | {after}
        # Through the server's socket, while it has one.
        done = store.run("user", *command, "DIRS", check=False)
        if done.returncode != 0:
            raise oracle.Gone(done.stderr)
        self.possible[name] = {after}

    def verify(self, store: Mortal):
        listed = json.loads(store.run("user", "list", "--json", "DIRS").stdout)
        found = {
            user["name"]: "enabled" if user["enabled"] else "disabled"
            for user in (listed["users"] if isinstance(listed, dict) else listed)
        }
        for name in self.NAMES:
            state = found.get(name, "absent")
            assert state in self.possible[name], f"{name} is {state}, not {self.possible[name]}"
            self.possible[name] = {state}
        assert found.keys() <= set(self.NAMES), f"strangers: {found}"


class Missed(Exception):
    """The server did not pass the point that often."""


class Field:
    """One store that is killed over and over, and what its clients know."""

    def __init__(self, folder: Path, drives: int, seed: int, workers: int = 4):
        self.folder = folder
        self.drives = drives
        self.dice = random.Random(seed)
        self.store = Mortal(folder / "store", drives)
        self.store.start()
        self.s3 = self.store.client()
        self.s3.create_bucket(Bucket=BUCKET)
        self.workers = [
            oracle.Worker(f"worker-{i}", self.dice.getrandbits(64), BUCKET, keys=6)
            for i in range(workers)
        ]
        self.users = Users(seed)
        self.kills = 0
        self.fresh = 0
        # Bytes of a drive are wrong.
        self.flipped = False

    # One kill -------------------------------------------------------------------------------

    def kill_at(self, name: str, scene: str, nth: int):
        """Dies at the point in the scene, starts again, and checks everything. Raises Missed."""
        try:
            dead = getattr(self, f"play_{scene}")(name, nth)
        except BaseException as failure:
            failure.add_note(f"at {name}:{nth}, scene {scene}, {self.drives} drives")
            raise
        self.kills += dead
        try:
            self.recover()
        except BaseException as failure:
            failure.add_note(f"after {name}:{nth}, scene {scene}, {self.drives} drives")
            raise
        if not dead:
            raise Missed

    def recover(self):
        store = self.store
        if store.process:
            store.kill()
        store.start()
        store.flags = []
        oracle.verify(store, self.workers)
        oracle.abort_uploads(store, BUCKET)
        if self.flipped:
            self.flipped = False
            report = test_flips.scrub(store)
            assert report["found"] == report["healed"], report

    def fsck(self):
        """All must be there, on all drives: what one lacks is filled by the server that runs, not by
        its start."""
        self.wait_until_rebuilt()
        self.store.stop()
        self.store.fsck()
        self.store.start()

    def wait_until_rebuilt(self):
        deadline = time.monotonic() + REBUILT_S
        while gaps := self.store.metric("coffer_segments_with_gaps"):
            if time.monotonic() > deadline:
                tail = self.store.log_tail()
                raise AssertionError(f"{gaps} segments have gaps after {REBUILT_S} s:\n{tail}")
            time.sleep(0.1)

    @property
    def answered(self) -> int:
        return sum(worker.answered for worker in self.workers)

    # Scenes ---------------------------------------------------------------------------------

    def play_load(self, name, nth, meanwhile=None, users=None, scene_s=SCENE_S) -> bool:
        store = self.store
        store.kill()
        if not store.start_armed(name, nth):
            # On the way, or just when it began to listen.
            return True
        load = Load(store, self.workers, self.s3, users)
        dead = False
        try:
            if meanwhile:
                time.sleep(self.dice.uniform(0.05, 0.3))
                meanwhile()
            dead = store.died(name, scene_s)
        finally:
            load.join()
        # The last requests may still have come past the point.
        dead = dead or store.died(name, 10 if load.gone else 0)
        load.end(dead)
        return dead

    def play_users(self, name, nth) -> bool:
        dead = self.play_load(name, min(nth, 5), users=self.users)
        self.store.kill()
        self.store.start()
        self.users.verify(self.store)
        return dead

    def play_drive(self, name, nth) -> bool:
        """A drive goes away, always the same one, and is back at the next start."""
        drive = self.store.drives[-1]
        away = drive.with_name("away")
        try:
            return self.play_load(
                name, nth, meanwhile=lambda: drive.rename(away), scene_s=SEALING_SCENE_S
            )
        finally:
            self.store.kill()
            if away.exists():
                # What a server that no longer had it made in its place is no part of it.
                shutil.rmtree(drive, ignore_errors=True)
                away.rename(drive)

    def play_roam(self, name, nth) -> bool:
        """The directory of the index goes away under a running server."""
        index = self.store.drives[0] / "index"
        away = self.folder / "index-away"
        dead = self.play_load(name, nth, meanwhile=lambda: index.rename(away))
        shutil.rmtree(away, ignore_errors=True)
        return dead

    def warm_up(self):
        """Some load on a server without a point, and its end by kill."""
        load = Load(self.store, self.workers, self.s3)
        time.sleep(self.dice.uniform(0.1, 0.4))
        self.store.kill()
        load.end(dead=True)

    def play_start(self, name, nth) -> bool:
        self.warm_up()
        if not self.store.start_armed(name, nth):
            return True
        return self.store.died(name, 0.5)

    def play_replaced(self, name, nth) -> bool:
        """An empty drive takes the place of the one that goes away otherwise."""
        self.warm_up()
        shutil.rmtree(self.store.drives[-1])
        self.store.drives[-1].mkdir()
        self.store.flags = ["--replace"]
        return not self.store.start_armed(name, nth)

    def play_scrub(self, name, nth) -> bool:
        """Files of a drive are damaged, or gone, under a server that is told to heal them."""
        self.warm_up()
        self.store.flags = NO_SCRUB
        if not self.store.start_armed(name, nth):
            return True
        self.flipped = True
        superblock = self.dice.choice(["super.a", "super.b"])
        # Always the drive of which other scenes may leave less than all.
        for path in test_flips.sealed_files(self.store.drives[-1]):
            if path.name.startswith("super.") and path.name != superblock:
                continue
            if self.dice.random() < 0.5:
                test_flips.flip(path, self.dice)
            else:
                path.unlink()
        self.store.run("scrub", "DIRS", check=False)
        return self.store.died(name, 0.5)

    def play_damaged(self, name, nth) -> bool:
        """The index is damaged where it is; when that is its second home, it is back in its first
        after this, and the next time removed there."""
        self.warm_up()
        index = self.store.drives[0] / "index"
        whole = [home for home in (index, index / "second") if (home / "tree").is_dir()]
        for home in whole or [index]:
            (home / "DAMAGED").write_text("by a test")
        return not self.store.start_armed(name, nth)

    def play_unindexed(self, name, nth) -> bool:
        self.warm_up()
        shutil.rmtree(self.store.drives[0] / "index")
        return not self.store.start_armed(name, nth)

    def play_stop(self, name, nth) -> bool:
        store = self.store
        store.kill()
        if not store.start_armed(name, nth):
            return True
        load = Load(store, self.workers, self.s3)
        time.sleep(self.dice.uniform(0.1, 0.5))
        if store.process.poll() is None:
            store.process.send_signal(signal.SIGTERM)
        dead = store.died(name, 60)
        load.end(dead=True)
        return dead

    def play_fresh(self, name, nth) -> bool:
        """A new store is made, and dies on the way: it can be made again and used."""
        self.fresh += 1
        store = Mortal(self.folder / f"fresh-{self.fresh}", self.drives)
        dead = not store.start_armed(name, nth)
        if dead:
            store.start()
        s3 = store.client()
        s3.create_bucket(Bucket="made")
        s3.put_object(Bucket="made", Key="key", Body=b"whole")
        store.kill()
        store.start()
        assert s3.get_object(Bucket="made", Key="key")["Body"].read() == b"whole"
        store.stop()
        store.fsck()
        shutil.rmtree(store.root)
        return dead

    def play_keys(self, name, nth) -> bool:
        """A new store makes its keys, and dies on the way: one pair is in every directory."""
        self.fresh += 1
        store = Mortal(self.folder / f"fresh-{self.fresh}", self.drives, with_keys=False)
        dead = not store.start_armed(name, nth)
        if dead:
            store.start()
        for file in ("credentials.toml", "secrets.key"):
            files = {(drive / file).read_text() for drive in store.drives}
            assert len(files) == 1, f"{len(files)} of {file}"
            assert not any((drive / f"{file}.new").exists() for drive in store.drives)
        store.stop()
        shutil.rmtree(store.root)
        return dead


def goals(drives: int, found: dict) -> list:
    """The points with their scenes that a set of so many drives can reach."""
    return [
        (name, scene)
        for name, scenes in found.items()
        for scene in scenes
        if drives > 1 or scene not in SEVERAL_DRIVES
    ]


def campaign(
    folder: Path, drives: int, seed: int, kills: int, wanted: list, times=None
) -> dict:
    """Kills a store at each of the `wanted` (point, scene), then at any of them, until there are
    `kills`; what came of it. A point that is never passed is a failure."""
    dice = random.Random(seed)
    began = time.monotonic()
    result = {"drives": drives, "kills": 0, "missed": 0, "answered": 0, "fscks": 0, "reached": []}
    most = {}
    field = None
    todo = list(wanted)
    dice.shuffle(todo)
    try:
        while todo or result["kills"] < kills:
            if field is None:
                field = Field(folder / f"field-{result['kills']}", drives, dice.getrandbits(32))
            name, scene = todo.pop() if todo else dice.choice(wanted)
            often = TIMES_OF_FREQUENT if name.startswith(FREQUENT) else TIMES
            nth = dice.choice(times or TIMES_OF.get(scene, often))
            nth = min(nth, most.get((name, scene), nth))
            left = TRIES_OF.get(scene, TRIES)
            while True:
                try:
                    field.kill_at(name, scene, nth)
                    result["reached"].append((name, scene, nth))
                    result["kills"] += 1
                    tell(result)
                    break
                except Missed:
                    result["missed"] += 1
                    # Whether a scene passes it may be chance: which drives have the open segment.
                    left -= nth == 1
                    assert left, f"{name} was never passed, scene {scene}, {drives} drives"
                    nth = max(nth // 2, 1)
                    most[name, scene] = nth
            if result["kills"] % FSCK_EVERY == 0:
                try:
                    field.fsck()
                except BaseException as failure:
                    failure.add_note(f"at the fsck after {name}:{nth}, scene {scene}, {drives} drives")
                    raise
                result["fscks"] += 1
            if field.kills >= KILLS_PER_STORE:
                retire(field, result)
                field = None
        if field:
            retire(field, result)
            field = None
    finally:
        if field and field.store.process:
            field.store.kill()
        result["seconds"] = round(time.monotonic() - began, 1)
        counts = {name: value for name, value in result.items() if name != "reached"}
        figures.record("a piece of the kills", ended=field is None, seed=seed, **counts)
    return result


def tell(result: dict):
    """Says how far a long campaign is."""
    if result["kills"] % 50 == 0:
        print(f"{result['drives']} drives: {result['kills']} kills", flush=True)


def retire(field: Field, result: dict):
    """Ends a store cleanly, checks all of it, and removes it."""
    field.fsck()
    oracle.verify(field.store, field.workers)
    field.store.stop()
    result["fscks"] += 1
    result["answered"] += field.answered
    shutil.rmtree(field.folder)
