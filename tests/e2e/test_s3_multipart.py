"""Uploads in parts."""

import hashlib

import pytest

import raw
from multipart import multipart_etag
from replies import headers_of, keys_of, prefixes_of, refusal

PART_BYTES_MIN = 5 << 20
FIRST = b"first part " * (PART_BYTES_MIN // 11 + 1)
LAST = b"the last"


@pytest.fixture
def upload(s3, bucket):
    """Names of an upload under way."""
    made = s3.create_multipart_upload(Bucket=bucket, Key="k")
    return {"Bucket": bucket, "Key": "k", "UploadId": made["UploadId"]}


def send_parts(s3, upload, *bodies):
    parts = []
    for number, body in enumerate(bodies, 1):
        reply = s3.upload_part(**upload, PartNumber=number, Body=body)
        assert reply["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
        parts.append({"PartNumber": number, "ETag": reply["ETag"]})
    return {"Parts": parts}


def test_an_upload_from_beginning_to_end(s3, bucket):
    kept = {"ContentType": "text/plain", "Metadata": {"a": "b"}, "CacheControl": "no-cache"}
    made = s3.create_multipart_upload(Bucket=bucket, Key="k", **kept)
    upload = {"Bucket": bucket, "Key": "k", "UploadId": made["UploadId"]}
    parts = send_parts(s3, upload, FIRST, LAST)
    assert refusal(s3.head_object, Bucket=bucket, Key="k")[0] == 404
    done = s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    etag = multipart_etag([hashlib.md5(FIRST).digest(), hashlib.md5(LAST).digest()])
    assert done["ETag"] == etag and done["Bucket"] == bucket and done["Key"] == "k"
    assert done["Location"].endswith(f"/{bucket}/k")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == FIRST + LAST and got["ETag"] == etag
    assert got["Metadata"] == {"a": "b"} and got["CacheControl"] == "no-cache"
    assert headers_of(got)["x-coffer-object-id"] == headers_of(done)["x-coffer-object-id"]
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ETag"] == etag
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    ranged = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={len(FIRST) - 2}-{len(FIRST) + 1}")
    assert ranged["Body"].read() == (FIRST + LAST)[len(FIRST) - 2 : len(FIRST) + 2]
    assert refusal(s3.list_parts, **upload) == (404, "NoSuchUpload")


def test_parts_of_an_object_can_be_read(s3, bucket, upload):
    s3.complete_multipart_upload(**upload, MultipartUpload=send_parts(s3, upload, FIRST, LAST))
    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert got["Body"].read() == LAST and got["PartsCount"] == 2
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    whole = len(FIRST) + len(LAST)
    assert got["ContentRange"] == f"bytes {len(FIRST)}-{whole - 1}/{whole}"
    head = s3.head_object(Bucket=bucket, Key="k", PartNumber=1)
    assert head["ContentLength"] == len(FIRST) and head["PartsCount"] == 2
    assert refusal(s3.get_object, Bucket=bucket, Key="k", PartNumber=3)[0] == 416
    s3.put_object(Bucket=bucket, Key="single", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="single", PartNumber=1)["Body"].read() == b"x"
    assert refusal(s3.get_object, Bucket=bucket, Key="single", PartNumber=2)[0] == 416
    assert refusal(s3.get_object, Bucket=bucket, Key="k", PartNumber=0) == (400, "InvalidArgument")


def test_parts_are_replaced_and_left_out(s3, bucket, upload):
    send_parts(s3, upload, b"a" * PART_BYTES_MIN, b"b", b"c")
    parts = send_parts(s3, upload, FIRST)
    last = s3.upload_part(**upload, PartNumber=10_000, Body=LAST)
    parts["Parts"].append({"PartNumber": 10_000, "ETag": last["ETag"]})
    s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == FIRST + LAST


def test_what_does_not_complete(s3, bucket, upload):
    parts = send_parts(s3, upload, b"small", LAST)["Parts"]

    def complete(*parts, **arguments):
        asked = {"MultipartUpload": {"Parts": list(parts)}}
        return refusal(s3.complete_multipart_upload, **upload, **asked, **arguments)

    assert complete(*parts) == (400, "EntityTooSmall")
    assert complete(parts[1], parts[0]) == (400, "InvalidPartOrder")
    assert complete(parts[0], parts[0]) == (400, "InvalidPartOrder")
    assert complete({**parts[0], "ETag": '"0"'}) == (400, "InvalidPart")
    assert complete({**parts[0], "PartNumber": 3}) == (400, "InvalidPart")
    assert complete() == (400, "MalformedXML")
    assert complete(parts[0], MpuObjectSize=3)[0] == 400
    assert complete(parts[0], IfMatch='"x"') == (404, "NoSuchKey")
    s3.put_object(Bucket=bucket, Key="k", Body=b"there")
    assert complete(parts[0], IfNoneMatch="*") == (412, "PreconditionFailed")
    assert complete(parts[0], IfMatch='"x"') == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"there"
    assert len(s3.list_parts(**upload)["Parts"]) == 2
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts[:1]}, MpuObjectSize=5)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"small"


