"""Versions of objects: what is kept, found, listed and deleted."""

import json
import uuid

import pytest

import programs
import raw
from replies import fill, headers_of, keys_of, refusal

NO_SUCH = "0" * 32


def set_state(s3, bucket, status):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status


@pytest.fixture
def versioned(s3, bucket):
    set_state(s3, bucket, "Enabled")
    return bucket


def put(s3, bucket, key, body=b"x"):
    return s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]


def body_of(s3, bucket, key, **version):
    return s3.get_object(Bucket=bucket, Key=key, **version)["Body"].read()


def all_versions(s3, bucket, **arguments):
    """`(key, id, is latest, is marker)` of all pages, and the common prefixes."""
    found, prefixes = [], []
    marker = {}
    while True:
        page = s3.list_object_versions(Bucket=bucket, **arguments, **marker)
        versions = [(v["Key"], v["VersionId"], v["IsLatest"], False) for v in page.get("Versions", [])]
        markers = [(m["Key"], m["VersionId"], m["IsLatest"], True) for m in page.get("DeleteMarkers", [])]
        common = [p["Prefix"] for p in page.get("CommonPrefixes", [])]
        assert len(versions) + len(markers) + len(common) <= arguments.get("MaxKeys", 1000)
        found += versions + markers
        prefixes += common
        if not page["IsTruncated"]:
            return found, prefixes
        marker = {"KeyMarker": page["NextKeyMarker"]}
        if "NextVersionIdMarker" in page:
            marker["VersionIdMarker"] = page["NextVersionIdMarker"]


# ---- the state of a bucket ----


def test_the_state_of_a_bucket(store, s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Suspended", "Enabled", "Suspended"):
        set_state(s3, bucket, status)

    def sent(inside):
        body = f"<VersioningConfiguration>{inside}</VersioningConfiguration>".encode()
        reply = raw.send(store, "PUT", f"/{bucket}", "versioning=", body=body)
        return reply.status, reply.code

    enabled = "<Status>Enabled</Status>"
    assert sent(enabled + "<MfaDelete>Enabled</MfaDelete>") == (501, "NotImplemented")
    assert sent("") == (400, "IllegalVersioningConfigurationException")
    assert sent("<Status>On</Status>") == (400, "MalformedXML")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"
    assert sent(enabled + "<MfaDelete>Disabled</MfaDelete>") == (200, "")
    mfa = raw.send(store, "DELETE", f"/{bucket}/k", "versionId=null", {"x-amz-mfa": "serial 123456"})
    assert (mfa.status, mfa.code) == (501, "NotImplemented")
    nowhere = refusal(s3.put_bucket_versioning, Bucket="nowhere-at-all",
                      VersioningConfiguration={"Status": "Enabled"})
    assert nowhere == (404, "NoSuchBucket")


def test_without_versioning_nothing_is_said_of_versions(s3, bucket):
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=b"a")
    read = s3.get_object(Bucket=bucket, Key="k")
    assert "VersionId" not in read and "DeleteMarker" not in read
    assert body_of(s3, bucket, "k", VersionId="null") == b"a"
    assert refusal(s3.get_object, Bucket=bucket, Key="k", VersionId=NO_SUCH) == (404, "NoSuchVersion")
    assert all_versions(s3, bucket)[0] == [("k", "null", True, False)]
    gone = s3.delete_object(Bucket=bucket, Key="k")
    assert "DeleteMarker" not in gone and "VersionId" not in gone
    assert all_versions(s3, bucket)[0] == []


# ---- writing, reading, deleting ----


