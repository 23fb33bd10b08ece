"""Buckets and objects: what every operation on them does. Listings, uploads in parts and what is
refused have files of their own."""

import hashlib
import uuid
from datetime import datetime, timedelta, timezone

import pytest

import raw
from replies import fill, headers_of, keys_of, refusal


@pytest.fixture
def name():
    return f"own-{uuid.uuid4().hex[:20]}"


# ---- buckets ----


def test_a_bucket_lives_and_dies(s3, name):
    assert refusal(s3.head_bucket, Bucket=name) == (404, "404")
    assert refusal(s3.delete_bucket, Bucket=name) == (404, "NoSuchBucket")
    made = s3.create_bucket(Bucket=name)
    assert made["Location"] == f"/{name}"
    assert refusal(s3.create_bucket, Bucket=name) == (409, "BucketAlreadyOwnedByYou")
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=name)
    fill(s3, name, "a")
    assert refusal(s3.delete_bucket, Bucket=name) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=name, Key="a")
    reply = s3.delete_bucket(Bucket=name)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.list_objects_v2, Bucket=name) == (404, "NoSuchBucket")


def test_places_of_buckets(s3, store, name):
    def make(constraint):
        configuration = {"LocationConstraint": constraint}
        return refusal(s3.create_bucket, Bucket=name, CreateBucketConfiguration=configuration)

    assert make("eu-central-1") == (400, "IllegalLocationConstraintException")
    assert make("the-moon") == (400, "InvalidLocationConstraint")
    reply = raw.send(store, "PUT", f"/{name}", body=b"<CreateBucketConfiguration>")
    assert (reply.status, reply.code) == (400, "MalformedXML")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-east-1"})
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("bad", ["ab", "Upper-case", "a" * 64, "-dash", "dot..dot", "192.168.0.1"])
def test_names_that_no_bucket_has(store, bad):
    reply = raw.send(store, "PUT", f"/{bad}")
    assert (reply.status, reply.code) == (400, "InvalidBucketName")


def test_buckets_are_listed_in_pages(s3, name):
    names = [f"{name}-{i}" for i in range(5)]
    for one in names:
        s3.create_bucket(Bucket=one)
    listed = s3.list_buckets()
    assert listed["Owner"]["ID"] and set(names) <= {b["Name"] for b in listed["Buckets"]}
    assert abs(listed["Buckets"][0]["CreationDate"] - datetime.now(timezone.utc)) < timedelta(days=1)
    found, token = [], {}
    while True:
        page = s3.list_buckets(Prefix=name, MaxBuckets=2, **token)
        assert len(page["Buckets"]) <= 2 and page["Prefix"] == name
        found += [b["Name"] for b in page["Buckets"]]
        if "ContinuationToken" not in page:
            break
        token = {"ContinuationToken": page["ContinuationToken"]}
    assert found == names
    assert s3.list_buckets(BucketRegion="eu-central-1")["Buckets"] == []
    assert refusal(s3.list_buckets, ContinuationToken="zzz")[1] == "InvalidArgument"
    assert refusal(s3.list_buckets, MaxBuckets=10_001)[1] == "InvalidArgument"
    for one in names:
        s3.delete_bucket(Bucket=one)


def test_the_acknowledgement_level_of_a_bucket(store, bucket):
    def level():
        reply = raw.send(store, "GET", f"/{bucket}", "x-coffer-ack=")
        assert reply.status == 200
        assert reply.headers["x-coffer-ack"] == reply.xml.findtext("Ack")
        return reply.xml.findtext("Ack"), reply.xml.findtext("Explicit")

    assert level() == ("all", "false")
    assert raw.send(store, "PUT", f"/{bucket}", "x-coffer-ack=quorum").status == 200
    assert level() == ("quorum", "true")
    document = b"<AckConfiguration><Ack>primary</Ack></AckConfiguration>"
    assert raw.send(store, "PUT", f"/{bucket}", "x-coffer-ack=", body=document).status == 200
    assert level() == ("primary", "true")
    for query, body in [("x-coffer-ack=most", b""), ("x-coffer-ack=all", document)]:
        assert raw.send(store, "PUT", f"/{bucket}", query, body=body).code == "InvalidArgument"
    assert raw.send(store, "PUT", f"/{bucket}", "x-coffer-ack=").code == "MissingRequestBodyError"
    assert level() == ("primary", "true")


