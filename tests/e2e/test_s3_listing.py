"""Listings of objects, in both generations."""

import hashlib

import pytest

import raw
from replies import fill, keys_of, prefixes_of

TREE = ["a", "b/1", "b/2", "b/c/3", "d e/f+g", "h", "z", "\xfc/1"]


def all_pages(s3, bucket, **arguments):
    """Keys and prefixes of all pages of both listings, which must agree."""
    found, token = [], {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, **arguments, **token)
        entries = keys_of(page) + prefixes_of(page)
        assert page["KeyCount"] == len(entries) <= arguments.get("MaxKeys", 1000)
        found += sorted(entries, key=str.encode)
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    first, marker = [], {}
    while True:
        page = s3.list_objects(Bucket=bucket, **arguments, **marker)
        entries = sorted(keys_of(page) + prefixes_of(page), key=str.encode)
        first += entries
        if not page["IsTruncated"]:
            break
        assert ("NextMarker" in page) == ("Delimiter" in arguments)
        marker = {"Marker": page.get("NextMarker", entries[-1])}
    assert first == found
    return found


@pytest.mark.parametrize("max_keys", [1, 2, 3, 1000])
def test_listings(s3, bucket, max_keys):
    fill(s3, bucket, *TREE)

    def listed(**arguments):
        return all_pages(s3, bucket, MaxKeys=max_keys, **arguments)

    assert listed() == TREE
    assert listed(Prefix="b/") == ["b/1", "b/2", "b/c/3"]
    assert listed(Delimiter="/") == ["a", "b/", "d e/", "h", "z", "\xfc/"]
    assert listed(Prefix="b/", Delimiter="/") == ["b/1", "b/2", "b/c/"]
    assert listed(Prefix="b", Delimiter="/") == ["b/"]
    assert listed(Delimiter="+") == ["a", "b/1", "b/2", "b/c/3", "d e/f+", "h", "z", "\xfc/1"]
    assert listed(Prefix="none") == []


def test_what_listings_say(s3, bucket):
    fill(s3, bucket, *TREE)
    page = s3.list_objects_v2(Bucket=bucket, StartAfter="b/2", MaxKeys=2, FetchOwner=True)
    assert keys_of(page) == ["b/c/3", "d e/f+g"] and page["StartAfter"] == "b/2"
    entry = page["Contents"][0]
    assert entry["ETag"] == f'"{hashlib.md5(b"b/c/3").hexdigest()}"' and entry["Size"] == 5
    assert entry["StorageClass"] == "STANDARD" and entry["Owner"]["ID"]
    assert page["Name"] == bucket and page["MaxKeys"] == 2 and page["IsTruncated"]
    token = page["NextContinuationToken"]
    page = s3.list_objects_v2(Bucket=bucket, ContinuationToken=token, StartAfter="zzz")
    assert keys_of(page) == ["h", "z", "\xfc/1"] and page["ContinuationToken"] == token
    assert "Owner" not in page["Contents"][0]
    assert "Owner" in s3.list_objects(Bucket=bucket)["Contents"][0]
    page = s3.list_objects_v2(Bucket=bucket, MaxKeys=0)
    assert page["KeyCount"] == 0 and not page["IsTruncated"]
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=5000)["MaxKeys"] == 1000


def test_names_in_listings_can_be_encoded(store, s3, bucket):
    fill(s3, bucket, "d e/f+g\x01")
    query = "delimiter=%2B&encoding-type=url&list-type=2&prefix=d%20e&start-after=%20"
    reply = raw.send(store, "GET", f"/{bucket}", query)
    assert reply.xml.findtext("EncodingType") == "url"
    assert reply.xml.findtext("Prefix") == "d%20e" and reply.xml.findtext("Delimiter") == "%2B"
    assert reply.xml.findtext("StartAfter") == "%20"
    assert reply.xml.findtext("CommonPrefixes/Prefix") == "d%20e/f%2B"
    reply = raw.send(store, "GET", f"/{bucket}", "encoding-type=url&marker=%20")
    assert reply.xml.findtext("Contents/Key") == "d%20e/f%2Bg%01"
    assert reply.xml.findtext("Marker") == "%20"


@pytest.mark.parametrize(
    "query",
    [
        "max-keys=-1",
        "max-keys=x",
        "max-keys=99999999999",
        "encoding-type=base64",
        "list-type=3",
        "list-type=2&continuation-token=",
        "list-type=2&continuation-token=garbage",
        "list-type=2&fetch-owner=perhaps",
    ],
)
def test_listings_that_make_no_sense(store, bucket, query):
    reply = raw.send(store, "GET", f"/{bucket}", query)
    assert (reply.status, reply.code) == (400, "InvalidArgument")