@pytest.mark.parametrize("size", [10, 400_000])
def test_every_version_is_kept(s3, bucket, size):
    def body(i):
        return bytes([65 + i]) * size

    fill(s3, bucket, "other")
    s3.put_object(Bucket=bucket, Key="k", Body=body(0))
    set_state(s3, bucket, "Enabled")
    ids = ["null", *[put(s3, bucket, "k", body(i)) for i in (1, 2, 3)]]
    assert len(set(ids)) == 4
    for i, version in enumerate(ids):
        read = s3.get_object(Bucket=bucket, Key="k", VersionId=version)
        assert read["Body"].read() == body(i) and read["VersionId"] == version
        head = s3.head_object(Bucket=bucket, Key="k", VersionId=version, Range="bytes=2-4")
        assert (head["VersionId"], head["ContentLength"]) == (version, 3)
    assert s3.head_object(Bucket=bucket, Key="k")["VersionId"] == ids[3]
    assert s3.head_object(Bucket=bucket, Key="other")["VersionId"] == "null"
    expected = [("k", version, i == 0, False) for i, version in enumerate(reversed(ids))]
    assert all_versions(s3, bucket, Prefix="k")[0] == expected
    # The newest goes: the one before is the object again.
    for i in (3, 2, 1):
        gone = s3.delete_object(Bucket=bucket, Key="k", VersionId=ids[i])
        assert gone["VersionId"] == ids[i] and "DeleteMarker" not in gone
        assert body_of(s3, bucket, "k") == body(i - 1)
        assert refusal(s3.get_object, Bucket=bucket, Key="k", VersionId=ids[i])[1] == "NoSuchVersion"
        assert keys_of(s3.list_objects_v2(Bucket=bucket)) == ["k", "other"]


def test_a_delete_leaves_a_marker(store, s3, versioned):
    first = put(s3, versioned, "k", b"kept")
    gone = s3.delete_object(Bucket=versioned, Key="k")
    marker = gone["VersionId"]
    assert gone["DeleteMarker"] is True and marker != first
    assert keys_of(s3.list_objects_v2(Bucket=versioned)) == []

    plain = raw.send(store, "GET", f"/{versioned}/k")
    assert (plain.status, plain.code) == (404, "NoSuchKey")
    assert plain.headers["x-amz-delete-marker"] == "true"
    assert plain.headers["x-amz-version-id"] == marker
    named = raw.send(store, "GET", f"/{versioned}/k", f"versionId={marker}")
    assert (named.status, named.code) == (405, "MethodNotAllowed")
    assert named.headers["x-amz-delete-marker"] == "true" and named.headers["allow"] == "DELETE"
    assert "last-modified" in named.headers
    for query, status in (("", 404), (f"versionId={marker}", 405)):
        head = raw.send(store, "HEAD", f"/{versioned}/k", query)
        assert (head.status, head.headers["x-amz-delete-marker"]) == (status, "true")

    assert body_of(s3, versioned, "k", VersionId=first) == b"kept"
    # Another delete, another marker; of what never was, too.
    again = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    never = s3.delete_object(Bucket=versioned, Key="never")["VersionId"]
    assert all_versions(s3, versioned)[0] == [
        ("k", first, False, False),
        ("k", again, True, True),
        ("k", marker, False, True),
        ("never", never, True, True),
    ]
    for version in (again, marker):
        undone = s3.delete_object(Bucket=versioned, Key="k", VersionId=version)
        assert undone["DeleteMarker"] is True and undone["VersionId"] == version
    assert body_of(s3, versioned, "k") == b"kept"


