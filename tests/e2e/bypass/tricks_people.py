"""Tricks on IAM and STS: other spellings of a name, several parameters, other services' signatures.

They are told by their effects, by what is secret in a reply, or by credentials in it.
"""

from dataclasses import replace
from urllib.parse import urlencode

from .people import ALL, VERSIONS, document
from .request import Request
from .scene import Scene

FORM = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")


def add_all(scene: Scene, add):
    """Adds each as `add(name, request)`."""
    people = scene.people
    pauper = scene.pauper.but(service="iam")
    # May do everything but to the victim, to the boss and with the hermit.
    forbidden = [
        people.arn(f"user/{people.victim}"),
        people.arn(f"user/staff/{people.boss}"),
        people.arn(f"policy/{people.law}"),
        people.arn(f"group/{people.crew}"),
        people.arn(f"role/{people.vizier}"),
    ]
    most = scene.user("nearly-all", [ALL, {"Effect": "Deny", "Action": "*", "Resource": forbidden}])
    most = most.but(service="iam")
    # May do everything to the users below /team/.
    team = scene.user(
        "team-lead",
        [
            {"Effect": "Allow", "Action": "iam:*", "Resource": people.arn("user/team/*")},
        ],
    ).but(service="iam")

    def form(pairs, query: str = "", method: str = "POST", *headers) -> Request:
        body = urlencode(pairs).encode() if method != "GET" else b""
        query = urlencode(pairs) if method == "GET" else query
        kind = () if method == "GET" else (FORM,)
        return Request(method, "/", query, (("Host", scene.host), *kind, *headers), body)

    def call(action: str, service: str = "iam", **arguments):
        names = {name.replace("_", "."): value for name, value in arguments.items()}
        return [("Action", action), ("Version", VERSIONS[service]), *names.items()]

    def spellings(name: str) -> list:
        return [
            name,
            name.upper(),
            name.capitalize(),
            f" {name}",
            f"{name} ",
            f"/{name}",
            f"x/../{name}",
            f"{name}\0",
            f"user/{name}",
            f"{name}%00",
            f"*",
            name[:-1] + "?",
            people.arn(f"user/{name}"),
            f"staff/{name}",
        ]

    for victim in (people.victim, people.boss):
        for name in spellings(victim):
            for action, more in (
                ("CreateAccessKey", {}),
                ("DeleteUser", {}),
                ("GetUser", {}),
                ("ListUserTags", {}),
                ("PutUserPolicy", {"PolicyName": "graft", "PolicyDocument": document(ALL)}),
                ("UpdateUser", {"NewUserName": "renamed"}),
                ("UntagUser", {"TagKeys_member_1": "a"}),
            ):
                add(
                    f"{action} of {name!r}, who is denied",
                    most.sign(form(call(action, UserName=name, **more))),
                )
                add(
                    f"{action} of {name!r}, who is in no team",
                    team.sign(form(call(action, UserName=name, **more))),
                )
    for name in (people.crew.upper(), people.crew.capitalize()):
        add(
            f"DeleteGroupPolicy of {name}",
            most.sign(form(call("DeleteGroupPolicy", GroupName=name, PolicyName="own"))),
        )
        add(
            f"AddUserToGroup of {name}",
            most.sign(form(call("AddUserToGroup", GroupName=name, UserName=people.boss))),
        )
    for name in (people.vizier.upper(), people.vizier.capitalize()):
        add(
            f"UpdateAssumeRolePolicy of {name}",
            most.sign(form(call("DeleteRolePolicy", RoleName=name, PolicyName="own"))),
        )
    for arn in (
        people.arn(f"policy/{people.law.upper()}"),
        people.arn(f"policy//{people.law}"),
        people.arn(f"policy/x/../{people.law}"),
    ):
        add(
            f"DeletePolicyVersion of {arn}",
            most.sign(form(call("DeletePolicyVersion", PolicyArn=arn, VersionId="v2"))),
        )
    for path in ("/", "/teams/", "/TEAM/", "/other/team/", "team/", ""):
        add(
            f"CreateUser at {path!r}",
            team.sign(form(call("CreateUser", UserName="newcomer", Path=path))),
        )
    add(
        "UpdateUser out of the team",
        team.sign(form(call("UpdateUser", UserName=people.victim, NewPath="/team/"))),
    )
    add(
        "an access key by its id alone",
        team.sign(form(call("DeleteAccessKey", AccessKeyId=people.key))),
    )
    add(
        "an access key of another, by oneself",
        team.sign(form(call("UpdateAccessKey", AccessKeyId=people.key, Status="Inactive"))),
    )
    add(
        "an access key as another's",
        most.sign(form(call("DeleteAccessKey", AccessKeyId=people.key, UserName="nobody"))),
    )

    harmless, harmful = call("GetCallerIdentity", "sts"), call(
        "DeleteUserPolicy", UserName=people.victim, PolicyName="own"
    )
    for first, then in ((harmless, harmful), (harmful, harmless)):
        add("two actions in a body", pauper.sign(form(first + then)))
        add("two actions in a query", pauper.sign(form(first + then, method="GET")))
        add("an action in the query and one in the body", pauper.sign(form(then, urlencode(first))))
        add(
            "an action in the query, signed for STS",
            pauper.but(service="sts").sign(form(then, urlencode(first))),
        )
    for service in ("sts", "s3", "ec2", "IAM", "iam "):
        add(
            f"signed for {service!r} by nobody's friend",
            pauper.but(service=service).sign(form(harmful)),
        )
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
        add(f"by {method}", pauper.sign(form(harmful, method=method)))
        add(f"by {method}, nobody", form(harmful, method=method))
    for kind in (
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/json",
        "application/x-amz-json-1.1",
        "",
    ):
        asked = form(harmful).having(("Content-Type", kind))
        add(f"as {kind!r}", pauper.sign(asked))
        add(f"as {kind!r}, nobody", asked)
    target = ("X-Amz-Target", "AWSIdentityManagement.DeleteUserPolicy")
    add("by a target", form(harmful, "", "POST", target))
    for path in ("/iam", "/iam/", "//", "/?", "/%2f", f"/{scene.lobby}", "/sts"):
        add(f"at {path}, nobody", replace(form(harmful), path=path))
        add(f"at {path}", pauper.sign(replace(form(harmful), path=path)))
    version_2 = [
        ("AWSAccessKeyId", scene.root.access_key),
        ("SignatureVersion", "2"),
        ("SignatureMethod", "HmacSHA256"),
        ("Signature", "x"),
    ]
    add("version 2 in the form", form(harmful + version_2))
    add("a form without a version", pauper.sign(form([p for p in harmful if p[0] != "Version"])))

    hermit = people.arn(f"role/{people.hermit}")
    every = scene.user("may-all", [ALL | {"Sid": "All"}]).but(service="sts")
    for arn in (
        hermit,
        hermit.upper(),
        hermit.replace(people.hermit, people.hermit.upper()),
        hermit + "*",
        people.arn("role/*"),
    ):
        arguments = {"RoleArn": arn, "RoleSessionName": "intruder"}
        add(
            f"AssumeRole {arn} without its trust",
            every.sign(form(call("AssumeRole", "sts", **arguments))),
        )
        add(f"AssumeRole {arn} by nobody", form(call("AssumeRole", "sts", **arguments)))
        for token in (
            "",
            "x",
            "a.b.c",
            "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL29pZGMuZXhhbXBsZSJ9.",
        ):
            asked = call("AssumeRoleWithWebIdentity", "sts", WebIdentityToken=token, **arguments)
            add(f"AssumeRoleWithWebIdentity {arn}, {token!r}", form(asked))

    for who, foreigner in scene.foreigners.items():
        for service in ("iam", "sts"):
            for operation in people.builder(service).all():
                if service == "iam" or operation.name.startswith("AssumeRole"):
                    add(
                        f"{who}: {operation}",
                        foreigner.but(service=service).sign(operation.request),
                    )
