"""Clients that read while something is done to a store."""

import random
import threading


class Readers:
    """Threads that read stable objects and compare them whole, until told to stop."""

    def __init__(self, store, bucket: str, contents: dict, count: int = 2):
        self.bucket = bucket
        self.stop, self.failures, self.reads = threading.Event(), [], 0
        self.threads = [
            threading.Thread(target=self.run, args=(store.client(), contents, i), daemon=True)
            for i in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def run(self, s3, contents, number):
        dice = random.Random(number)
        while not self.stop.is_set():
            key = dice.choice(list(contents))
            try:
                data = s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
                assert data == contents[key], f"{key} has wrong bytes"
                self.reads += 1
            except Exception as failure:  # handed to the test's thread
                self.failures.append(failure)
                return

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=120)
            assert not thread.is_alive(), "a reader hangs"
        if self.failures:
            raise self.failures[0]
        return self.reads