@pytest.mark.parametrize("level", ["all", "quorum", "primary"])
def test_the_acknowledgement_level_of_a_request(store, s3, bucket, level):
    reply = raw.send(store, "PUT", f"/{bucket}/k", headers={"x-coffer-ack": level}, body=b"data")
    assert reply.status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    reply = raw.send(store, "PUT", f"/{bucket}/k", headers={"x-coffer-ack": "some"})
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_a_level_that_cannot_be_met_is_refused(store, s3, bucket):
    raw.send(store, "PUT", f"/{bucket}", "x-coffer-ack=quorum")
    fill(s3, bucket, "k")

    def delete(level):
        reply = raw.send(store, "DELETE", f"/{bucket}/k", headers={"x-coffer-ack": level})
        return reply.status

    assert delete("all") == 501 and delete("most") == 400
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == ["k"]
    assert delete("primary") == 204 and delete("quorum") == 204
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == []


def test_the_owner_can_be_expected(s3, bucket):
    owner = s3.list_buckets()["Owner"]["ID"]
    s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)
    refused = refusal(s3.list_objects_v2, Bucket=bucket, ExpectedBucketOwner="1" * 12)
    assert refused == (403, "AccessDenied")


# ---- putting and getting ----


@pytest.mark.parametrize("size", [0, 1, 4096, 256 << 10, 300_000, (3 << 20) + 7])
def test_an_object_comes_back(s3, bucket, size):
    body = bytes(i * 31 % 251 for i in range(251)) * (size // 251 + 1)
    body = body[:size]
    put = s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    identity = headers_of(put)["x-coffer-object-id"]
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == body
    assert (got["ETag"], got["ContentLength"]) == (put["ETag"], size)
    assert got["ContentType"] == "binary/octet-stream" and got["AcceptRanges"] == "bytes"
    assert headers_of(got)["x-coffer-object-id"] == identity
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ETag"], head["ContentLength"]) == (put["ETag"], size)
    assert abs(head["LastModified"] - datetime.now(timezone.utc)) < timedelta(minutes=5)
    again = s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert headers_of(again)["x-coffer-object-id"] != identity


def test_what_is_not_there(s3, bucket):
    assert refusal(s3.get_object, Bucket=bucket, Key="no") == (404, "NoSuchKey")
    assert refusal(s3.head_object, Bucket=bucket, Key="no") == (404, "404")
    nowhere = f"{bucket}-none"
    assert refusal(s3.get_object, Bucket=nowhere, Key="no") == (404, "NoSuchBucket")
    assert refusal(s3.put_object, Bucket=nowhere, Key="k", Body=b"x") == (404, "NoSuchBucket")
    assert refusal(s3.delete_object, Bucket=nowhere, Key="k") == (404, "NoSuchBucket")
    assert refusal(s3.put_object, Bucket=bucket, Key="k" * 1025)[1] == "KeyTooLongError"


@pytest.mark.parametrize(
    "key",
    ["a b+c", "%41", "ünï/cødé", "..", "../x", "a//b", "/a", "a/", "?&=#;:@", "\U0001f980", "~", "k" * 1024],
)
def test_keys_are_taken_as_they_are(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    s3.delete_object(Bucket=bucket, Key=key)
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == ["copy"]


def test_headers_are_kept_byte_for_byte(s3, bucket):
    expires = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    kept = {
        "CacheControl": "no-cache,  max-age=0",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de, en",
        "ContentType": "text/plain; charset=utf-8",
    }
    metadata = {"mtime": "1700000000.123456789", "two-words": "a  b", "empty": ""}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Expires=expires, Metadata=metadata, **kept)
    for reply in (s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")):
        assert {name: reply[name] for name in kept} == kept
        assert reply["Metadata"] == metadata
        assert headers_of(reply)["expires"] == "Wed, 02 Jan 2030 03:04:05 GMT"


def test_aws_chunked_is_not_kept(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 1000, ChecksumAlgorithm="SHA256")
    assert "ContentEncoding" not in s3.head_object(Bucket=bucket, Key="k")


def test_metadata_has_a_limit(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Metadata={"a": "b" * 2047})
    refused = refusal(s3.put_object, Bucket=bucket, Key="k", Metadata={"a": "b" * 2048})
    assert refused == (400, "MetadataTooLarge")


@pytest.mark.parametrize(
    "asked, start, end",
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 10),
        ("bytes=5-100", 5, 10),
        ("bytes=-3", 7, 10),
        ("bytes=-100", 0, 10),
        ("bytes=2-5", 2, 6),
    ],
)
def test_ranges(s3, bucket, asked, start, end):
    body = b"0123456789"
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    reply = s3.get_object(Bucket=bucket, Key="k", Range=asked)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert reply["ContentRange"] == f"bytes {start}-{end - 1}/10"
    assert reply["Body"].read() == body[start:end]
    head = s3.head_object(Bucket=bucket, Key="k", Range=asked)
    assert head["ContentLength"] == end - start


