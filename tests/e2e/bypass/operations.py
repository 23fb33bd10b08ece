"""A minimal valid request for every operation of a service, built from botocore's model of it."""

import base64
import functools
import hashlib
from dataclasses import dataclass
from urllib.parse import urlencode

import botocore.session
from botocore import serialize

from .request import Request, encode

#: What AWS's models leave to prose: members that a valid request has although they are optional.
WANTED = {
    "PutObject": ["Body"],
    "UploadPart": ["Body"],
    "CompleteMultipartUpload": ["MultipartUpload"],
    "PutBucketAcl": ["ACL"],
    "PutObjectAcl": ["ACL"],
    "PutBucketLifecycle": ["LifecycleConfiguration"],
    "PutBucketLifecycleConfiguration": ["LifecycleConfiguration"],
    "PutObjectLegalHold": ["LegalHold"],
    "PutObjectRetention": ["Retention"],
    "PutObjectLockConfiguration": ["ObjectLockConfiguration"],
    "RestoreObject": ["RestoreRequest"],
}
#: Members of nested shapes of which a valid request has at least one.
WANTED_INSIDE = {
    "CompletedMultipartUpload": ["Parts"],
    "CompletedPart": ["PartNumber", "ETag"],
    "PublicAccessBlockConfiguration": ["BlockPublicAcls"],
    "VersioningConfiguration": ["Status"],
    "AbacStatus": ["Status"],
    "AccelerateConfiguration": ["Status"],
    "ObjectLockLegalHold": ["Status"],
    "ObjectLockRetention": ["Mode", "RetainUntilDate"],
    "WebsiteConfiguration": ["IndexDocument"],
}


#: Operations of S3 that demand something else when a version is named: the operation, and a member
#: with how it names one.
OF_VERSIONS = {
    "GetObject of a version": ("GetObject", "VersionId", lambda known: "null"),
    "HeadObject of a version": ("HeadObject", "VersionId", lambda known: "null"),
    "DeleteObject of a version": ("DeleteObject", "VersionId", lambda known: "null"),
    "DeleteObjects of versions": (
        "DeleteObjects",
        "Delete",
        lambda known: {"Objects": [one | {"VersionId": "null"} for one in known["Objects"]]},
    ),
    "CopyObject of a version": ("CopyObject", "CopySource", lambda known: f"{known}?versionId=null"),
    "UploadPartCopy of a version": (
        "UploadPartCopy",
        "CopySource",
        lambda known: f"{known}?versionId=null",
    ),
}


def base(name: str) -> str:
    """The operation as the model names it."""
    return OF_VERSIONS[name][0] if name in OF_VERSIONS else name


@dataclass(frozen=True)
class Operation:
    """An operation of a service and a request for it."""

    service: str
    name: str
    request: Request

    def __str__(self) -> str:
        return f"{self.service}:{self.name}"


@functools.cache
def model(service: str):
    return botocore.session.get_session().get_service_model(service)


class Builder:
    """Builds requests. `known` gives the values of members by name; what it does not know is made
    up to fit its shape. A key `Operation.Member` is for that operation alone."""

    def __init__(self, service: str, host: str, known: dict):
        self.model = model(service)
        self.service, self.host, self.known = service, host, known
        self.protocol = self.model.resolved_protocol

    def all(self) -> list:
        of_versions = OF_VERSIONS if self.service == "s3" else ()
        return [self.build(name) for name in sorted([*self.model.operation_names, *of_versions])]

    def build(self, full_name: str) -> Operation:
        name = base(full_name)
        operation = self.model.operation_model(name)
        arguments = {}
        if shape := operation.input_shape:
            members = [*shape.required_members, *WANTED.get(name, [])]
            extra = [m for m in self.known if m.startswith(f"{name}.") and m.count(".") == 1]
            for member in dict.fromkeys([*members, *(m.split(".")[1] for m in extra)]):
                arguments[member] = self.value(name, member, shape.members[member], 0)
        if full_name in OF_VERSIONS:
            _, member, named = OF_VERSIONS[full_name]
            arguments[member] = named(arguments.get(member))
        serializer = serialize.create_serializer(self.protocol)
        made = serializer.serialize_to_request(arguments, operation)
        return Operation(self.service, full_name, self.request(made))

    def request(self, made: dict) -> Request:
        path, _, query = made["url_path"].partition("?")
        pairs = [pair if "=" in pair else f"{pair}=" for pair in query.split("&") if pair]
        for key, value in dict(made["query_string"]).items():
            for one in value if isinstance(value, list) else [value]:
                pairs.append(f"{encode(key)}={encode(text(one))}")
        body = made["body"]
        headers = [("Host", self.host), *((n, text(v)) for n, v in made["headers"].items())]
        if isinstance(body, dict):
            body = urlencode(body).encode()
        elif isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = body.read() if hasattr(body, "read") else b""
        if body and self.protocol == "rest-xml":
            digest = base64.b64encode(hashlib.md5(body).digest()).decode()
            headers.append(("Content-MD5", digest))
        return Request(made["method"], path, "&".join(pairs), tuple(headers), body)

    def value(self, operation: str, name: str, shape, depth: int):
        for key in (f"{operation}.{name}", name, shape.name):
            if key in self.known:
                return self.known[key]
        kind = shape.type_name
        if kind == "string":
            if shape.enum:
                return shape.enum[0]
            return "x" * max(1, shape.metadata.get("min", 1))
        if kind in ("integer", "long"):
            return max(1, shape.metadata.get("min", 1))
        if kind in ("double", "float"):
            return 1.0
        if kind == "boolean":
            return True
        if kind == "timestamp":
            return "2040-01-01T00:00:00Z"
        if kind == "blob":
            return b"bytes of an intruder"
        if kind == "list":
            count = max(1, shape.metadata.get("min", 1))
            member = self.value(operation, shape.member.name, shape.member, depth + 1)
            return [member] * count
        if kind == "map":
            return {"x": self.value(operation, "", shape.value, depth + 1)}
        if kind == "structure":
            wanted = [*shape.required_members, *WANTED_INSIDE.get(shape.name, [])]
            if not wanted and depth < 3:
                wanted = list(shape.members)[:1]
            return {
                member: self.value(operation, member, shape.members[member], depth + 1)
                for member in wanted
            }
        raise AssertionError(f"{operation}: no value for {name} of type {kind}")


def text(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.decode() if isinstance(value, bytes) else str(value)
