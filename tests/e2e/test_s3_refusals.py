"""What is not built: every such operation, header and parameter is refused by name."""

import botocore.session
import pytest

import raw
from replies import fill, keys_of, refusal

BUILT = """
    AbortMultipartUpload CompleteMultipartUpload CopyObject CreateBucket CreateMultipartUpload DeleteBucket
    DeleteBucketPolicy DeleteObject DeleteObjects DeletePublicAccessBlock GetBucketLocation GetBucketPolicy
    GetBucketPolicyStatus GetBucketVersioning GetObject GetPublicAccessBlock HeadBucket HeadObject
    ListBuckets ListDirectoryBuckets ListMultipartUploads ListObjectVersions ListObjects ListObjectsV2
    ListParts PutBucketPolicy PutBucketVersioning PutObject PutPublicAccessBlock UploadPart UploadPartCopy
""".split()


def unbuilt_operations():
    model = botocore.session.get_session().get_service_model("s3")
    for name in model.operation_names:
        if name in BUILT:
            continue
        operation = model.operation_model(name)
        members = operation.input_shape.members if operation.input_shape else {}
        places = {n: m.serialization for n, m in members.items()}
        required = operation.input_shape.required_members if operation.input_shape else []
        query = [
            place["name"] for n, place in places.items()
            if place.get("location") == "querystring" and n in required
        ]
        yield pytest.param(operation.http["method"], operation.http["requestUri"], query, id=name)


@pytest.mark.parametrize("method, uri, query", list(unbuilt_operations()))
def test_operations_that_are_not_built(store, bucket, request, method, uri, query):
    path, _, sub_resource = uri.replace("{Bucket}", bucket).replace("{Key+}", "key").partition("?")
    pairs = [pair if "=" in pair else f"{pair}=" for pair in sub_resource.split("&") if pair]
    reply = raw.send(store, method, path, "&".join(pairs + [f"{name}=1" for name in query]))
    assert reply.status == 501
    if method != "HEAD":
        assert reply.code == "NotImplemented"
        name = request.node.callspec.id
        successors = {name, f"{name}Configuration"}
        assert reply.xml.findtext("Message").rsplit(" ", 1)[1] in successors


@pytest.mark.parametrize(
    "arguments",
    [
        {"ACL": "public-read"},
        {"GrantRead": "id=1"},
        {"ServerSideEncryption": "AES256"},
        {"StorageClass": "GLACIER"},
        {"Tagging": "a=b"},
        {"WebsiteRedirectLocation": "/x"},
        {"ObjectLockMode": "GOVERNANCE"},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_headers_that_are_not_built(s3, bucket, arguments):
    refused = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **arguments)
    assert refused == (501, "NotImplemented")
    refused = refusal(s3.create_multipart_upload, Bucket=bucket, Key="k", **arguments)
    assert refused == (501, "NotImplemented")
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == []


def test_headers_that_ask_for_nothing_pass(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", ACL="private", StorageClass="STANDARD")
    s3.put_object(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")
    assert refusal(s3.put_object, Bucket=bucket, Key="k", StorageClass="X")[1] == "InvalidStorageClass"
    assert refusal(s3.get_object, Bucket=bucket, Key="k", VersionId="x")[1] == "InvalidArgument"
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["ContentLength"] == 0


def test_sub_resources_never_fall_through(store, s3, bucket):
    fill(s3, bucket, "k")
    for method, path, query in [
        ("DELETE", f"/{bucket}", "location="),
        ("DELETE", f"/{bucket}/k", "acl="),
        ("PUT", f"/{bucket}/k", "uploads="),
    ]:
        reply = raw.send(store, method, path, query)
        assert (reply.status, reply.code) == (405, "MethodNotAllowed")
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == ["k"]


def test_parameters_without_a_meaning_are_ignored(store, s3, bucket):
    fill(s3, bucket, "k")
    assert raw.send(store, "GET", f"/{bucket}/k", "foo=bar&x-id=GetObject").body == b"k"
