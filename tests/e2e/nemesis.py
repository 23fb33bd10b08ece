"""What happens to a server under load: kills, pauses, drives that are away for a while."""

import collections
import random
import signal
import time


class Nemesis:
    """One thing every `every_s` seconds (from, to), each possible again afterwards.

    At most as many drives are away as the store can lose, and all are back before others go.
    """

    def __init__(self, store, shared, seed: int, every_s, lost_max: int = 0, pause_s=(0.2, 3.0)):
        self.store, self.shared, self.random = store, shared, random.Random(seed)
        self.every_s, self.lost_max, self.pause_s = every_s, lost_max, pause_s
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
            self.random.shuffle(self.turns)
        return self.turns.pop()

    def act(self, turn: str):
        if turn == "pause":
            self.pause()
        elif turn == "kill":
            self.restart()
        elif self.away:
            self.restart(put_back=True)
        else:
            count = self.random.randint(1, self.lost_max)
            self.restart(take=self.random.sample(self.store.drives, count))

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
