"""Callers whose credentials are not worth anything, whatever they ask for.

Each takes a request that its signer might make and spoils what proves the caller. The signer is
root's unless it says otherwise, so that nothing but the proof can be what is refused.
"""

import time
from dataclasses import dataclass, replace
from typing import Callable

from . import expected as e
from .request import Request
from .signing import ALGORITHM, CHUNKED, CHUNKED_UNSIGNED, flipped, presigned_v2, sigv2

UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True)
class Intruder:
    """A way in that must be shut; `make` gives None where it makes no sense."""

    name: str
    make: Callable
    expected: frozenset
    #: What is refused only once the body is read, which an operation that is not built never does.
    by_body: bool = False
    #: What is about S3's payloads or paths.
    s3_only: bool = False


ALL: list = []


def _intruder(expected, by_body=False, s3_only=False):
    def add(make):
        name = make.__name__.strip("_").replace("_", " ")
        ALL.append(Intruder(name, make, frozenset(expected), by_body, s3_only))
        return make

    return add


# Nobody at all.


@_intruder(e.DENIED)
def anonymous(request, scene):
    return request


@_intruder(e.DENIED | e.MECHANISM | e.MALFORMED)
def empty_authorization(request, scene):
    return request.having(("Authorization", ""))


@_intruder(e.DENIED, s3_only=True)
def anonymous_that_says_its_payload_is_unsigned(request, scene):
    return request.having(("x-amz-content-sha256", UNSIGNED), ("x-amz-date", scene.root.date()))


@_intruder(e.DENIED, s3_only=True)
def anonymous_with_a_chunked_unsigned_payload(request, scene):
    return in_unsigned_chunks(request)


@_intruder(e.DENIED | {(501, "NotImplemented")}, s3_only=True)
def anonymous_form(request, scene):
    """A form carries its credentials in its body; no other operation may believe that."""
    return request.having(("Content-Type", "multipart/form-data; boundary=x"))


@_intruder(e.DENIED | {(501, "NotImplemented")})
def anonymous_that_waits_to_continue(request, scene):
    return request.having(("Expect", "100-continue"), ("Connection", "close"))


@_intruder(e.DENIED)
def anonymous_behind_a_proxy(request, scene):
    return request.adding(
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
        ("X-Forwarded-User", "root"),
        ("X-Remote-User", "root"),
        ("X-Amz-User", scene.root.access_key),
    )


@_intruder(e.DENIED)
def anonymous_with_an_access_key_in_the_query(request, scene):
    return request.asking(("AWSAccessKeyId", scene.root.access_key))


@_intruder(e.DENIED)
def anonymous_with_only_a_session_token(request, scene):
    return request.having(("x-amz-security-token", "anything"))


# Mechanisms that are not there.


@_intruder(e.MECHANISM)
def basic(request, scene):
    from base64 import b64encode

    pair = f"{scene.root.access_key}:{scene.root.secret}".encode()
    return request.having(("Authorization", "Basic " + b64encode(pair).decode()))


@_intruder(e.MECHANISM)
def bearer(request, scene):
    return request.having(("Authorization", f"Bearer {scene.root.secret}"))


@_intruder(e.MECHANISM)
def a_word_that_opened_another_store(request, scene):
    """CVE-2025-68926: a constant in the source was everybody's key."""
    return request.having(("Authorization", "rustfs rpc"))


@_intruder(e.MECHANISM)
def version_2(request, scene):
    return sigv2(scene.root, request)


@_intruder(e.MECHANISM)
def version_2_presigned(request, scene):
    return presigned_v2(scene.root, request)


@_intruder({(501, "NotImplemented")} | e.MECHANISM)
def version_4a(request, scene):
    signed = scene.root.sign(request)
    value = signed.header("authorization").replace(ALGORITHM, "AWS4-ECDSA-P256-SHA256")
    return signed.having(("Authorization", value))


# Keys.


@_intruder(e.MISMATCH)
def wrong_secret(request, scene):
    return scene.root.but(secret="not the secret").sign(request)


