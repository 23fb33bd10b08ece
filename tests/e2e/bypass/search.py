"""The matrix: every operation, asked by everybody who must not get in, and who did."""

import time
from collections import Counter
from dataclasses import dataclass, field

from . import intruders, policies
from .expected import is_refusal, matches
from .permissions import ANSWERED_IN_PARTS
from .scene import SECRET, Scene
from .wire import Reply

OK, LET_IN, WRONG_CLASS, FAILED, KEPT_OUT = "ok", "let in", "wrong class", "failed", "kept out"
#: Operations between two looks at the store.
BATCH = 8


@dataclass(frozen=True)
class Row:
    """One request, and what became of it."""

    operation: str
    caller: str
    request: object
    reply: Reply
    verdict: str
    why: str = ""

    @property
    def key(self) -> tuple:
        return (self.operation, self.caller)


@dataclass
class Report:
    """What the search found."""

    endpoint: str
    rows: Counter = field(default_factory=Counter)
    offending: list = field(default_factory=list)
    seconds: float = 0.0

    def add(self, row: Row):
        self.rows[row.verdict] += 1
        if row.verdict != OK:
            self.offending.append(row)

    def of(self, verdict: str) -> list:
        return [row for row in self.offending if row.verdict == verdict]

    def merge(self, other: "Report"):
        self.rows.update(other.rows)
        self.offending += other.offending
        self.seconds += other.seconds

    def __str__(self) -> str:
        lines = []
        for row in self.offending:
            lines.append(f"{row.verdict.upper()}: {row.operation}, {row.caller}: {row.reply} {row.why}")
            lines.append("    " + row.request.curl(self.endpoint))
        counted = ", ".join(
            f"{self.rows[v]} {v}" for v in (LET_IN, WRONG_CLASS, FAILED, KEPT_OUT)
        )
        total = sum(self.rows.values())
        lines.append(f"bypass search: {total} rows in {self.seconds:.1f} s: {counted}")
        return "\n".join(lines)


class Search:
    """Goes through the matrix over one scene. `part` of `parts`: every how-manieth row."""

    def __init__(self, scene: Scene, part: int = 0, parts: int = 1):
        self.scene, self.part, self.parts = scene, part, parts
        self.report = Report(scene.endpoint)
        self.number = 0

    def run(self) -> Report:
        began = time.monotonic()
        names = [operation.name for operation in self.scene.operations]
        for first in range(0, len(names), BATCH):
            self.attack(names[first : first + BATCH])
        self.report.seconds += time.monotonic() - began
        return self.report

    def cases(self, names) -> list:
        """The chosen rows of these operations: operation's name and caller."""
        chosen = []
        for name in names:
            callers = [(intruder, False) for intruder in intruders.ALL]
            if name in self.scene.built:
                callers += [(caller, True) for caller in policies.denied(self.scene, name)]
            else:
                callers += [(policies.Denied("who may do nothing", self.scene.pauper), True)]
            for caller, known in callers:
                self.number += 1
                if self.number % self.parts == self.part:
                    chosen.append((name, caller, known))
        return chosen

    def attack(self, names):
        """Sends the rows; if the store is not what it was, again one by one."""
        chosen = self.cases(names)
        baseline = self.scene.settle()
        rows = [row for case in chosen if (row := self.ask(*case))]
        if self.scene.state() == baseline:
            for row in rows:
                self.report.add(row)
            return
        found = 0
        for case in chosen:
            baseline = self.scene.settle(again=True)
            row = self.ask(*case)
            if row is None:
                continue
            after = self.scene.state()
            if after != baseline:
                found += 1
                changed = sorted(k for k in baseline.keys() | after.keys() if baseline.get(k) != after.get(k))
                row = Row(*row.key, row.request, row.reply, LET_IN, f"(changed: {', '.join(changed)[:200]})")
            self.report.add(row)
        self.scene.settle(again=True)
        if not found:
            # It was no single request; which of them together is for a person to find.
            first = rows[0]
            why = "(the rows of these operations together changed the store: " + ", ".join(names) + ")"
            self.report.add(Row("several", "several", first.request, first.reply, LET_IN, why))

    def ask(self, name: str, caller, known: bool):
        """One row; None where it makes no sense. `known`: the caller's credentials are good."""
        operation = self.scene.operation(name)
        request = caller.make(operation.request, self.scene)
        if request is None:
            return None
        reply = self.scene.wire.send(request)
        built = name in self.scene.built
        expected = set(caller.expected)
        if not built and (known or caller.by_body):
            expected.add((501, "NotImplemented"))
        return Row(name, caller.name, request, reply, *judge(name, reply, expected))


def judge(name: str, reply: Reply, expected) -> tuple:
    """The verdict on a reply to somebody who is to be refused as `expected`."""
    reply = taken_together(name, reply)
    if SECRET in reply.body:
        return LET_IN, "(it has the vault's content)"
    if matches(reply, expected):
        return OK, ""
    if reply.status == 0 or (reply.status >= 500 and reply.status != 501):
        return FAILED, ""
    if is_refusal(reply):
        return WRONG_CLASS, f"(expected: {' or '.join(f'{s} {c}' for s, c in sorted(expected))})"
    return LET_IN, ""


def taken_together(name: str, reply: Reply) -> Reply:
    """A reply whose parts were each refused is a refusal."""
    if name in ANSWERED_IN_PARTS and reply.status == 200 and b"<Deleted>" not in reply.body:
        parts = reply.body.count(b"<Error>")
        if parts and parts == reply.body.count(b"<Code>AccessDenied</Code>"):
            return Reply(403, reply.headers, reply.body)
    return reply


def controls(scene: Scene) -> Report:
    """The reverse: who has exactly what is needed is not refused. Each operation has a bucket of
    its own for it, since it may well succeed."""
    report = Report(scene.endpoint)
    began = time.monotonic()
    for number, name in enumerate(sorted(scene.built)):
        bucket = f"stage-{number}"
        scene.must("PUT", f"/{bucket}")
        if name != "DeleteBucket":
            scene.fill(bucket)
        request = policies.exactly(scene, name, bucket).make(
            scene.builder("s3", bucket).build(name).request, scene
        )
        reply = taken_together(name, scene.wire.send(request))
        refused = reply.status in (0, 401, 403) or reply.status >= 500
        why = "(with exactly what AWS demands)" if refused else ""
        report.add(Row(name, "exactly what is needed", request, reply, KEPT_OUT if refused else OK, why))
    report.seconds = time.monotonic() - began
    return report
