"""Callers with good credentials whom a policy keeps out, and those who have just what is needed.

Each caller of an operation lacks exactly one permission that AWS demands for it, in one of the
ways in which one can lack it; all else is allowed.
"""

import json
from dataclasses import dataclass

from . import expected as e
from .operations import base
from .permissions import (
    ALL,
    BUCKET,
    GROUP,
    KEY,
    POLICY,
    PROVIDER,
    ROLE,
    S3,
    SOURCE,
    STORE,
    USER,
    needs,
)
from .scene import Scene

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@dataclass(frozen=True)
class Denied:
    """A caller whom a policy keeps out of an operation: a user with these statements, made when it
    is first asked for."""

    name: str
    scene: Scene
    user: str
    statements: tuple
    expected: frozenset = frozenset(e.DENIED)
    boundary: tuple = ()
    by_body, s3_only = False, False

    @property
    def signer(self):
        return self.scene.user(self.user, self.statements, self.boundary)

    def prepare(self):
        """Makes the user, so that this is not taken for an effect of what it asks for."""
        self.signer  # noqa: B018: the property makes it

    def make(self, request, view):
        return self.signer.but(service=view.service).sign(request)


@dataclass(frozen=True)
class InSession(Denied):
    """The same for the session of a role that may do everything; the statements are the
    session's."""

    @property
    def signer(self):
        return _session(self.scene, json.dumps(self.statements), self.statements)


@dataclass(frozen=True)
class Known(Denied):
    """Somebody who is there already."""

    known: object = None

    @property
    def signer(self):
        return self.known


def _session(scene: Scene, key: str, statements):
    if key not in scene.sessions:
        scene.sessions[key] = scene.people.session(statements)
    return scene.sessions[key]


def pauper(scene: Scene) -> Denied:
    return Denied("who may do nothing", scene, "pauper", tuple(Scene.nothing))


def resources(operation: str, on: str, bucket: str) -> list:
    """The ARNs that a needed action is on, when `operation` is asked for in `bucket`."""
    operation = base(operation)
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