def test_an_aborted_upload_is_gone(s3, bucket, upload):
    parts = send_parts(s3, upload, LAST)
    reply = s3.abort_multipart_upload(**upload)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    gone = (404, "NoSuchUpload")
    assert refusal(s3.abort_multipart_upload, **upload) == gone
    assert refusal(s3.upload_part, **upload, PartNumber=1, Body=b"x") == gone
    assert refusal(s3.complete_multipart_upload, **upload, MultipartUpload=parts) == gone
    assert refusal(s3.list_parts, **upload) == gone
    other = {**upload, "UploadId": "no such upload"}
    assert refusal(s3.upload_part, **other, PartNumber=1, Body=b"x") == gone


def test_numbers_of_parts(store, bucket, upload):
    for number in ["0", "10001", "-1", "x", ""]:
        query = f"partNumber={number}&uploadId={upload['UploadId']}"
        reply = raw.send(store, "PUT", f"/{bucket}/k", query, body=b"x")
        assert (reply.status, reply.code) == (400, "InvalidArgument"), number
    reply = raw.send(store, "PUT", f"/{bucket}/k", f"uploadId={upload['UploadId']}", body=b"x")
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_parts_are_listed_in_pages(s3, bucket, upload):
    send_parts(s3, upload, *[bytes([i]) * (i + 1) for i in range(5)])
    found, marker = [], {}
    while True:
        page = s3.list_parts(**upload, MaxParts=2, **marker)
        assert page["MaxParts"] == 2 and page["StorageClass"] == "STANDARD"
        found += [(part["PartNumber"], part["Size"]) for part in page["Parts"]]
        if not page["IsTruncated"]:
            break
        marker = {"PartNumberMarker": page["NextPartNumberMarker"]}
    assert found == [(i, i) for i in range(1, 6)]
    assert page["Initiator"]["ID"] == page["Owner"]["ID"] != ""
    assert page["UploadId"] == upload["UploadId"] and page["Key"] == "k"
    s3.abort_multipart_upload(**upload)


def test_uploads_are_listed_in_pages(s3, bucket):
    keys = ["a", "a", "b/1", "b/2", "c d"]
    made = []
    for key in keys:
        reply = s3.create_multipart_upload(Bucket=bucket, Key=key)
        made.append((key, reply["UploadId"]))

    def listed(max_uploads, **arguments):
        found, marker = [], {}
        while True:
            page = s3.list_multipart_uploads(
                Bucket=bucket, MaxUploads=max_uploads, **arguments, **marker
            )
            entries = [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
            entries += [(prefix, None) for prefix in prefixes_of(page)]
            assert len(entries) <= max_uploads
            found += sorted(entries, key=lambda entry: (entry[0], made.index(entry) if entry[1] else 0))
            if not page["IsTruncated"]:
                return found
            marker = {"KeyMarker": page["NextKeyMarker"]}
            if page["NextUploadIdMarker"]:
                marker["UploadIdMarker"] = page["NextUploadIdMarker"]

    for max_uploads in (1, 2, 3, 1000):
        assert listed(max_uploads) == made
        assert listed(max_uploads, Prefix="b/") == made[2:4]
        assert listed(max_uploads, Delimiter="/") == [*made[:2], ("b/", None), made[4]]
    entry = s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]
    assert entry["Initiated"] and entry["Owner"]["ID"] and entry["StorageClass"] == "STANDARD"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket, MaxUploads=0)
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == []


def test_parts_can_be_copied(s3, bucket, upload):
    s3.put_object(Bucket=bucket, Key="from", Body=FIRST)
    source = {"Bucket": bucket, "Key": "from"}

    def copy(number, **arguments):
        return s3.upload_part_copy(**upload, PartNumber=number, CopySource=source, **arguments)

    whole = copy(1)["CopyPartResult"]
    some = copy(2, CopySourceRange="bytes=6-10")["CopyPartResult"]
    assert some["ETag"] == f'"{hashlib.md5(b"part ").hexdigest()}"' and some["LastModified"]
    for text in ["bytes=1-", "bytes=-5", "0-9", "bytes=9-1"]:
        assert refusal(copy, number=3, CopySourceRange=text) == (400, "InvalidArgument")
    assert refusal(copy, number=3, CopySourceRange=f"bytes=0-{len(FIRST)}")[0] in (400, 416)
    assert refusal(copy, number=3, CopySourceIfMatch='"x"') == (412, "PreconditionFailed")
    parts = [{"PartNumber": n, "ETag": p["ETag"]} for n, p in [(1, whole), (2, some)]]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == FIRST + b"part "


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_over_checksums(s3, bucket, algorithm):
    name = f"Checksum{algorithm}"
    made = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm)
    assert made["ChecksumAlgorithm"] == algorithm and made["ChecksumType"] == "COMPOSITE"
    upload = {"Bucket": bucket, "Key": "k", "UploadId": made["UploadId"]}
    parts, digests = [], b""
    for number, body in enumerate([FIRST, LAST], 1):
        reply = s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
        assert reply[name] == raw.checksum(algorithm, body)
        parts.append({"PartNumber": number, "ETag": reply["ETag"], name: reply[name]})
        digests += raw.CHECKSUMS[algorithm](body)
    listed = s3.list_parts(**upload)
    assert [part[name] for part in listed["Parts"]] == [part[name] for part in parts]
    assert listed["ChecksumAlgorithm"] == algorithm and listed["ChecksumType"] == "COMPOSITE"
    spoiled = [{**parts[0], name: parts[1][name]}, parts[1]]
    refused = refusal(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": spoiled})
    assert refused == (400, "InvalidPart")
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    expected = f"{raw.checksum(algorithm, digests)}-2"
    assert done[name] == expected and done["ChecksumType"] == "COMPOSITE"
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[name] == expected and head["ChecksumType"] == "COMPOSITE"
    assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["Body"].read() == FIRST + LAST


def test_checksums_over_the_whole(s3, bucket):
    whole = raw.checksum("CRC32", FIRST + LAST)

    def begin():
        made = s3.create_multipart_upload(
            Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
        )
        upload = {"Bucket": bucket, "Key": "k", "UploadId": made["UploadId"]}
        return upload, send_parts(s3, upload, FIRST, LAST)

    upload, parts = begin()
    asked = {**upload, "MultipartUpload": parts, "ChecksumType": "FULL_OBJECT"}
    wrong = raw.checksum("CRC32", b"other")
    assert refusal(s3.complete_multipart_upload, **asked, ChecksumCRC32=wrong)[0] == 400
    done = s3.complete_multipart_upload(**asked, ChecksumCRC32=whole)
    assert done["ChecksumCRC32"] == whole and done["ChecksumType"] == "FULL_OBJECT"
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC32"] == whole and head["ChecksumType"] == "FULL_OBJECT"
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == FIRST + LAST


def test_checksum_types_that_do_not_exist(s3, bucket):
    def create(algorithm, kind):
        names = {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
        return refusal(s3.create_multipart_upload, Bucket=bucket, Key="k", **names)

    assert create("SHA256", "FULL_OBJECT") == (400, "InvalidRequest")
    assert create("CRC64NVME", "COMPOSITE") == (400, "InvalidRequest")
    assert create("CRC32", "WHOLE") == (400, "InvalidRequest")
    assert create("MD4", "COMPOSITE") == (400, "InvalidRequest")


def test_a_bucket_with_uploads_can_be_deleted(s3, bucket):
    name = f"{bucket}-2"
    s3.create_bucket(Bucket=name)
    made = s3.create_multipart_upload(Bucket=name, Key="k")
    s3.upload_part(Bucket=name, Key="k", UploadId=made["UploadId"], PartNumber=1, Body=LAST)
    s3.delete_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=name)
    s3.delete_bucket(Bucket=name)
