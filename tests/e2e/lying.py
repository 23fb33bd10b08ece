"""Faults that a checker of histories must find: what is between clients and server lies."""

import hashlib
import random

from history import Reply, Wire


class StaleReads(Wire):
    """Now and then a GET is answered as one was before."""

    def __init__(self, shared):
        super().__init__(shared)
        self.old, self.dice = {}, random.Random(1)

    def send(self, method, path, query, headers, body):
        old = self.old.get(path)
        if old and method == "GET" and not query and self.dice.random() < 0.1:
            return old
        reply = super().send(method, path, query, headers, body)
        if method == "GET" and not query and reply.status in (200, 404):
            if not old or self.dice.random() < 0.1:
                self.old[path] = reply
        return reply


class LostWrites(Wire):
    """Now and then a PUT is answered, and not done."""

    dice = random.Random(2)

    def send(self, method, path, query, headers, body):
        if method == "PUT" and not query and not headers and self.dice.random() < 0.02:
            return Reply(200, hashlib.md5(body).hexdigest(), b"", self.process)
        return super().send(method, path, query, headers, body)


class ReplayedPuts(Wire):
    """Now and then an old PUT is sent a second time, as by a proxy that tries again."""

    def __init__(self, shared):
        super().__init__(shared)
        self.dice = random.Random(3)
        self.held = None

    def send(self, method, path, query, headers, body):
        reply = super().send(method, path, query, headers, body)
        if method == "PUT" and not query and not headers and self.dice.random() < 0.1:
            if self.held:
                super().send("PUT", self.held[0], {}, {}, self.held[1])
            self.held = (path, body)
        return reply


class ShortListings(Wire):
    """Now and then a page lacks a key."""

    dice = random.Random(4)

    def send(self, method, path, query, headers, body):
        reply = super().send(method, path, query, headers, body)
        if "list-type" in query and self.dice.random() < 0.1:
            start, end = reply.body.find(b"<Contents>"), reply.body.find(b"</Contents>")
            if start >= 0:
                reply.body = reply.body[:start] + reply.body[end + len(b"</Contents>") :]
        return reply