@_intruder(e.MISMATCH)
def empty_secret(request, scene):
    return scene.root.but(secret="").sign(request)


@_intruder(e.MISMATCH)
def another_users_secret(request, scene):
    return scene.root.but(secret=scene.pauper.secret).sign(request)


@_intruder(e.UNKNOWN_KEY)
def unknown_key(request, scene):
    return scene.root.but(access_key="NOBODYSKEY").sign(request)


@_intruder(e.UNKNOWN_KEY)
def default_key_of_other_stores(request, scene):
    return scene.root.but(access_key="minioadmin", secret="minioadmin").sign(request)


@_intruder(e.UNKNOWN_KEY | e.MALFORMED | e.MECHANISM)
def empty_key(request, scene):
    return scene.root.but(access_key="").sign(request)


@_intruder(e.UNKNOWN_KEY)
def key_in_other_case(request, scene):
    return scene.root.but(access_key=scene.root.access_key.swapcase()).sign(request)


@_intruder(e.UNKNOWN_KEY | e.MALFORMED)
def key_that_is_a_path(request, scene):
    return scene.root.but(access_key="../" + scene.root.access_key).sign(request)


@_intruder(e.UNKNOWN_KEY)
def disabled_user(request, scene):
    return scene.disabled.sign(request)


@_intruder(e.UNKNOWN_KEY)
def removed_user(request, scene):
    return scene.removed.sign(request)


@_intruder(e.UNKNOWN_KEY)
def disabled_user_presigned(request, scene):
    return scene.disabled.presign(request)


@_intruder(e.MISMATCH | e.UNKNOWN_KEY)
def disabled_user_with_a_wrong_secret(request, scene):
    return scene.disabled.but(secret="wrong").sign(request)


@_intruder(e.INVALID_TOKEN | e.UNKNOWN_KEY)
def session_token_of_nobody(request, scene):
    return scene.root.but(token="a token that no one gave").sign(request)


@_intruder(e.INVALID_TOKEN | e.UNKNOWN_KEY)
def presigned_with_a_session_token_of_nobody(request, scene):
    return scene.root.but(token="a token that no one gave").presign(request)


@_intruder(e.INVALID_TOKEN)
def session_with_another_token(request, scene):
    if not scene.session:
        return None
    return scene.session.but(token=scene.session.token[:-8] + "AAAAAAAA").sign(request)


@_intruder(e.INVALID_TOKEN | e.UNKNOWN_KEY)
def session_without_its_token(request, scene):
    return scene.session.but(token="").sign(request) if scene.session else None


@_intruder(e.INVALID_TOKEN | e.UNKNOWN_KEY)
def session_token_under_another_key(request, scene):
    return scene.root.but(token=scene.session.token).sign(request) if scene.session else None


@_intruder(e.MISMATCH)
def session_with_a_wrong_secret(request, scene):
    return scene.session.but(secret="wrong").sign(request) if scene.session else None


@_intruder(e.DENIED | e.INVALID_TOKEN | e.UNKNOWN_KEY)
def session_token_unsigned(request, scene):
    if not scene.session:
        return None
    signed = scene.session.but(token="").sign(request)
    return signed.having(("x-amz-security-token", scene.session.token))


@_intruder(e.DENIED | e.INVALID_TOKEN | e.UNKNOWN_KEY | e.MISMATCH)
def presigned_session_token_added_afterwards(request, scene):
    if not scene.session:
        return None
    signed = scene.session.but(token="").presign(request)
    return signed.asking(("X-Amz-Security-Token", scene.session.token))


# Signatures.


@_intruder(e.MISMATCH)
def flipped_bit(request, scene):
    return scene.root.sign(request, signature=flipped)


@_intruder(e.MISMATCH | e.MALFORMED)
def empty_signature(request, scene):
    return scene.root.sign(request, signature=lambda right: "")


@_intruder(e.MISMATCH | e.MALFORMED)
def half_a_signature(request, scene):
    return scene.root.sign(request, signature=lambda right: right[:32])


