"""What users other than root may do, request by request."""

import json
import urllib.error
import urllib.request
import uuid

import boto3
import pytest
from botocore.config import Config

from replies import fill, keys_of, refusal
from running import REGION

DENIED = (403, "AccessDenied")


@pytest.fixture
def make_user(store, folder):
    """Adds users to the shared store: make_user(policy) gives a client; they end with the test."""
    names = []

    def make(policy):
        if not isinstance(policy, str):
            file = folder / f"policy{len(names)}.json"
            file.write_text(json.dumps({"Version": "2012-10-17", "Statement": policy}))
            policy = file
        name = f"user-{uuid.uuid4().hex[:12]}"
        added = json.loads(store.run("user", "add", name, "--policy", policy, "--json", "DIRS").stdout)
        names.append(name)
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=store.endpoint,
            region_name=REGION,
            aws_access_key_id=added["access_key"],
            aws_secret_access_key=added["secret_key"],
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )
        client.user_name = name
        return client

    yield make
    for name in names:
        store.run("user", "remove", name, "DIRS")


def test_a_reader_reads_and_writes_nothing(s3, bucket, make_user):
    fill(s3, bucket, "a")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="u")["UploadId"]
    reader = make_user("readonly")
    assert reader.get_object(Bucket=bucket, Key="a")["Body"].read() == b"a"
    assert keys_of(reader.list_objects_v2(Bucket=bucket)) == ["a"]
    assert bucket in [b["Name"] for b in reader.list_buckets()["Buckets"]]
    reader.head_bucket(Bucket=bucket)
    one = {"Bucket": bucket, "Key": "a"}
    part = {"Bucket": bucket, "Key": "u", "UploadId": upload}
    refused = [
        refusal(reader.create_bucket, Bucket=f"{bucket}-2"),
        refusal(reader.delete_bucket, Bucket=bucket),
        refusal(reader.put_object, **one, Body=b"b"),
        refusal(reader.delete_object, **one),
        refusal(reader.copy_object, Bucket=bucket, Key="b", CopySource=one),
        refusal(reader.create_multipart_upload, **one),
        refusal(reader.upload_part, **part, PartNumber=1, Body=b"b"),
        refusal(reader.upload_part_copy, **part, PartNumber=1, CopySource=one),
        refusal(
            reader.complete_multipart_upload,
            **part,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": "x"}]},
        ),
        refusal(reader.abort_multipart_upload, **part),
    ]
    assert refused == [DENIED] * len(refused)
    reply = reader.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}]})
    assert [(e["Key"], e["Code"]) for e in reply["Errors"]] == [("a", DENIED[1]), ("b", DENIED[1])]
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == ["a"]


def test_a_writer_works_but_is_not_root(s3, bucket, make_user):
    writer = make_user("readwrite")
    writer.put_object(Bucket=bucket, Key="w", Body=b"w")
    assert s3.get_object(Bucket=bucket, Key="w")["Body"].read() == b"w"
    name = f"{bucket}-2"
    writer.create_bucket(Bucket=name)
    # All users of a store are one account, and so one owner.
    for client in (s3, writer):
        assert refusal(client.create_bucket, Bucket=name) == (409, "BucketAlreadyOwnedByYou")
    owners = {client.list_buckets()["Owner"]["ID"] for client in (s3, writer)}
    assert len(owners) == 1
    writer.head_bucket(Bucket=name, ExpectedBucketOwner=owners.pop())
    writer.delete_bucket(Bucket=name)


def test_each_key_is_authorised_for_itself(s3, bucket, make_user):
    fill(s3, bucket, "keep/a", "drop/a")
    user = make_user([
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{bucket}/keep/*"},
    ])
    asked = {"Objects": [{"Key": "keep/a"}, {"Key": "drop/a"}]}
    reply = user.delete_objects(Bucket=bucket, Delete=asked)
    assert [entry["Key"] for entry in reply["Deleted"]] == ["drop/a"]
    assert [(e["Key"], e["Code"]) for e in reply["Errors"]] == [("keep/a", "AccessDenied")]
    assert refusal(user.delete_object, Bucket=bucket, Key="keep/a") == DENIED
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == ["keep/a"]


def test_a_conditional_delete_needs_to_read_the_etag(s3, bucket, make_user):
    fill(s3, bucket, "a", "b")
    etag = s3.head_object(Bucket=bucket, Key="a")["ETag"]
    user = make_user([{"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "*"}])
    assert refusal(user.delete_object, Bucket=bucket, Key="a", IfMatch=etag) == DENIED
    user.delete_object(Bucket=bucket, Key="b", IfMatch="*")
    user.delete_object(Bucket=bucket, Key="a")
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == []


def test_an_upload_is_its_initiators(store, s3, bucket, make_user):
    user = make_user("readwrite")
    accounts = json.loads(store.run("account", "list", "--json", "DIRS").stdout)
    account = min(accounts, key=lambda account: account["created_ms"])["id"]
    of_user = {
        "ID": f"arn:aws:iam::{account}:user/{user.user_name}", "DisplayName": user.user_name,
    }
    mine = user.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    s3.create_multipart_upload(Bucket=bucket, Key="b")
    listed = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    owner = listed[0]["Owner"]["ID"]
    assert [upload["Initiator"] for upload in listed] == [
        of_user, {"ID": owner, "DisplayName": "root"},
    ]
    assert listed[1]["Owner"]["ID"] == owner, "what is uploaded is the bucket's owner's"
    parts = s3.list_parts(Bucket=bucket, Key="a", UploadId=mine)
    assert parts["Initiator"] == of_user and parts["Owner"]["ID"] == owner


def test_a_copy_needs_both_ends(s3, bucket, make_user):
    fill(s3, bucket, "secret/a", "open/a")
    within = f"arn:aws:s3:::{bucket}/open/*"
    user = make_user([
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": within},
    ])

    def copy(source, target):
        names = {"Bucket": bucket, "Key": target, "CopySource": {"Bucket": bucket, "Key": source}}
        return user.copy_object(**names)

    copy("open/a", "open/b")
    assert refusal(copy, source="secret/a", target="open/b") == DENIED
    assert refusal(copy, source="open/a", target="secret/b") == DENIED
    assert refusal(user.list_objects_v2, Bucket=bucket) == DENIED
    # Who may not list is not told what is not there.
    assert refusal(user.get_object, Bucket=bucket, Key="open/none") == DENIED
    assert refusal(copy, source="open/none", target="open/b") == DENIED


def test_a_disabled_user_is_nobody(store, s3, bucket, make_user):
    user = make_user("readwrite")
    user.put_object(Bucket=bucket, Key="a", Body=b"a")
    store.run("user", "disable", user.user_name, "DIRS")
    assert refusal(user.put_object, Bucket=bucket, Key="a", Body=b"b")[0] == 403
    store.run("user", "enable", user.user_name, "DIRS")
    user.put_object(Bucket=bucket, Key="a", Body=b"c")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"c"


def test_nobody_may_do_nothing(store, bucket):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{store.endpoint}/{bucket}/a")
    assert caught.value.code == 403
