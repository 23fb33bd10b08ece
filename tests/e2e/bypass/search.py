"""The matrix: every operation, asked by everybody who must not get in, and who did."""

import time
from collections import Counter
from dataclasses import dataclass, field, replace

from . import intruders, policies, tricks
from .expected import REFUSALS, WORTHLESS_TOKEN, is_refusal, matches, of_service
from .permissions import ANSWERED_IN_PARTS, STS_UNSIGNED
from .people import SECRET
from .scene import Scene
from .signing import CHUNKED_UNSIGNED
from .wire import Reply

OK, LET_IN, WRONG_CLASS, FAILED, KEPT_OUT = "ok", "let in", "wrong class", "failed", "kept out"
OFFENCES = (LET_IN, WRONG_CLASS, FAILED, KEPT_OUT)
#: Offending rows after which a search ends.
ENOUGH = 300
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
    enough: int = ENOUGH

    def add(self, row: Row):
        self.rows[row.verdict] += 1
        if row.verdict != OK:
            self.offending.append(row)

    def add_all(self, rows):
        for row in rows:
            self.add(row)

    def is_full(self) -> bool:
        """Whether so many got in that it is pointless to go on."""
        return len(self.offending) >= self.enough

    def counts(self) -> dict:
        verdicts = {verdict.replace(" ", "_"): self.rows[verdict] for verdict in OFFENCES}
        return {"rows": sum(self.rows.values()), **verdicts}

    def __str__(self) -> str:
        lines = []
        for row in sorted(self.offending, key=lambda row: row.verdict):
            lines.append(
                f"{row.verdict.upper()}: {row.operation}, {row.caller}: {row.reply} {row.why}"
            )
            lines.append("    " + row.request.curl(self.endpoint))
        counted = ", ".join(
            f"{count} {what.replace('_', ' ')}" for what, count in self.counts().items()
        )
        lines.append(f"bypass search in {self.seconds:.1f} s: {counted}")
        return "\n".join(lines)


class Search:
    """Goes through the matrix over one scene, or through every so-manieth row of it."""

    def __init__(self, scene: Scene, parts: int = 1):
        self.scene, self.parts = scene, parts
        self.report = Report(scene.endpoint)
        self.number = 0

    def run(self) -> Report:
        return self.attack_all([str(operation) for operation in self.scene.operations])

    def attack_all(self, names) -> Report:
        """The rows of these operations."""
        began = time.monotonic()
        for first in range(0, len(names), BATCH):
            self.attack(names[first : first + BATCH])
        self.report.seconds += time.monotonic() - began
        return self.report

    def cases(self, names) -> list:
        """The chosen rows of these operations: the operation's name and the caller."""
        chosen = []
        for name in names:
            service, operation = name.split(":")
            callers = [i for i in intruders.ALL if service == "s3" or not i.s3_only]
            if operation in STS_UNSIGNED:
                callers = [i for i in callers if i.make is intruders.anonymous]
            if name not in self.scene.built:
                callers.append(policies.pauper(self.scene))
            elif service == "s3":
                callers += policies.denied(self.scene, operation)
            else:
                callers += policies.denied_people(self.scene, service, operation)
            # What is not built is refused by few lines of code.
            every = self.parts if name in self.scene.built or self.parts == 1 else self.parts * 4
            for caller in callers:
                self.number += 1
                if self.number % every == 0:
                    chosen.append((name, caller))
        return chosen

    def attack(self, names):
        """Sends the rows of these operations."""
        chosen = self.cases(names)
        for _, caller in chosen:
            if isinstance(caller, policies.Denied):
                caller.prepare()
        self.scene.settle()
        sent_and_looked_at(
            self.scene, chosen, lambda case: self.ask(*case), self.scene.state, self.report
        )

    def ask(self, name: str, caller):
        """One row; None where it makes no sense."""
        operation = self.scene.operation(name)
        view = self.scene.views[operation.service]
        request = caller.make(operation.request, view)
        if request is None:
            return None
        reply = self.scene.wire.send(request)
        expected = of_service(operation.service, caller.expected)
        known = isinstance(caller, policies.Denied)
        if name not in self.scene.built and (known or caller.by_body):
            expected.add((501, "NotImplemented"))
        if operation.name in STS_UNSIGNED:
            expected |= WORTHLESS_TOKEN
        return Row(name, caller.name, request, reply, *judge(operation.name, reply, expected))


def sent_and_looked_at(scene: Scene, cases, ask, look, report: Report):
    """Asks each case; if the store is not what it was, halves of them again until it is known
    which did it."""
    if report.is_full():
        return
    baseline = look()
    rows = [row for case in cases if (row := ask(case))]
    after = look()
    if after == baseline:
        report.add_all(rows)
        return
    scene.settle(again=True)
    if len(rows) == 1:
        report.add(with_effect(rows[0], baseline, after))
        return
    before, middle = len(report.offending), len(cases) // 2
    sent_and_looked_at(scene, cases[:middle], ask, look, report)
    sent_and_looked_at(scene, cases[middle:], ask, look, report)
    if not report.is_full() and len(report.offending) == before:
        # Together they did what none does alone; which, in a row, is for a person to find.
        row = with_effect(rows[0], baseline, after)
        names = f"{len(rows)} requests from {row.caller} to {rows[-1].caller}"
        report.add(replace(row, caller=names))


