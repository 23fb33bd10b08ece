"""Callers with good credentials whom a policy keeps out, and those who have just what is needed.

Each caller of an operation lacks exactly one permission that AWS demands for it, in one of the
ways in which one can lack it; all else is allowed.
"""

from dataclasses import dataclass

from . import expected as e
from .permissions import BUCKET, KEY, S3, SOURCE, STORE
from .scene import Scene

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@dataclass(frozen=True)
class Denied:
    """A caller whom a policy keeps out of an operation."""

    name: str
    signer: object
    expected: frozenset = frozenset(e.DENIED)

    def make(self, request, scene):
        return self.signer.sign(request)


def resources(operation: str, on: str, bucket: str) -> list:
    """The ARNs that a needed action is on, when `operation` is asked for in `bucket`."""
    if operation == "CreateBucket":
        bucket = f"{bucket}-2"
    arn = f"arn:aws:s3:::{bucket}"
    if on == STORE:
        return ["*"]
    if on == BUCKET:
        return [arn]
    if on == SOURCE:
        return [f"arn:aws:s3:::{Scene.cellar}/{Scene.silver}"]
    assert on == KEY
    if operation == "DeleteObjects":
        return [f"{arn}/{Scene.gold}", f"{arn}/{Scene.silver}"]
    return [f"{arn}/{Scene.under_way if operation in Scene.of_uploads else Scene.gold}"]


def denied(scene: Scene, operation: str) -> list:
    """Everybody who lacks one permission for the operation."""
    callers = [Denied("who may do nothing", scene.pauper)] if S3[operation] else []
    for need in S3[operation]:
        arns = resources(operation, need.on, scene.vault)
        short = need.action.split(":")[1]
        all_but = {"Effect": "Allow", "NotAction": need.action, "Resource": "*"}

        def add(how, *statements):
            name = f"{how}-{short}-{need.on}-{len(scene.users)}".lower().replace(" ", "-")
            signer = scene.user(name[:60], list(statements))
            callers.append(Denied(f"{how} ({need.action} on the {need.on})", signer))

        def allow(*elsewhere):
            return {"Effect": "Allow", "Action": need.action, "Resource": list(elsewhere)}

        add("explicit deny", EVERYTHING, {"Effect": "Deny", "Action": need.action, "Resource": arns})
        add(
            "explicit deny by wildcards", EVERYTHING,
            {"Effect": "Deny", "Action": need.action[:-2] + "*", "Resource": [a[:-1] + "?" if a != "*" else a for a in arns]},
        )
        add("explicit deny by NotAction", EVERYTHING, {"Effect": "Deny", "NotAction": "s3:NoSuch", "Resource": arns})
        add("no allow", all_but)
        if need.on == STORE:
            continue
        add("allow elsewhere", all_but, allow("arn:aws:s3:::elsewhere", "arn:aws:s3:::elsewhere/*"))
        # A name that begins as the one in question; and a key's bucket, or a bucket's keys.
        near = [arn + "x" for arn in arns] + [arn[:-1] for arn in arns]
        add("allow on near names", all_but, allow(*near))
        kind = [arn + "/*" for arn in arns] if need.on == BUCKET else [arns[0].split("/")[0]]
        add("allow on the wrong kind", all_but, allow(*kind))
        add(
            "allow on all else", all_but,
            {"Effect": "Allow", "Action": need.action, "NotResource": arns},
        )
    return callers


def exactly(scene: Scene, operation: str, bucket: str) -> Denied:
    """Who has just what AWS demands for the operation in `bucket`, which may be a pattern."""
    statements = [
        {"Effect": "Allow", "Action": need.action, "Resource": resources(operation, need.on, bucket)}
        for need in S3[operation]
    ]
    return Denied("exactly what is needed", scene.user(f"control-{operation}".lower(), statements))