def test_ranges_that_are_none(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    for asked in ["bytes=5-2", "bytes=a-b", "lines=0-1", "bytes=0-1,3-4"]:
        reply = s3.get_object(Bucket=bucket, Key="k", Range=asked)
        assert reply["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert reply["Body"].read() == b"0123456789"
    for asked in ["bytes=10-", "bytes=-0"]:
        assert refusal(s3.get_object, Bucket=bucket, Key="k", Range=asked) == (416, "InvalidRange")
    s3.put_object(Bucket=bucket, Key="empty")
    assert refusal(s3.get_object, Bucket=bucket, Key="empty", Range="bytes=0-0")[0] == 416
    both = {"Range": "bytes=0-1", "PartNumber": 1}
    assert refusal(s3.get_object, Bucket=bucket, Key="k", **both) == (400, "InvalidRequest")


def test_a_range_can_depend_on_the_object(store, s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")["ETag"]

    def ranged(validator, asked="bytes=2-3"):
        headers = {"Range": asked, "If-Range": validator}
        reply = raw.send(store, "GET", f"/{bucket}/k", headers=headers)
        return reply.status, reply.body

    assert ranged(etag) == (206, b"23")
    assert ranged('"other"') == (200, b"0123456789")
    assert ranged('"other"', "bytes=50-") == (200, b"0123456789")
    assert ranged(etag, "bytes=50-")[0] == 416


def test_conditions_of_reads(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    old, new = datetime(2000, 1, 1, tzinfo=timezone.utc), datetime(2100, 1, 1, tzinfo=timezone.utc)
    for call in (s3.get_object, s3.head_object):
        def holds(**condition):
            return call(Bucket=bucket, Key="k", **condition)["ETag"] == etag

        def fails(**condition):
            return refusal(call, Bucket=bucket, Key="k", **condition)[0]

        assert holds(IfMatch=etag) and holds(IfMatch="*") and holds(IfMatch=f'"no", {etag}')
        assert holds(IfNoneMatch='"no"')
        assert holds(IfModifiedSince=old) and holds(IfUnmodifiedSince=new)
        assert holds(IfMatch=etag, IfUnmodifiedSince=old)
        assert holds(IfNoneMatch='"no"', IfModifiedSince=new)
        assert fails(IfMatch='"no"') == 412
        assert fails(IfUnmodifiedSince=old) == 412
        assert fails(IfNoneMatch=etag) == 304 and fails(IfNoneMatch="*") == 304
        assert fails(IfModifiedSince=datetime.now(timezone.utc)) == 304


def test_not_modified_names_what_it_is(store, s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x", CacheControl="max-age=1")["ETag"]
    reply = raw.send(store, "GET", f"/{bucket}/k", headers={"If-None-Match": etag})
    assert (reply.status, reply.body) == (304, b"")
    assert reply.headers["etag"] == etag and reply.headers["cache-control"] == "max-age=1"
    assert "last-modified" in reply.headers


def test_a_request_can_override_headers(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    expires = datetime(2031, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    reply = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseCacheControl="no-store",
        ResponseContentDisposition="attachment",
        ResponseContentEncoding="br",
        ResponseContentLanguage="fr",
        ResponseContentType="text/csv",
        ResponseExpires=expires,
    )
    assert reply["CacheControl"] == "no-store" and reply["ContentDisposition"] == "attachment"
    assert reply["ContentEncoding"] == "br" and reply["ContentLanguage"] == "fr"
    assert reply["ContentType"] == "text/csv"
    assert headers_of(reply)["expires"] == "Thu, 02 Jan 2031 03:04:05 GMT"


def test_conditions_of_writes(s3, bucket):
    def put(body, **condition):
        return s3.put_object(Bucket=bucket, Key="k", Body=body, **condition)

    def fails(**condition):
        return refusal(put, body=b"never", **condition)

    assert fails(IfMatch='"x"') == (404, "NoSuchKey")
    etag = put(b"one", IfNoneMatch="*")["ETag"]
    assert fails(IfNoneMatch="*") == (412, "PreconditionFailed")
    assert fails(IfMatch='"x"') == (412, "PreconditionFailed")
    assert fails(IfNoneMatch='"x"') == (501, "NotImplemented")
    put(b"two", IfMatch=etag)
    assert fails(IfMatch=etag) == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"two"


# ---- digests ----


@pytest.mark.parametrize("algorithm", raw.CHECKSUMS)
def test_checksums_in_headers(store, s3, bucket, algorithm):
    body = b"the bytes of an object" * 50
    name = f"x-amz-checksum-{algorithm.lower()}"
    value = raw.checksum(algorithm, body)
    put = raw.send(store, "PUT", f"/{bucket}/k", headers={name: value}, body=body)
    assert put.status == 200, put.body
    assert put.headers[name] == value and put.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == value and head["ChecksumType"] == "FULL_OBJECT"
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert listed["ChecksumAlgorithm"] == [algorithm] and listed["ChecksumType"] == "FULL_OBJECT"

    wrong = {name: raw.checksum(algorithm, b"other bytes")}
    reply = raw.send(store, "PUT", f"/{bucket}/k", headers=wrong, body=body)
    assert (reply.status, reply.code) == (400, "BadDigest")
    reply = raw.send(store, "PUT", f"/{bucket}/k", headers={name: "AAAA"}, body=body)
    assert (reply.status, reply.code) == (400, "InvalidRequest")
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"] == put.headers["etag"]


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("algorithm", raw.CHECKSUMS)
def test_checksums_after_the_body(store, s3, bucket, algorithm, right):
    body = b"some bytes" * 100
    name = f"x-amz-checksum-{algorithm.lower()}"
    value = raw.checksum(algorithm, body if right else b"other")
    chunked = b"%x\r\n%b\r\n0\r\n%b:%b\r\n\r\n" % (len(body), body, name.encode(), value.encode())
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "X-Amz-Decoded-Content-Length": str(len(body)),
        "X-Amz-Trailer": name,
    }
    reply = raw.send(store, "PUT", f"/{bucket}/k", headers=headers, body=chunked)
    if right:
        assert reply.status == 200, reply.body
        assert reply.headers[name] == value
        got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert got[f"Checksum{algorithm}"] == value and got["Body"].read() == body
        assert "ContentEncoding" not in got
    else:
        assert (reply.status, reply.code) == (400, "BadDigest")
        assert refusal(s3.head_object, Bucket=bucket, Key="k")[0] == 404


def test_checksums_that_contradict(store, bucket):
    def put(**headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = raw.send(store, "PUT", f"/{bucket}/k", headers=names, body=b"")
        return reply.status, reply.code

    zero, zero_c = raw.checksum("CRC32", b""), raw.checksum("CRC32C", b"")
    assert put(x_amz_checksum_crc32=zero, x_amz_checksum_crc32c=zero_c) == (400, "InvalidRequest")
    named = {"x_amz_sdk_checksum_algorithm": "SHA256"}
    assert put(x_amz_checksum_crc32=zero, **named) == (400, "InvalidRequest")
    assert put(x_amz_sdk_checksum_algorithm="MD4") == (400, "InvalidRequest")
    assert put(x_amz_checksum_xxhash64="AAAAAAAAAAA=") == (501, "NotImplemented")


def test_a_checksum_is_only_shown_when_it_fits(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789", ChecksumAlgorithm="CRC32")
    assert "ChecksumCRC32" not in s3.head_object(Bucket=bucket, Key="k")
    asked = {"Bucket": bucket, "Key": "k", "ChecksumMode": "ENABLED"}
    assert "ChecksumCRC32" in s3.head_object(**asked)
    ranged = s3.get_object(**asked, Range="bytes=0-3")
    assert "ChecksumCRC32" not in ranged and ranged["Body"].read() == b"0123"


def test_content_md5(store, bucket):
    def put(value):
        reply = raw.send(store, "PUT", f"/{bucket}/k", headers={"Content-MD5": value}, body=b"x")
        return reply.status, reply.code

    assert put(raw.base64_of(hashlib.md5(b"x").digest())) == (200, "")
    assert put(raw.base64_of(hashlib.md5(b"y").digest())) == (400, "BadDigest")
    assert put("AAAA") == (400, "InvalidDigest")
    assert put("nonsense") == (400, "InvalidDigest")


# ---- deleting ----


def test_deleting_is_idempotent(s3, bucket):
    fill(s3, bucket, "a")
    for _ in range(2):
        reply = s3.delete_object(Bucket=bucket, Key="a")
        assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    fill(s3, bucket, "b")
    s3.delete_object(Bucket=bucket, Key="b", VersionId="null")
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == []


def test_conditions_of_deletes(store, s3, bucket):
    def fails(**condition):
        return refusal(s3.delete_object, Bucket=bucket, Key="k", **condition)

    for body in (b"inline", b"in bulk rows" * 50_000):
        for any_etag in ('"x"', "*"):
            assert fails(IfMatch=any_etag) == (404, "NoSuchKey")
        etag = s3.put_object(Bucket=bucket, Key="k", Body=body)["ETag"]
        assert fails(IfMatch='"x"') == (412, "PreconditionFailed")
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
        reply = s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
        assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert fails(IfMatch=etag) == (404, "NoSuchKey")
        s3.put_object(Bucket=bucket, Key="k", Body=body)
        s3.delete_object(Bucket=bucket, Key="k", IfMatch="*")
        assert keys_of(s3.list_objects_v2(Bucket=bucket)) == []
    for name, value in (("if-match", '"a", "b"'), ("if-none-match", "*")):
        reply = raw.send(store, "DELETE", f"/{bucket}/k", headers={name: value})
        assert (reply.status, reply.code) == (501, "NotImplemented")


def test_many_are_deleted_at_once(s3, bucket):
    keys = [f"k{i:04}&<>'\"\U0001f980" for i in range(1000)]
    fill(s3, bucket, *keys[:20])
    asked = {"Objects": [{"Key": key} for key in keys]}
    reply = s3.delete_objects(Bucket=bucket, Delete=asked)
    assert [entry["Key"] for entry in reply["Deleted"]] == keys and "Errors" not in reply
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == []

    fill(s3, bucket, "a", "b")
    asked = {"Objects": [{"Key": "a"}, {"Key": "b", "VersionId": "old"}], "Quiet": True}
    reply = s3.delete_objects(Bucket=bucket, Delete=asked)
    assert "Deleted" not in reply
    assert [(e["Key"], e["Code"]) for e in reply["Errors"]] == [("b", "NoSuchVersion")]
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == ["b"]

    asked = {"Objects": [{"Key": key} for key in [*keys, "more"]]}
    assert refusal(s3.delete_objects, Bucket=bucket, Delete=asked) == (400, "MalformedXML")


def test_deleting_many_needs_a_digest(store, bucket):
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"

    def post(body=body, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = raw.send(store, "POST", f"/{bucket}", "delete=", headers=names, body=body)
        return reply.status, reply.code

    right = raw.base64_of(hashlib.md5(body).digest())
    assert post() == (400, "InvalidRequest")
    assert post(Content_MD5=right) == (200, "")
    assert post(x_amz_checksum_sha1=raw.checksum("SHA1", body)) == (200, "")
    assert post(x_amz_checksum_sha1=raw.checksum("SHA1", b"other")) == (400, "BadDigest")
    assert post(body=body + b" ", Content_MD5=right) == (400, "BadDigest")
    for garbage in [b"", b"<Delete>", b"\xff\xfe", b"<Delete/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a/>']:
        digest = raw.base64_of(hashlib.md5(garbage).digest())
        assert post(body=garbage, Content_MD5=digest)[0] == 400, garbage


# ---- copying ----


@pytest.mark.parametrize("size", [0, 1000, 1 << 20])
def test_copies(s3, bucket, name, size):
    body = b"c" * size
    metadata = {"Metadata": {"a": "b"}, "ContentType": "text/plain", "CacheControl": "no-cache"}
    etag = s3.put_object(Bucket=bucket, Key="from", Body=body, **metadata)["ETag"]
    s3.create_bucket(Bucket=name)
    source = {"Bucket": bucket, "Key": "from"}
    made = s3.copy_object(Bucket=name, Key="to", CopySource=source)["CopyObjectResult"]
    assert made["ETag"] == etag and made["LastModified"]
    s3.delete_object(Bucket=bucket, Key="from")
    got = s3.get_object(Bucket=name, Key="to")
    assert got["Body"].read() == body and got["Metadata"] == {"a": "b"}
    assert (got["ContentType"], got["CacheControl"]) == ("text/plain", "no-cache")

    itself = {"Bucket": name, "Key": "to", "CopySource": {"Bucket": name, "Key": "to"}}
    assert refusal(s3.copy_object, **itself) == (400, "InvalidRequest")
    s3.copy_object(**itself, MetadataDirective="REPLACE", Metadata={"c": "d"}, ContentType="x/y")
    got = s3.get_object(Bucket=name, Key="to")
    assert got["Body"].read() == body and got["Metadata"] == {"c": "d"}
    assert got["ContentType"] == "x/y" and "CacheControl" not in got
    s3.delete_object(Bucket=name, Key="to")
    s3.delete_bucket(Bucket=name)


def test_conditions_of_copies(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="from", Body=b"x")["ETag"]

    def copy(**arguments):
        source = {"Bucket": bucket, "Key": "from"}
        return s3.copy_object(Bucket=bucket, Key="to", CopySource=source, **arguments)

    failed = (412, "PreconditionFailed")
    assert refusal(copy, CopySourceIfMatch='"no"') == failed
    assert refusal(copy, CopySourceIfNoneMatch=etag) == failed
    assert refusal(copy, CopySourceIfModifiedSince=datetime.now(timezone.utc)) == failed
    old = datetime(2000, 1, 1, tzinfo=timezone.utc)
    assert refusal(copy, CopySourceIfUnmodifiedSince=old) == failed
    copy(CopySourceIfMatch=etag, CopySourceIfUnmodifiedSince=old, IfNoneMatch="*")
    assert refusal(copy, IfNoneMatch="*") == failed


def test_copies_can_have_another_checksum(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"x" * 300, ChecksumAlgorithm="CRC32")
    source = {"Bucket": bucket, "Key": "from"}
    made = s3.copy_object(Bucket=bucket, Key="to", CopySource=source, ChecksumAlgorithm="SHA256")
    expected = raw.checksum("SHA256", b"x" * 300)
    assert made["CopyObjectResult"]["ChecksumSHA256"] == expected
    head = s3.head_object(Bucket=bucket, Key="to", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == expected


def test_copies_of_nothing(store, s3, bucket):
    def copy(source):
        reply = raw.send(store, "PUT", f"/{bucket}/to", headers={"x-amz-copy-source": source})
        return reply.status, reply.code

    assert copy(f"{bucket}/none") == (404, "NoSuchKey")
    assert copy("no-such-bucket-anywhere/k") == (404, "NoSuchBucket")
    assert copy(bucket) == (400, "InvalidArgument")
    assert copy("") == (400, "InvalidArgument")
    fill(s3, bucket, "a b")
    assert copy(f"/{bucket}/a%20b?versionId=null") == (200, "")
    assert copy(f"/{bucket}/a%20b?versionId=other") == (400, "InvalidArgument")
    assert copy(f"/{bucket}/a%20b?versionId={'0' * 32}") == (404, "NoSuchVersion")


# ---- presigned requests ----


def test_a_presigned_url_can_carry_headers(store, s3, bucket):
    assert raw.send_presigned(store, "PUT", f"/{bucket}/k", "x-amz-meta-a=b", b"x").status == 200
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"a": "b"}
    reply = raw.send_presigned(store, "PUT", f"/{bucket}/k", "x-amz-acl=public-read", b"y")
    assert (reply.status, reply.code) == (501, "NotImplemented")
    query = "response-content-type=text%2Fcsv"
    reply = raw.send_presigned(store, "GET", f"/{bucket}/k", query)
    assert reply.body == b"x" and reply.headers["content-type"] == "text/csv"