def with_effect(row: Row, before: dict, after: dict) -> Row:
    """The row, whose verdict changes if the store did."""
    if before == after:
        return row
    changed = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
    return replace(row, verdict=LET_IN, why=f"(changed: {', '.join(changed)[:200]})")


def judge(name: str, reply: Reply, expected) -> tuple:
    """The verdict on a reply to somebody who is to be refused as `expected`."""
    reply = taken_together(name, reply)
    if SECRET in reply.body:
        return LET_IN, "(it tells a secret)"
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


#: The ways to sign a request; a right signature by each must be taken.
MECHANISMS = {
    "header": lambda signer, request: signer.sign(request),
    "query": lambda signer, request: signer.presign(request),
    "signed chunks": lambda signer, request: signer.chunked(request),
    "unsigned chunks": lambda signer, request: signer.sign(
        intruders.in_unsigned_chunks(request), payload=CHUNKED_UNSIGNED
    ),
}


def controls(scene: Scene) -> Report:
    """The reverse: who has exactly what is needed is not refused, however it signs. Each request
    has a bucket of its own, since it may well succeed."""
    report = Report(scene.endpoint)
    began = time.monotonic()
    names = sorted(name.split(":")[1] for name in scene.built if name.startswith("s3:"))
    for number, name in enumerate(names):
        for mechanism, sign in MECHANISMS.items():
            bucket = f"stage-{number}-{mechanism.replace(' ', '-')}"
            scene.must("PUT", f"/{bucket}")
            if name != "DeleteBucket":
                scene.fill(bucket)
            operation = scene.builder("s3", bucket).build(name)
            if "chunks" in mechanism and not operation.request.body:
                continue
            request = sign(
                policies.exactly(scene, name, f"stage-{number}-*").signer, operation.request
            )
            reply = taken_together(name, scene.wire.send(request))
            out = (
                reply.status == 0 or reply.code in REFUSALS or reply.status in (401, 403, 500, 503)
            )
            verdict = KEPT_OUT if out else OK
            report.add(
                Row(
                    f"s3:{name}", f"exactly what is needed, by {mechanism}", request, reply, verdict
                )
            )
    report.seconds = time.monotonic() - began
    return report


def controls_of_people(scene: Scene, parts: int = 1) -> Report:
    """The same for IAM and STS, or for every so-manieth operation; after each, everybody is as they
    were."""
    report = Report(scene.endpoint)
    began = time.monotonic()
    names = sorted(name for name in scene.built if not name.startswith("s3:"))
    callers = {}
    for name in names[::parts]:
        service, operation = name.split(":")
        if operation not in STS_UNSIGNED:
            callers[name] = policies.exactly_people(scene, service, operation)
            callers[name].prepare()
    scene.settle()
    for name, caller in callers.items():
        request = caller.make(scene.operation(name).request, scene.views[name.split(":")[0]])
        reply = scene.wire.send(request)
        out = reply.status == 0 or reply.code in REFUSALS or reply.status in (401, 403, 500, 503)
        report.add(Row(name, caller.name, request, reply, KEPT_OUT if out else OK))
        scene.settle(again=True)
    report.seconds = time.monotonic() - began
    return report


class Tricks:
    """Sends the tricks of `tricks`: whatever is answered, nothing may come of them."""

    def __init__(self, scene: Scene):
        self.scene = scene
        self.report = Report(scene.endpoint)

    def run(self) -> Report:
        began = time.monotonic()
        self.scene.settle(again=True)
        self.made, chosen = self.scene.life, tricks.all_of(self.scene)
        self.chosen = chosen
        strictly = [i for i, trick in enumerate(chosen) if not trick.at_home]
        freely = [i for i, trick in enumerate(chosen) if trick.at_home]
        sent_and_looked_at(self.scene, strictly, self.ask, self.everything, self.report)
        sent_and_looked_at(self.scene, freely, self.ask, self.vault_and_loot, self.report)
        self.scene.settle(again=True)
        self.report.seconds = time.monotonic() - began
        return self.report

    def ask(self, number: int) -> Row:
        trick = self.trick(number)
        send = self.scene.wire.alone if trick.alone else self.scene.wire.exchange
        reply = send(trick.raw, trick.request.method)
        verdict, why = OK, ""
        if SECRET in reply.body or b"<SecretAccessKey>" in reply.body:
            verdict, why = LET_IN, "(it tells a secret)"
        elif reply.status >= 500 and reply.status != 501:
            verdict = FAILED
        return Row("tricks", trick.name, trick.request, reply, verdict, why)

    def trick(self, number: int):
        """The trick, made anew if the scene was: uploads have other ids then."""
        if self.made != self.scene.life:
            self.made, self.chosen = self.scene.life, tricks.all_of(self.scene)
        return self.chosen[number]

    def everything(self) -> dict:
        """The store, with the uploads that the tricks need."""
        self.trick(0)
        return self.scene.state()

    def vault_and_loot(self) -> dict:
        """The store but for the lobby, and what of the vault is found in the lobby."""
        state = {
            what: value
            for what, value in self.everything().items()
            if Scene.lobby not in what.split("?")[0].split("/")
        }
        return state | {"loot": self.scene.loot()}