def test_while_suspended_the_null_version_is_replaced(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    set_state(s3, bucket, "Enabled")
    kept = put(s3, bucket, "k", b"kept")
    set_state(s3, bucket, "Suspended")
    assert put(s3, bucket, "k", b"one") == "null"
    assert put(s3, bucket, "k", b"two") == "null"
    assert all_versions(s3, bucket)[0] == [("k", "null", True, False), ("k", kept, False, False)]
    assert body_of(s3, bucket, "k", VersionId="null") == b"two"
    for _ in range(2):
        gone = s3.delete_object(Bucket=bucket, Key="k")
        assert (gone["DeleteMarker"], gone["VersionId"]) == (True, "null")
        assert all_versions(s3, bucket)[0] == [("k", kept, False, False), ("k", "null", True, True)]
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == (404, "NoSuchKey")
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert body_of(s3, bucket, "k") == b"kept"


def test_ids_that_are_none(store, s3, versioned):
    version = put(s3, versioned, "k")

    def get(query):
        reply = raw.send(store, "GET", f"/{versioned}/k", query)
        return reply.status, reply.code

    assert get("versionId=nonsense") == get("versionId=") == (400, "InvalidArgument")
    assert get(f"versionId={version.upper()}x") == (400, "InvalidArgument")
    assert get(f"versionId={NO_SUCH}") == get("versionId=null") == (404, "NoSuchVersion")
    assert refusal(s3.get_object, Bucket=versioned, Key="other", VersionId=version)[1] == "NoSuchVersion"
    gone = s3.delete_object(Bucket=versioned, Key="k", VersionId=NO_SUCH)
    assert gone["VersionId"] == NO_SUCH and "DeleteMarker" not in gone
    # Where it would be ignored it is refused.
    for method, path, query in [
        ("PUT", f"/{versioned}/k", f"versionId={version}"),
        ("GET", f"/{versioned}", "versionId=null"),
        ("DELETE", f"/{versioned}", "versionId=null"),
    ]:
        reply = raw.send(store, method, path, query, body=b"")
        assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert all_versions(s3, versioned)[0] == [("k", version, True, False)]


def test_many_versions_are_deleted_at_once(s3, versioned):
    old = [put(s3, versioned, f"k{i}") for i in range(3)]
    marker = s3.delete_object(Bucket=versioned, Key="k2")["VersionId"]
    asked = [
        {"Key": "k0"},
        {"Key": "k1", "VersionId": old[1]},
        {"Key": "k2", "VersionId": marker},
        {"Key": "k2", "VersionId": "nonsense"},
        {"Key": "k3", "VersionId": NO_SUCH},
    ]
    reply = s3.delete_objects(Bucket=versioned, Delete={"Objects": asked})
    added, removed, unmarked, absent = reply["Deleted"]
    assert (added["Key"], added["DeleteMarker"]) == ("k0", True) and "VersionId" not in added
    assert removed == {"Key": "k1", "VersionId": old[1]}
    assert unmarked == {
        "Key": "k2", "VersionId": marker, "DeleteMarker": True, "DeleteMarkerVersionId": marker,
    }
    assert absent == {"Key": "k3", "VersionId": NO_SUCH}
    (error,) = reply["Errors"]
    assert (error["Key"], error["VersionId"], error["Code"]) == ("k2", "nonsense", "NoSuchVersion")
    assert all_versions(s3, versioned)[0] == [
        ("k0", old[0], False, False),
        ("k2", old[2], True, False),
        ("k0", added["DeleteMarkerVersionId"], True, True),
    ]


def test_conditions_relate_to_the_current_version(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="k", Body=b"first")
    second = s3.put_object(Bucket=versioned, Key="k", Body=b"second", IfMatch=first["ETag"])
    stale = dict(Bucket=versioned, Key="k", IfMatch=first["ETag"])
    assert refusal(s3.put_object, **stale) == (412, "PreconditionFailed")
    assert refusal(s3.delete_object, **stale) == (412, "PreconditionFailed")
    wrong = dict(Bucket=versioned, Key="k", VersionId=first["VersionId"], IfMatch=second["ETag"])
    assert refusal(s3.delete_object, **wrong) == (412, "PreconditionFailed")
    assert refusal(s3.put_object, Bucket=versioned, Key="k", IfNoneMatch="*")[0] == 412
    s3.delete_object(Bucket=versioned, Key="k", IfMatch=second["ETag"])
    # A delete marker is no object.
    assert refusal(s3.put_object, Bucket=versioned, Key="k", IfMatch="*") == (404, "NoSuchKey")
    s3.put_object(Bucket=versioned, Key="k", Body=b"new", IfNoneMatch="*")
    assert len(all_versions(s3, versioned)[0]) == 4


# ---- copies and uploads in parts ----


def test_versions_are_copied(store, s3, versioned):
    old = put(s3, versioned, "k", b"old")
    new = put(s3, versioned, "k", b"new")
    source = {"Bucket": versioned, "Key": "k", "VersionId": old}
    copy = s3.copy_object(Bucket=versioned, Key="copy", CopySource=source)
    assert copy["CopySourceVersionId"] == old and copy["VersionId"] not in (old, new)
    assert body_of(s3, versioned, "copy") == b"old"
    plain = s3.copy_object(Bucket=versioned, Key="copy", CopySource=f"{versioned}/k")
    assert plain["CopySourceVersionId"] == new and body_of(s3, versioned, "copy") == b"new"
    restored = s3.copy_object(Bucket=versioned, Key="k", CopySource=source)["VersionId"]
    assert body_of(s3, versioned, "k") == b"old"
    assert [v[1] for v in all_versions(s3, versioned, Prefix="k")[0]] == [restored, new, old]

    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    named = dict(Bucket=versioned, Key="to", CopySource=source | {"VersionId": marker})
    assert refusal(s3.copy_object, **named) == (400, "InvalidRequest")
    unnamed = dict(Bucket=versioned, Key="to", CopySource=f"{versioned}/k")
    assert refusal(s3.copy_object, **unnamed) == (404, "NoSuchKey")
    upload = s3.create_multipart_upload(Bucket=versioned, Key="parts")["UploadId"]
    into = dict(Bucket=versioned, Key="parts", UploadId=upload, PartNumber=1)
    part = s3.upload_part_copy(**into, CopySource=source)
    assert part["CopySourceVersionId"] == old
    assert refusal(s3.upload_part_copy, **into, CopySource=named["CopySource"])[1] == "InvalidRequest"
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]}
    done = s3.complete_multipart_upload(
        Bucket=versioned, Key="parts", UploadId=upload, MultipartUpload=parts
    )
    assert s3.head_object(Bucket=versioned, Key="parts")["VersionId"] == done["VersionId"]
    assert body_of(s3, versioned, "parts", VersionId=done["VersionId"]) == b"old"