#: Conditions that hold for none of the search's requests.
NEVER = {
    "of an address elsewhere": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
    "of not this address": {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
    "of another name": {"StringEquals": {"aws:username": "somebody-else"}},
    "of another principal": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/somebody-else"}},
    "of the past": {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
    "of TLS": {"Bool": {"aws:SecureTransport": "true"}},
    "of a key that is not there": {"StringLike": {"aws:PrincipalTag/none": "*"}},
    "of another agent": {
        "StringLikeIfExists": {"aws:UserAgent": "nobody/*"},
        "Null": {"aws:SourceIp": "true"},
    },
}
#: Conditions that hold for all of them.
ALWAYS = {
    "of this address": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
    "of plain HTTP": {"Bool": {"aws:SecureTransport": "false"}},
    "of any name": {"StringLike": {"aws:username": "*"}},
    "of the future": {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
    "of a key that is not there": {"StringNotEquals": {"aws:PrincipalTag/none": "x"}},
    "of if it exists": {"StringEqualsIfExists": {"aws:PrincipalTag/none": "x"}},
}


def denied(scene: Scene, operation: str) -> list:
    """Everybody who lacks one permission for the operation."""
    callers = [pauper(scene), *strangers(scene, operation), *on_conditions(scene)]
    for need in S3[operation]:
        arns = resources(operation, need.on, scene.vault)
        short = need.action.split(":")[1]
        all_but = {"Effect": "Allow", "NotAction": need.action, "Resource": "*"}

        def add(how, *statements):
            name = f"{need.on}-{short}-{how}".lower().replace(" ", "-")
            callers.append(
                Denied(f"{how} ({need.action} on the {need.on})", scene, name, statements)
            )

        def allow(*elsewhere):
            return {"Effect": "Allow", "Action": need.action, "Resource": list(elsewhere)}

        add(
            "explicit deny", EVERYTHING, {"Effect": "Deny", "Action": need.action, "Resource": arns}
        )
        add(
            "explicit deny by wildcards",
            EVERYTHING,
            {
                "Effect": "Deny",
                "Action": need.action[:-2] + "*",
                "Resource": [a[:-1] + "?" if a != "*" else a for a in arns],
            },
        )
        add(
            "explicit deny by NotAction",
            EVERYTHING,
            {"Effect": "Deny", "NotAction": "s3:NoSuch", "Resource": arns},
        )
        add("no allow", all_but)
        if scene.people:
            bound = Denied(
                "no allow in the boundary",
                scene,
                f"{short}-bound",
                (EVERYTHING,),
                boundary=(all_but,),
            )
            deny = {"Effect": "Deny", "Action": need.action, "Resource": arns}
            bound_by_deny = Denied(
                "a deny in the boundary",
                scene,
                f"{short}-bound-by-deny",
                (EVERYTHING,),
                boundary=(EVERYTHING, deny),
            )
            callers += [bound, bound_by_deny]
            callers.append(InSession("no allow in the session", scene, "", (all_but,)))
            callers.append(InSession("a deny in the session", scene, "", (EVERYTHING, deny)))
            if need in scene.refusals and operation != "CreateBucket":
                signer = scene.refusals[need][0]
                callers.append(Known("deny in the bucket's policy", scene, "", (), known=signer))
        if need.on == STORE:
            continue
        add("allow elsewhere", all_but, allow("arn:aws:s3:::elsewhere", "arn:aws:s3:::elsewhere/*"))
        # A name that begins as the one in question; and a key's bucket, or a bucket's keys.
        near = [arn + "x" for arn in arns] + [arn[:-1] for arn in arns]
        add("allow on near names", all_but, allow(*near))
        kind = [arn + "/*" for arn in arns] if need.on == BUCKET else [arns[0].split("/")[0]]
        add("allow on the wrong kind", all_but, allow(*kind))
        add(
            "allow on all else",
            all_but,
            {"Effect": "Allow", "Action": need.action, "NotResource": arns},
        )
    return callers


def on_conditions(scene: Scene) -> list:
    """Those whom only a condition keeps out, whatever they ask of S3."""
    callers = []
    for how, condition in ALWAYS.items():
        deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": condition}
        name = f"explicit deny on condition {how}"
        callers.append(Denied(name, scene, name.replace(" ", "-"), (EVERYTHING, deny)))
    for how, condition in NEVER.items():
        allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": condition}
        name = f"allow on condition {how}"
        callers.append(Denied(name, scene, name.replace(" ", "-"), (allow,)))
    return callers


def strangers(scene: Scene, operation: str) -> list:
    """Those who are of no account, or of another than the vault's: they may do everything at home."""
    callers = []
    if scene.people:
        callers.append(
            Known("a session of who may do nothing", scene, "", (), known=scene.token_of_pauper)
        )
        at_home = operation == "CreateBucket" or S3[operation][0].on == STORE
        if not at_home:
            for name, signer in scene.foreigners.items():
                callers.append(Known(name, scene, "", (), known=signer))
    return callers


def entities(people, operation: str, on: str) -> list:
    """The ARNs that an action of IAM or STS is on."""
    made = {
        "CreateUser": "newcomer",
        "CreateGroup": "gang",
        "CreateRole": "usurper",
        "CreatePolicy": "edict",
    }
    name = made.get(operation)
    if operation in ("UpdateUser", "UpdateGroup"):
        # "To change a user name or path, [you] must have the permission for both the source and
        # the target object."
        was = people.victim if on == USER else people.crew
        return [people.arn(f"{on}/{was}"), people.arn(f"{on}/renamed")]
    if on == ALL:
        return ["*"]
    if on == USER:
        return [people.arn(f"user/{name or people.victim}")]
    if on == GROUP:
        return [people.arn(f"group/{name or people.crew}")]
    if on == ROLE:
        return [people.arn(f"role/{name or people.vizier}")]
    if on == POLICY:
        return [people.arn(f"policy/{name or people.law}")]
    assert on == PROVIDER
    host = "evil.example" if operation == "CreateOpenIDConnectProvider" else "oidc.example"
    return [people.arn(f"oidc-provider/{host}")]


def denied_people(scene: Scene, service: str, operation: str) -> list:
    """Everybody who lacks one permission for an operation of IAM or STS."""
    callers = []
    for need in needs(service, operation):
        callers.append(pauper(scene))
        arns = entities(scene.people, operation, need.on)
        all_but = {"Effect": "Allow", "NotAction": need.action, "Resource": "*"}
        allow = {"Effect": "Allow", "Action": need.action}

        def add(how, *statements):
            name = f"{operation}-{how}".lower().replace(" ", "-")
            callers.append(Denied(f"{how} ({need.action})", scene, name, statements))

        add(
            "explicit deny", EVERYTHING, {"Effect": "Deny", "Action": need.action, "Resource": arns}
        )
        add("no allow", all_but)
        if need.on != ALL:
            near = [arn + "x" for arn in arns] + [arn[:-1] for arn in arns]
            add("allow on near names", all_but, allow | {"Resource": near})
            add("allow on all else", all_but, allow | {"NotResource": arns})
        condition = NEVER["of not this address"]
        add("allow on a condition", all_but, allow | {"Resource": arns, "Condition": condition})
    return callers


def exactly_people(scene: Scene, service: str, operation: str) -> Denied:
    """Who has just what AWS demands for an operation of IAM or STS."""
    statements = [
        {
            "Effect": "Allow",
            "Action": need.action,
            "Resource": entities(scene.people, operation, need.on),
        }
        for need in needs(service, operation)
    ]
    name = f"control-{operation}"
    return Denied("exactly what is needed", scene, name, tuple(statements or Scene.nothing))


def exactly(scene: Scene, operation: str, bucket: str) -> Denied:
    """Who has just what AWS demands for the operation in `bucket`, which may be a pattern."""
    statements = [
        {
            "Effect": "Allow",
            "Action": need.action,
            "Resource": resources(operation, need.on, bucket),
        }
        for need in S3[operation]
    ]
    return Denied("exactly what is needed", scene, f"control-{operation}", tuple(statements))