@_intruder(e.MISMATCH | e.MALFORMED)
def a_longer_signature(request, scene):
    return scene.root.sign(request, signature=lambda right: right + "00")


@_intruder(e.MALFORMED)
def no_signature(request, scene):
    signed = scene.root.sign(request)
    return signed.having(("Authorization", signed.header("authorization").split(", Signature")[0]))


@_intruder(e.MALFORMED)
def no_signed_headers(request, scene):
    signed = scene.root.sign(request)
    credential, _, signature = signed.header("authorization").split(", ")
    return signed.having(("Authorization", f"{credential}, {signature}"))


@_intruder(e.MALFORMED)
def no_credential(request, scene):
    signed = scene.root.sign(request)
    _, headers, signature = signed.header("authorization").split(", ")
    return signed.having(("Authorization", f"{ALGORITHM} {headers}, {signature}"))


# What changed after signing.


@_intruder(e.MISMATCH)
def other_method(request, scene):
    other = {"GET": "HEAD", "HEAD": "GET", "PUT": "POST", "POST": "PUT", "DELETE": "GET"}
    signed = scene.root.sign(replace(request, method=other[request.method]))
    return replace(signed, method=request.method)


@_intruder(e.MISMATCH, s3_only=True)
def other_path(request, scene):
    signed = scene.root.sign(replace(request, path=request.path + "x"))
    return replace(signed, path=request.path)


@_intruder(e.MISMATCH)
def more_in_the_query(request, scene):
    return scene.root.sign(request).asking(("prefix", "g"))


@_intruder(e.MISMATCH)
def less_in_the_query(request, scene):
    return replace(scene.root.sign(request.asking(("x-id", "Other"))), query=request.query)


@_intruder(e.MISMATCH)
def signed_header_changed(request, scene):
    signed = scene.root.sign(request.having(("x-amz-meta-a", "1")))
    return signed.having(("x-amz-meta-a", "2"))


@_intruder(e.MISMATCH)
def signed_header_twice(request, scene):
    signed = scene.root.sign(request.having(("x-amz-meta-a", "1")))
    return signed.adding(("x-amz-meta-a", "2"))


@_intruder(e.MISMATCH)
def signed_header_gone(request, scene):
    return scene.root.sign(request.having(("x-amz-meta-a", "1"))).without("x-amz-meta-a")


@_intruder(e.MISMATCH)
def date_changed(request, scene):
    signed = scene.root.sign(request)
    return signed.having(("x-amz-date", scene.root.but(skew_s=60).date()))


@_intruder(e.DENIED, s3_only=True)
def header_added_unsigned(request, scene):
    return scene.root.sign(request).adding(("x-amz-meta-a", "1"))


@_intruder(e.DENIED, s3_only=True)
def copy_source_added_unsigned(request, scene):
    if request.method != "PUT":
        return None
    unsigned = scene.root.sign(request.without("x-amz-copy-source"))
    return unsigned.having(("x-amz-copy-source", scene.source))


@_intruder(e.DENIED)
def date_unsigned(request, scene):
    return scene.root.sign(request, leaving_out=["x-amz-date"])


@_intruder(e.DENIED | e.MALFORMED)
def host_unsigned(request, scene):
    return scene.root.sign(request, leaving_out=["host"])


@_intruder(e.MISMATCH)
def other_host_signed(request, scene):
    signed = scene.root.sign(request.having(("Host", "elsewhere.example")))
    return signed.having(("Host", request.header("host")))


@_intruder(e.DENIED | e.MALFORMED | e.MISMATCH, s3_only=True)
def signed_headers_in_upper_case(request, scene):
    return scene.root.sign(request, signed=["HOST", "X-AMZ-CONTENT-SHA256", "X-AMZ-DATE"])


# Payloads.


@_intruder(e.DIGEST, by_body=True)
def other_body(request, scene):
    if not request.body:
        return None
    signed = scene.root.sign(request)
    if scene.service != "s3":
        return replace(signed, body=request.body + b"&Path=%2Fx%2F")
    return replace(signed, body=request.body[:-1] + b"~")


