"""Signature Version 4 as AWS documents it, every step open to tampering.

It shares nothing with botocore's signer and nothing with Coffer's: two that agree are right.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes, quote_from_bytes

from .request import Request, encode

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
CHUNKED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
CHUNKED_UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@dataclass(frozen=True)
class Signer:
    """A credential and everything that a signature says besides."""

    access_key: str
    secret: str
    token: str = ""
    region: str = "us-east-1"
    service: str = "s3"
    terminal: str = "aws4_request"
    #: Seconds by which its clock is wrong.
    skew_s: float = 0
    #: The scope's day, if it is not that of the date.
    day: str = ""

    def but(self, **changes) -> "Signer":
        return replace(self, **changes)

    def date(self) -> str:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + self.skew_s))

    def scope(self, date: str) -> str:
        return f"{self.day or date[:8]}/{self.region}/{self.service}/{self.terminal}"

    def key(self, date: str) -> bytes:
        key = ("AWS4" + self.secret).encode()
        for part in self.scope(date).split("/"):
            key = _hmac(key, part)
        return key

    def sign(
        self,
        request: Request,
        *,
        payload: str | None = None,
        signed=None,
        leaving_out=(),
        date: str | None = None,
        date_header: str = "x-amz-date",
        signature=lambda right: right,
    ) -> Request:
        """The request with its signature in the Authorization header.

        `payload` is what it says of its body (its digest), `signed` the headers that it signs (all
        it has), `leaving_out` those it does not, `signature` what becomes of the signature.
        """
        date = date or self.date()
        payload = payload or hashlib.sha256(request.body).hexdigest()
        if self.service in ("s3", "s3express"):
            request = request.having(("x-amz-content-sha256", payload))
        if date_header:
            request = request.having((date_header, date))
        if self.token:
            request = request.having(("x-amz-security-token", self.token))
        if signed is None:
            left = {name.lower() for name in leaving_out} | {
                "content-length",
                "connection",
                "expect",
            }
            signed = sorted({name.lower() for name, _ in request.headers} - left)
        right = self.signature_of(request, signed, payload, date)
        value = (
            f"{ALGORITHM} Credential={self.access_key}/{self.scope(date)}, "
            f"SignedHeaders={';'.join(signed)}, Signature={signature(right)}"
        )
        return request.having(("Authorization", value))

    def presign(
        self,
        request: Request,
        *,
        expires: str = "60",
        payload: str | None = None,
        signed=None,
        dropping=(),
        signature=lambda right: right,
    ) -> Request:
        """The request with its signature in the query; `dropping` names parameters that it lacks.
        Unless told otherwise it signs `host` and all headers that must be signed."""
        date = self.date()
        if payload is None and self.service != "s3":
            payload = hashlib.sha256(request.body).hexdigest()
        elif payload is None:
            payload = "UNSIGNED-PAYLOAD"
        else:
            request = request.having(("x-amz-content-sha256", payload))
        if signed is None:
            names = (name.lower() for name, _ in request.headers)
            signed = sorted({"host", *(name for name in names if name.startswith("x-amz-"))})
        parameters = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.access_key}/{self.scope(date)}",
            "X-Amz-Date": date,
            "X-Amz-Expires": expires,
            "X-Amz-SignedHeaders": ";".join(signed),
        }
        if self.token:
            parameters["X-Amz-Security-Token"] = self.token
        request = request.asking(*((n, v) for n, v in parameters.items() if n not in dropping))
        if "X-Amz-Signature" in dropping:
            return request
        right = self.signature_of(request, signed, payload, date)
        return request.asking(("X-Amz-Signature", signature(right)))

    def chunked(
        self, request: Request, *, chunk=lambda right: right, sent=lambda data: data
    ) -> Request:
        """The request with its body in signed chunks; `chunk` is what becomes of their
        signatures, `sent` what becomes of their data afterwards."""
        date = self.date()
        body = request.body
        head = replace(request, body=b"").having(
            ("x-amz-decoded-content-length", str(len(body))), ("content-encoding", "aws-chunked")
        )
        head = self.sign(head, payload=CHUNKED, date=date)
        previous = head.header("authorization").rsplit("Signature=", 1)[1]
        framed = b""
        for data in (body, b"") if body else (b"",):
            text = "\n".join(
                (
                    f"{ALGORITHM}-PAYLOAD",
                    date,
                    self.scope(date),
                    previous,
                    EMPTY_SHA256,
                    hashlib.sha256(data).hexdigest(),
                )
            )
            previous = hmac.new(self.key(date), text.encode(), hashlib.sha256).hexdigest()
            shown = sent(data) if data else data
            framed += (
                f"{len(data):x};chunk-signature={chunk(previous)}\r\n".encode() + shown + b"\r\n"
            )
        return replace(head, body=framed)

    def signature_of(self, request: Request, signed, payload: str, date: str) -> str:
        canonical = canonical_request(request, signed, payload, plain=self.service == "s3")
        digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
        text = f"{ALGORITHM}\n{date}\n{self.scope(date)}\n{digest}"
        return hmac.new(self.key(date), text.encode(), hashlib.sha256).hexdigest()


def canonical_request(request: Request, signed, payload: str, plain: bool) -> str:
    """`plain`: as for S3, whose paths are encoded once."""
    path = quote_from_bytes(unquote_to_bytes(request.path), safe="/-._~")
    if not plain:
        path = quote_from_bytes(path.encode(), safe="/-._~")
    pairs = []
    for pair in filter(None, request.query.split("&")):
        name, _, value = pair.partition("=")
        again = [
            quote_from_bytes(unquote_to_bytes(part.replace("+", " ")), safe="-._~")
            for part in (name, value)
        ]
        if again[0] != "X-Amz-Signature":
            pairs.append(tuple(again))
    lines = [request.method, path, "&".join(f"{n}={v}" for n, v in sorted(pairs))]
    for name in signed:
        values = [" ".join(v.split()) for n, v in request.headers if n.lower() == name]
        lines.append(f"{name}:{','.join(values)}")
    return "\n".join([*lines, "", ";".join(signed), payload])


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def flipped(signature: str) -> str:
    """Another signature, by one bit."""
    last = signature[-1]
    return signature[:-1] + format(int(last, 16) ^ 1, "x")


def sigv2(signer: Signer, request: Request) -> Request:
    """Signed by the retired version 2, correctly."""
    import base64

    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    text = f"{request.method}\n\n{request.header('content-type') or ''}\n{date}\n{request.path}"
    digest = hmac.new(signer.secret.encode(), text.encode(), hashlib.sha1).digest()
    value = f"AWS {signer.access_key}:{base64.b64encode(digest).decode()}"
    return request.having(("Date", date), ("Authorization", value))


def presigned_v2(signer: Signer, request: Request) -> Request:
    """A presigned URL of version 2, correct."""
    import base64

    expires = str(int(time.time()) + 600)
    text = f"{request.method}\n\n\n{expires}\n{request.path}"
    digest = hmac.new(signer.secret.encode(), text.encode(), hashlib.sha1).digest()
    return request.asking(
        ("AWSAccessKeyId", signer.access_key),
        ("Expires", expires),
        ("Signature", base64.b64encode(digest).decode()),
    )