# ---- listing ----


TREE = ["a", "b/1", "b/2", "c", "d/e/f", "\xfc 1", "z"]


@pytest.mark.parametrize("max_keys", [1, 2, 3, 1000])
def test_listings_in_pages_of_any_size(s3, bucket, max_keys):
    expected = []
    fill(s3, bucket, *TREE)
    set_state(s3, bucket, "Enabled")
    for key in TREE:
        versions = [(key, "null", False)]
        versions.insert(0, (key, put(s3, bucket, key), False))
        if key != "c":
            marker = s3.delete_object(Bucket=bucket, Key=key)["VersionId"]
            versions.insert(0, (key, marker, True))
        expected += [(k, v, i == 0, m) for i, (k, v, m) in enumerate(versions)]

    def listed(**arguments):
        found, prefixes = all_versions(s3, bucket, MaxKeys=max_keys, **arguments)
        # Versions and markers stand in lists of their own in each page.
        return sorted(found), prefixes

    assert listed() == (sorted(expected), [])
    below = [line for line in expected if line[0].startswith("b/")]
    assert listed(Prefix="b/") == (sorted(below), [])
    top = [line for line in expected if "/" not in line[0]]
    assert listed(Delimiter="/") == (sorted(top), ["b/", "d/"])
    assert listed(Prefix="d/", Delimiter="/") == ([], ["d/e/"])
    assert listed(Prefix="none") == ([], [])