@_intruder(e.MISMATCH, s3_only=True)
def payload_said_to_be_unsigned_afterwards(request, scene):
    return scene.root.sign(request, leaving_out=["x-amz-content-sha256"]).having(
        ("x-amz-content-sha256", UNSIGNED)
    )


@_intruder(e.MISMATCH, s3_only=True)
def payload_said_to_be_chunked_afterwards(request, scene):
    return in_unsigned_chunks(
        scene.root.sign(request, leaving_out=["x-amz-content-sha256"])
    ).without("x-amz-decoded-content-length", "x-amz-trailer")


@_intruder(e.MISMATCH, s3_only=True)
def chunked_unsigned_payload_with_a_wrong_signature(request, scene):
    """CVE-2025-31489: with such a payload a store looked at no signature."""
    framed = in_unsigned_chunks(request)
    return scene.root.sign(framed, payload=CHUNKED_UNSIGNED, signature=flipped)


@_intruder(e.MISMATCH | e.MECHANISM, s3_only=True)
def presigned_chunked_unsigned_payload_with_a_wrong_signature(request, scene):
    framed = in_unsigned_chunks(request)
    return scene.root.presign(framed, payload=CHUNKED_UNSIGNED, signature=flipped)


@_intruder(e.MISMATCH, s3_only=True)
def signed_chunks_under_a_wrong_head(request, scene):
    return replace(scene.root.but(secret="wrong").chunked(request), method=request.method)


@_intruder(e.MISMATCH, by_body=True, s3_only=True)
def wrong_chunk_signatures(request, scene):
    return scene.root.chunked(request, chunk=flipped) if request.body else None


@_intruder(e.MISMATCH, by_body=True, s3_only=True)
def other_data_in_signed_chunks(request, scene):
    if not request.body:
        return None
    return scene.root.chunked(request, sent=lambda data: b"~" + data[1:])


@_intruder(e.MISMATCH | e.MECHANISM, s3_only=True)
def anonymous_payload_hash_of_chunks(request, scene):
    return scene.root.sign(request, payload=CHUNKED, signature=flipped)


# Where and when.


@_intruder(e.MALFORMED)
def wrong_region(request, scene):
    return scene.root.but(region="eu-central-9").sign(request)


@_intruder(e.MALFORMED)
def empty_region(request, scene):
    return scene.root.but(region="").sign(request)


@_intruder(e.MALFORMED_QUERY)
def presigned_for_a_wrong_region(request, scene):
    return scene.root.but(region="eu-central-9").presign(request)


@_intruder(e.MALFORMED | {(404, "InvalidAction"), (400, "InvalidAction")})
def wrong_service(request, scene):
    return scene.root.but(service="ec2").sign(request)


@_intruder(e.MALFORMED)
def wrong_terminal(request, scene):
    return scene.root.but(terminal="aws5_request").sign(request)


@_intruder(e.MALFORMED)
def scope_of_another_day(request, scene):
    return scene.root.but(day="20130524").sign(request)


@_intruder(e.SKEWED)
def sixteen_minutes_old(request, scene):
    return scene.root.but(skew_s=-16 * 60).sign(request)


@_intruder(e.SKEWED)
def sixteen_minutes_early(request, scene):
    return scene.root.but(skew_s=16 * 60).sign(request)


@_intruder(e.SKEWED)
def ten_years_old(request, scene):
    return scene.root.but(skew_s=-10 * 365 * 86400).sign(request)


@_intruder(e.SKEWED)
def old_by_the_date_header(request, scene):
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - 3600))
    stamp = scene.root.but(skew_s=-3600).date()
    return scene.root.sign(request.having(("Date", date)), date=stamp, date_header="")


@_intruder(e.DENIED)
def no_date(request, scene):
    return scene.root.sign(request, date_header="")


@_intruder(e.DENIED | e.MALFORMED | e.SKEWED)
def no_date_at_all(request, scene):
    return scene.root.sign(request, date="nonsense")


# Presigned.


