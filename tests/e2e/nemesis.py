"""What happens to a server under load: kills, pauses, drives that are away or stall for a while."""

import collections
import random
import signal
import time


class Nemesis:
    """One thing every `every_s` seconds (from, to), each possible again afterwards.

    At most as many drives are away, or stalled since the last start (and so perhaps taken out by
    the server), as the store can lose, and all are back before others go. With `fs`, a FaultFs,
    drives stall.
    """

    def __init__(
        self, store, shared, seed: int, every_s, lost_max: int = 0, pause_s=(0.2, 3.0), fs=None
    ):
        self.store, self.shared, self.random = store, shared, random.Random(seed)
        self.every_s, self.lost_max, self.pause_s, self.fs = every_s, lost_max, pause_s, fs
        self.stalled = set()
        self.counts = collections.Counter()
        self.away = []
        self.restart_s = []
        #: What comes next; it begins with a kill, so that every run has one.
        self.turns = ["kill"]

    def run(self, end: float):
        """Until that moment, or until a client has failed."""
        while True:
            pause = self.random.uniform(*self.every_s)
            if self.shared.stop.wait(min(pause, max(end - time.monotonic(), 0))):
                return
            if time.monotonic() >= end:
                return
            self.store.assert_alive()
            self.act(self.next_turn())

    def next_turn(self) -> str:
        if not self.turns:
            self.turns = ["kill", "pause", "drives" if self.lost_max else "kill"]
            self.turns += ["stall", "stall"] if self.fs else []
            self.random.shuffle(self.turns)
        return self.turns.pop()

    def act(self, turn: str):
        if turn == "pause":
            self.pause()
        elif turn == "stall":
            self.stall()
        elif turn == "kill":
            self.restart()
        elif self.away:
            self.restart(put_back=True)
        else:
            # The start wants a majority of those that were not taken out.
            most = self.lost_max - len(self.stalled)
            count = self.random.randint(1, most) if most > 0 else 0
            self.restart(take=self.random.sample(self.store.drives, count))

    def stall(self):
        """A drive answers nothing of a kind for some seconds."""
        drive = self.random.randrange(len(self.store.drives))
        if len(self.stalled | {drive}) + len(self.away) > self.lost_max:
            return
        self.stalled.add(drive)
        ops = self.random.choice([("read",), ("write", "sync", "syncdir"), ()])
        rule = self.fs.fault(drive, "stall", *ops)
        try:
            time.sleep(self.random.uniform(*self.pause_s))
        finally:
            self.fs.clear(drive, rule)
        self.counts["drives stalled"] += 1

    def pause(self):
        """The server stands still; clients wait."""
        self.store.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(self.random.uniform(*self.pause_s))
        finally:
            self.store.process.send_signal(signal.SIGCONT)
        self.counts["pauses"] += 1

    def restart(self, take=(), put_back=False):
        """kill -9, then drives go or come back, then a start."""
        self.shared.up.clear()
        self.store.kill()
        self.shared.process_died()
        self.counts["kills"] += 1
        self.stalled.clear()
        if put_back:
            for drive in self.away:
                aside(drive).rename(drive)
            self.counts["drives put back"] += len(self.away)
            self.away = []
        for drive in take:
            drive.rename(aside(drive))
            self.away.append(drive)
            self.counts["drives taken"] += 1
        self.start()

    def start(self):
        began = time.monotonic()
        self.shared.process += 1
        self.store.start(*(["--degraded"] if self.away else []))
        self.restart_s.append(time.monotonic() - began)
        self.shared.up.set()

    def end(self, last):
        """A last restart with all drives; then `last` is called, and the server stopped."""
        self.restart(put_back=True)
        last()
        self.store.stop()
        self.shared.process_died()


def aside(drive):
    return drive.with_name(drive.name + ".away")