def test_what_listings_say(store, s3, versioned):
    first = put(s3, versioned, "k &", b"1")
    second = put(s3, versioned, "k &", b"22")
    put(s3, versioned, "l")
    page = s3.list_object_versions(Bucket=versioned, MaxKeys=1, Prefix="k", EncodingType="url")
    (entry,) = page["Versions"]
    assert (entry["VersionId"], entry["IsLatest"], entry["Size"]) == (second, True, 2)
    assert entry["StorageClass"] == "STANDARD" and entry["Owner"]["ID"] and entry["ETag"]
    assert (page["Name"], page["Prefix"], page["MaxKeys"]) == (versioned, "k", 1)
    assert page["IsTruncated"] and page["EncodingType"] == "url"
    reply = raw.send(store, "GET", f"/{versioned}", "versions=&encoding-type=url&max-keys=1")
    assert reply.xml.findtext("Version/Key") == reply.xml.findtext("NextKeyMarker") == "k%20%26"
    # From within the versions of a key, and from after it.
    within = s3.list_object_versions(Bucket=versioned, KeyMarker="k &", VersionIdMarker=second)
    assert [v["VersionId"] for v in within["Versions"]][0] == first
    assert not within["Versions"][0]["IsLatest"]
    after = s3.list_object_versions(Bucket=versioned, KeyMarker="k &")
    assert [v["Key"] for v in after["Versions"]] == ["l"]
    empty = s3.list_object_versions(Bucket=versioned, MaxKeys=0)
    assert "Versions" not in empty and not empty["IsTruncated"]
    for query in ("version-id-marker=null", "key-marker=k&version-id-marker=nonsense"):
        reply = raw.send(store, "GET", f"/{versioned}", f"versions=&{query}")
        assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_a_bucket_with_versions_is_not_empty(s3):
    name = f"own-{uuid.uuid4().hex[:20]}"
    s3.create_bucket(Bucket=name)
    set_state(s3, name, "Enabled")
    version = put(s3, name, "k")
    marker = s3.delete_object(Bucket=name, Key="k")["VersionId"]
    assert keys_of(s3.list_objects_v2(Bucket=name)) == []
    for one in (version, marker):
        assert refusal(s3.delete_bucket, Bucket=name) == (409, "BucketNotEmpty")
        s3.delete_object(Bucket=name, Key="k", VersionId=one)
    s3.delete_bucket(Bucket=name)