@_intruder(e.MISMATCH)
def presigned_with_a_flipped_bit(request, scene):
    return scene.root.presign(request, signature=flipped)


@_intruder(e.DENIED)
def presigned_and_expired(request, scene):
    late = scene.root.but(skew_s=-120)
    return late.presign(request, expires="60")


@_intruder(e.DENIED)
def presigned_and_not_yet_valid(request, scene):
    early = scene.root.but(skew_s=3600)
    return early.presign(request)


@_intruder(e.MALFORMED_QUERY)
def presigned_for_longer_than_a_week(request, scene):
    return scene.root.presign(request, expires="604801")


@_intruder(e.MALFORMED_QUERY)
def presigned_for_less_than_nothing(request, scene):
    return scene.root.presign(request, expires="-1")


@_intruder(e.MALFORMED_QUERY)
def presigned_forever(request, scene):
    huge = "18446744073709551615"
    return scene.root.presign(request, expires=huge)


@_intruder(e.MISMATCH)
def presigned_and_prolonged(request, scene):
    late = scene.root.but(skew_s=-120)
    signed = late.presign(request, expires="60")
    return replace(signed, query=signed.query.replace("Expires=60", "Expires=600"))


@_intruder(e.MISMATCH)
def presigned_for_another_method(request, scene):
    other = "GET" if request.method != "GET" else "PUT"
    asked = replace(request, method=other)
    signed = scene.root.presign(asked)
    return replace(signed, method=request.method)


@_intruder(e.MISMATCH)
def presigned_for_another_path(request, scene):
    asked = replace(request, path=request.path + "x")
    return replace(scene.root.presign(asked), path=request.path)


@_intruder(e.MISMATCH)
def presigned_with_more_in_the_query(request, scene):
    return scene.root.presign(request).asking(("prefix", "g"))


@_intruder(e.DENIED)
def presigned_with_an_unsigned_header(request, scene):
    return scene.root.presign(request).adding(("x-amz-meta-a", "1"))


@_intruder(e.DENIED | e.MALFORMED_QUERY)
def presigned_without_host(request, scene):
    return scene.root.presign(request, signed=("x-amz-date",))


def _presigned_without(parameter, expected):
    def make(request, scene):
        return scene.root.presign(request, dropping=[parameter])

    ALL.append(Intruder(f"presigned without {parameter}", make, frozenset(expected)))


for _parameter in (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
):
    _presigned_without(_parameter, e.MALFORMED_QUERY)


@_intruder(e.MECHANISM)
def header_and_query_both(request, scene):
    return scene.root.sign(scene.root.presign(request), signature=flipped)


@_intruder(e.MECHANISM | e.DENIED | e.MALFORMED | e.MISMATCH)
def a_good_and_a_bad_authorization(request, scene):
    good = scene.pauper.sign(request)
    bad = scene.root.sign(request, signature=flipped).header("authorization")
    return good.adding(("Authorization", bad))


@_intruder(e.MECHANISM | e.DENIED | e.MALFORMED | e.MISMATCH)
def a_bad_and_a_good_authorization(request, scene):
    good = scene.pauper.sign(request).header("authorization")
    return scene.root.sign(request, signature=flipped).adding(("Authorization", good))


@_intruder(e.MALFORMED | e.MISMATCH | e.DENIED | e.UNKNOWN_KEY)
def two_credentials_in_one_header(request, scene):
    signed = scene.pauper.sign(request)
    root = f"{scene.root.access_key}/{scene.root.scope(scene.root.date())}"
    return signed.having(("Authorization", signed.header("authorization") + f", Credential={root}"))


def in_unsigned_chunks(request: Request) -> Request:
    """With its body in chunks that nobody signed."""
    import base64
    import zlib

    body = request.body
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    framed = f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b""
    framed += f"0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n".encode()
    return replace(request.without("content-md5"), body=framed).having(
        ("x-amz-content-sha256", CHUNKED_UNSIGNED),
        ("x-amz-decoded-content-length", str(len(body))),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("content-encoding", "aws-chunked"),
    )