# ---- permissions ----


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_versions_have_permissions_of_their_own(store, s3, versioned):
    old = put(s3, versioned, "k", b"old")
    new = put(s3, versioned, "k", b"new")
    arn = f"arn:aws:s3:::{versioned}"
    rights = {
        "plain": policy(
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:DeleteObject", "s3:PutObject"],
             "Resource": f"{arn}/*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn},
        ),
        "one": policy(
            {"Effect": "Allow", "Action": ["s3:GetObjectVersion", "s3:DeleteObjectVersion"],
             "Resource": f"{arn}/*", "Condition": {"StringEquals": {"s3:VersionId": old}}},
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{arn}/*"},
        ),
        "lister": policy({"Effect": "Allow", "Action": "s3:ListBucketVersions", "Resource": arn}),
    }
    clients = {}
    for name, document in rights.items():
        file = store.root / f"{name}-{versioned}.json"
        file.write_text(document)
        who = f"{name}-{versioned[-8:]}"
        added = json.loads(store.run("user", "add", who, "--policy", file, "--json", "DIRS").stdout)
        clients[name] = store.client(keys=(added["access_key"], added["secret_key"]))
    denied = (403, "AccessDenied")
    here = dict(Bucket=versioned, Key="k")
    plain, one, lister = clients["plain"], clients["one"], clients["lister"]

    assert plain.get_object(**here)["Body"].read() == b"new"
    for version in (old, new, "null"):
        assert refusal(plain.get_object, **here, VersionId=version) == denied
        assert refusal(plain.delete_object, **here, VersionId=version) == denied
    assert refusal(plain.list_object_versions, Bucket=versioned) == denied
    source = {"Bucket": versioned, "Key": "k", "VersionId": old}
    copy = dict(Bucket=versioned, Key="copy")
    assert refusal(plain.copy_object, **copy, CopySource=source) == denied
    assert refusal(plain.put_bucket_versioning, Bucket=versioned,
                   VersioningConfiguration={"Status": "Suspended"}) == denied
    assert refusal(plain.get_bucket_versioning, Bucket=versioned) == denied

    assert refusal(one.get_object, **here) == denied
    assert one.get_object(**here, VersionId=old)["Body"].read() == b"old"
    assert refusal(one.get_object, **here, VersionId=new) == denied
    assert refusal(one.get_object, **here, VersionId=NO_SUCH) == denied
    one.copy_object(**copy, CopySource=source)
    assert refusal(one.copy_object, **copy, CopySource=source | {"VersionId": new}) == denied
    asked = {"Objects": [{"Key": "k"}, {"Key": "k", "VersionId": new}, {"Key": "k", "VersionId": old}]}
    reply = one.delete_objects(Bucket=versioned, Delete=asked)
    assert [(d["Key"], d["VersionId"]) for d in reply["Deleted"]] == [("k", old)]
    assert [e["Code"] for e in reply["Errors"]] == ["AccessDenied"] * 2

    assert [v["VersionId"] for v in lister.list_object_versions(Bucket=versioned, Prefix="k")["Versions"]] == [new]
    assert refusal(lister.list_objects_v2, Bucket=versioned) == denied
    # A marker says that something was there: only who may list is told.
    s3.delete_object(**here)
    assert refusal(plain.get_object, **here) == (404, "NoSuchKey")
    for who in rights:
        store.run("user", "remove", f"{who}-{versioned[-8:]}", "DIRS")


# ---- other clients, and what lasts ----


def test_aws_cli_knows_versions(store, bucket, folder):
    file = folder / "file"

    def api(*arguments):
        text = programs.aws(store, "s3api", *arguments)
        return json.loads(text) if text.strip() else {}

    api("put-bucket-versioning", "--bucket", bucket, "--versioning-configuration", "Status=Enabled")
    assert api("get-bucket-versioning", "--bucket", bucket) == {"Status": "Enabled"}
    ids = []
    for body in (b"one", b"two"):
        file.write_bytes(body)
        put = api("put-object", "--bucket", bucket, "--key", "k", "--body", str(file))
        ids.append(put["VersionId"])
    programs.aws(store, "s3", "rm", f"s3://{bucket}/k")
    listed = api("list-object-versions", "--bucket", bucket)
    assert [v["VersionId"] for v in listed["Versions"]] == ids[::-1]
    (marker,) = listed["DeleteMarkers"]
    assert marker["IsLatest"]
    api("delete-object", "--bucket", bucket, "--key", "k", "--version-id", marker["VersionId"])
    programs.aws(store, "s3", "cp", f"s3://{bucket}/k", folder / "back")
    assert (folder / "back").read_bytes() == b"two"
    api("get-object", "--bucket", bucket, "--key", "k", "--version-id", ids[0], str(folder / "old"))
    assert (folder / "old").read_bytes() == b"one"


def test_versions_outlive_a_kill_and_the_index(make_store):
    store = make_store(drives=3)
    s3 = store.client()
    s3.create_bucket(Bucket="bkt")
    s3.put_object(Bucket="bkt", Key="k", Body=b"before" * 100_000)
    set_state(s3, "bkt", "Enabled")
    ids = [put(s3, "bkt", "k", bytes([65 + i]) * 300_000) for i in range(3)]
    s3.delete_object(Bucket="bkt", Key="k")
    before = all_versions(s3, "bkt")
    store.kill()
    store.start()
    s3 = store.client()
    assert all_versions(s3, "bkt") == before
    for i, version in enumerate(ids):
        assert body_of(s3, "bkt", "k", VersionId=version) == bytes([65 + i]) * 300_000
    assert body_of(s3, "bkt", "k", VersionId="null") == b"before" * 100_000
    s3.delete_object(Bucket="bkt", Key="k", VersionId=ids[1])
    store.stop()
    store.fsck()
