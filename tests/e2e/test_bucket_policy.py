"""Bucket policies, public access blocks, anonymous requests, and accounts among each other.

The cases of docs/identity.md, through boto3, curl and bare HTTP.
"""

import base64
import hashlib
import http.client
import json
import shutil
import subprocess
import urllib.parse
import uuid

import boto3
import pytest
from botocore.config import Config

from replies import fill, keys_of, refusal
from running import REGION

DENIED = (403, "AccessDenied")


def client_of(store, keys):
    return boto3.session.Session().client(
        "s3",
        endpoint_url=store.endpoint,
        region_name=REGION,
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


@pytest.fixture
def make_user(store, folder):
    """Adds users of root's account: make_user([statements]) gives a client; they end with the test."""
    names = []

    def make(statements=()):
        file = folder / f"policy{len(names)}.json"
        nothing = [{"Effect": "Deny", "Action": "s3:GetBucketAcl", "Resource": "arn:aws:s3:::-"}]
        document = {"Version": "2012-10-17", "Statement": list(statements) or nothing}
        file.write_text(json.dumps(document))
        name = f"user-{uuid.uuid4().hex[:12]}"
        added = store.run("user", "add", name, "--policy", file, "--json", "DIRS")
        names.append(name)
        client = client_of(store, json.loads(added.stdout))
        client.user_name = name
        return client

    yield make
    for name in names:
        store.run("user", "remove", name, "DIRS")


@pytest.fixture
def other_account(store):
    """The root of another account, with `.account`, its number."""
    name = f"tenant-{uuid.uuid4().hex[:12]}"
    added = json.loads(store.run("account", "add", name, "--json", "DIRS").stdout)
    client = client_of(store, added)
    client.account = added["id"]
    return client


@pytest.fixture
def account(store):
    """The number of root's account."""
    accounts = json.loads(store.run("account", "list", "--json", "DIRS").stdout)
    return min(accounts, key=lambda account: account["created_ms"])["id"]


def put_policy(s3, bucket, *statements, **arguments):
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document), **arguments)


def allow(bucket, actions, principal="*", what="/*", **more):
    return {
        "Effect": "Allow",
        "Principal": principal,
        "Action": actions,
        "Resource": f"arn:aws:s3:::{bucket}{what}",
        **more,
    }


def deny(bucket, actions, principal="*", what="/*", **more):
    return {**allow(bucket, actions, principal, what, **more), "Effect": "Deny"}


def anonymous(store, method, path, query="", headers=None, body=None):
    """Status, code and body of a request without a signature."""
    host = store.endpoint.split("://", 1)[1]
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        target = urllib.parse.quote(path) + (f"?{query}" if query else "")
        connection.request(method, target, body=body, headers=headers or {})
        reply = connection.getresponse()
        text = reply.read()
        code = text.split(b"<Code>", 1)[1].split(b"<", 1)[0].decode() if b"<Code>" in text else ""
        return reply.status, code, text
    finally:
        connection.close()


# ---- the policy itself


def test_a_policy_is_kept_as_it_was_given(s3, bucket):
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == (404, "NoSuchBucketPolicy")
    assert refusal(s3.get_bucket_policy_status, Bucket=bucket) == (404, "NoSuchBucketPolicy")
    text = json.dumps(
        {"Version": "2012-10-17", "Statement": [allow(bucket, "s3:GetObject")]}, indent=3
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == (404, "NoSuchBucketPolicy")


def test_what_can_not_be_evaluated_is_refused(s3, bucket):
    malformed = (400, "MalformedPolicy")
    good = allow(bucket, "s3:GetObject")
    for wrong in [
        {**good, "Resource": "arn:aws:s3:::somebody-elses/*"},
        {**good, "Action": "s3:ListBucket"},
        {**good, "Action": "s3:FlyObject"},
        {**good, "Action": "iam:CreateUser"},
        {**good, "Principal": {"AWS": "nobody"}},
        {**good, "Effect": "Permit"},
        {**good, "Colour": "red"},
        {**good, "Condition": {"StringSame": {"aws:Referer": "x"}}},
        {**good, "Condition": {"StringEquals": {"s3:colour": "x"}}},
        {**good, "Condition": {"IpAddress": {"aws:SourceIp": "here"}}},
        {k: v for k, v in good.items() if k != "Principal"},
    ]:
        document = json.dumps({"Version": "2012-10-17", "Statement": [wrong]})
        assert refusal(s3.put_bucket_policy, Bucket=bucket, Policy=document) == malformed, wrong
    for text in ["{", "[]", "x" * 30_000]:
        status, _ = refusal(s3.put_bucket_policy, Bucket=bucket, Policy=text)
        assert status == 400, text[:10]
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == (404, "NoSuchBucketPolicy")


# ---- who is not known


def test_anonymous_requests_work_where_a_policy_allows_and_only_there(store, s3, bucket):
    fill(s3, bucket, "public/a", "private/a")
    path = f"/{bucket}/public/a"
    assert anonymous(store, "GET", path)[:2] == DENIED
    put_policy(
        s3,
        bucket,
        allow(bucket, "s3:GetObject", what="/public/*"),
        allow(bucket, ["s3:PutObject", "s3:DeleteObject"], what="/inbox/*"),
    )
    assert anonymous(store, "GET", path) == (200, "", b"public/a")
    assert anonymous(store, "HEAD", path)[0] == 200
    assert anonymous(store, "GET", f"/{bucket}/private/a")[:2] == DENIED
    # Whether a key is there is told to who may list.
    assert anonymous(store, "GET", f"/{bucket}/public/none")[:2] == DENIED
    assert anonymous(store, "GET", f"/{bucket}")[:2] == DENIED
    assert anonymous(store, "PUT", path, body=b"x")[:2] == DENIED
    assert anonymous(store, "DELETE", path)[:2] == DENIED
    assert anonymous(store, "GET", f"/{bucket}", "policy")[:2] == DENIED
    assert anonymous(store, "DELETE", f"/{bucket}", "policy")[:2] == DENIED
    assert anonymous(store, "DELETE", f"/{bucket}")[:2] == DENIED
    assert anonymous(store, "GET", "/")[:2] == DENIED
    assert anonymous(store, "PUT", f"/{bucket}-2")[:2] == DENIED
    assert anonymous(store, "GET", "/no-such-bucket-anywhere/k")[:2] == DENIED
    status, code, _ = anonymous(store, "GET", path, "response-content-type=text/html")
    assert (status, code) == (400, "InvalidRequest")

    assert anonymous(store, "PUT", f"/{bucket}/inbox/letter", body=b"hello")[0] == 200
    assert s3.get_object(Bucket=bucket, Key="inbox/letter")["Body"].read() == b"hello"
    # From the inbox nothing can be read, so nothing can be copied out of it, nor into it from where
    # reading is not allowed.
    copy = {"x-amz-copy-source": f"/{bucket}/private/a"}
    assert anonymous(store, "PUT", f"/{bucket}/inbox/copy", headers=copy)[:2] == DENIED
    copy = {"x-amz-copy-source": f"/{bucket}/public/a"}
    assert anonymous(store, "PUT", f"/{bucket}/inbox/copy", headers=copy)[0] == 200
    delete = b"<Delete><Object><Key>inbox/copy</Key></Object><Object><Key>public/a</Key></Object></Delete>"
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(delete).digest()).decode()}
    status, _, text = anonymous(store, "POST", f"/{bucket}", "delete", headers, delete)
    assert status == 200 and text.count(b"<Deleted>") == 1 and text.count(b"AccessDenied") == 1
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == ["inbox/letter", "private/a", "public/a"]

    # Taken back, it ends at once.
    s3.delete_bucket_policy(Bucket=bucket)
    assert anonymous(store, "GET", path)[:2] == DENIED
    # A wrong signature is not nobody: it is refused whatever the policy says.
    put_policy(s3, bucket, allow(bucket, "s3:GetObject"))
    wrong = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, "
             "SignedHeaders=host, Signature=00", "x-amz-date": "20260101T000000Z"}
    assert anonymous(store, "GET", path, headers=wrong)[0] in (400, 403)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_needs_no_keys_for_what_is_public(store, s3, bucket):
    fill(s3, bucket, "a b+c")
    put_policy(s3, bucket, allow(bucket, "s3:GetObject"), allow(bucket, "s3:ListBucket", what=""))
    url = f"{store.endpoint}/{bucket}"
    run = lambda *more: subprocess.run(  # noqa: E731
        ["curl", "--silent", "--fail", *more], capture_output=True, timeout=60
    )
    assert run(f"{url}/a%20b%2Bc").stdout == b"a b+c"
    assert b"<Key>a b+c</Key>" in run(url).stdout
    assert run("-T", "/etc/hostname", f"{url}/mine").returncode == 22, "it answers 403"


# ---- conditions


def test_conditions_on_prefix_delimiter_and_page(store, s3, bucket, make_user):
    fill(s3, bucket, "home/ada/1", "home/bob/1")
    user = make_user()
    me = {"AWS": arn_of(store, user.user_name)}
    like = {"StringLike": {"s3:prefix": "home/ada/*"}, "NumericLessThanEquals": {"s3:max-keys": "5"}}
    put_policy(s3, bucket, allow(bucket, "s3:ListBucket", me, "", Condition=like))
    listed = user.list_objects_v2(Bucket=bucket, Prefix="home/ada/", MaxKeys=5)
    assert keys_of(listed) == ["home/ada/1"]
    assert keys_of(user.list_objects(Bucket=bucket, Prefix="home/ada/", MaxKeys=5)) == ["home/ada/1"]
    for arguments in [
        {"Prefix": "home/bob/", "MaxKeys": 5},
        {"Prefix": "home/ada/", "MaxKeys": 6},
        {"Prefix": "home/ada/"},
        {"MaxKeys": 5},
        {},
    ]:
        assert refusal(user.list_objects_v2, Bucket=bucket, **arguments) == DENIED, arguments


def test_conditions_on_address_transport_and_headers(store, s3, bucket):
    fill(s3, bucket, "k")
    path = f"/{bucket}/k"
    for condition, expected in [
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, 200),
        ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, 403),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.1"}}, 403),
        ({"Bool": {"aws:SecureTransport": "false"}}, 200),
        ({"Bool": {"aws:SecureTransport": "true"}}, 403),
        ({"StringLike": {"aws:Referer": "https://example.com/*"}}, 200),
        ({"StringLike": {"aws:Referer": "https://example.org/*"}}, 403),
        ({"StringEquals": {"aws:UserAgent": "tests"}}, 200),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, 200),
        ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, 403),
        ({"NumericGreaterThan": {"aws:EpochTime": "1577836800"}}, 200),
        ({"Null": {"s3:authType": "true"}}, 200),
        ({"StringEquals": {"aws:PrincipalType": "Anonymous"}}, 200),
        ({"StringEquals": {"aws:RequestedRegion": REGION}}, 200),
    ]:
        put_policy(s3, bucket, allow(bucket, "s3:GetObject", Condition=condition))
        headers = {"Referer": "https://example.com/page", "User-Agent": "tests"}
        status, _, _ = anonymous(store, "GET", path, headers=headers)
        assert status == expected, condition


def test_conditions_on_how_a_request_is_signed(store, s3, bucket):
    fill(s3, bucket, "k")
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    target = url.removeprefix(store.endpoint)
    path, query = target.split("?", 1)
    put_policy(
        s3, bucket,
        deny(bucket, "s3:GetObject", Condition={"StringEquals": {"s3:authType": "REST-HEADER"}}),
    )
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == DENIED
    assert anonymous(store, "GET", path, query)[0] == 200
    old = {"NumericGreaterThan": {"s3:signatureAge": "600000"}}
    put_policy(s3, bucket, deny(bucket, "s3:GetObject", Condition=old))
    assert anonymous(store, "GET", path, query)[0] == 200
    young = {"NumericLessThan": {"s3:signatureAge": "600000"}}
    put_policy(s3, bucket, deny(bucket, "s3:GetObject", Condition=young))
    assert anonymous(store, "GET", path, query)[:2] == DENIED
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k", "no age in the header"
    # A presigned URL signs no payload, whatever a header that it does not sign says.
    unsigned = {"StringEquals": {"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"}}
    put_policy(s3, bucket, deny(bucket, "s3:GetObject", Condition=unsigned))
    assert anonymous(store, "GET", path, query)[:2] == DENIED
    signed = {"x-amz-content-sha256": hashlib.sha256(b"").hexdigest()}
    assert anonymous(store, "GET", path, query, headers=signed)[:2] == DENIED
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k", "boto3 signs the payload"


def test_conditions_of_writes(s3, bucket, make_user, store):
    fill(s3, bucket, "source/a", "other/a")
    put_policy(
        s3, bucket,
        deny(bucket, "s3:PutObject", what="/once/*", Condition={"Null": {"s3:if-none-match": "true"}}),
        deny(bucket, "s3:PutObject", what="/copies/*",
             Condition={"StringNotLike": {"s3:x-amz-copy-source": f"{bucket}/source/*"}}),
    )
    once = {"Bucket": bucket, "Key": "once/a", "Body": b"1"}
    assert refusal(s3.put_object, **once) == DENIED
    s3.put_object(**once, IfNoneMatch="*")
    copy = {"Bucket": bucket, "Key": "copies/a"}
    s3.copy_object(**copy, CopySource={"Bucket": bucket, "Key": "source/a"})
    assert refusal(s3.copy_object, **copy, CopySource={"Bucket": bucket, "Key": "other/a"}) == DENIED
    assert refusal(s3.put_object, **copy, Body=b"") == DENIED


def test_a_condition_on_where_a_bucket_is_to_be(make_user, bucket):
    here = {"StringEquals": {"s3:LocationConstraint": REGION}}
    user = make_user(
        [{"Effect": "Allow", "Action": "s3:CreateBucket", "Resource": "*", "Condition": here}]
    )
    name = f"{bucket}-new"
    assert refusal(user.create_bucket, Bucket=name) == DENIED, "it says no place"
    told = {"Bucket": name, "CreateBucketConfiguration": {"LocationConstraint": REGION}}
    elsewhere = {"Bucket": name, "CreateBucketConfiguration": {"LocationConstraint": "eu-west-3"}}
    assert refusal(user.create_bucket, **elsewhere) == DENIED
    user.create_bucket(**told)


# ---- users of the own account


def arn_of(store, name):
    accounts = json.loads(store.run("account", "list", "--json", "DIRS").stdout)
    own = min(accounts, key=lambda account: account["created_ms"])["id"]
    return f"arn:aws:iam::{own}:user/{name}"


def test_a_policy_may_give_a_user_what_its_own_policies_do_not(store, s3, bucket, make_user):
    fill(s3, bucket, "k")
    user, another = make_user(), make_user()
    me = {"AWS": arn_of(store, user.user_name)}
    assert refusal(user.get_object, Bucket=bucket, Key="k") == DENIED
    put_policy(s3, bucket, allow(bucket, "s3:GetObject", me))
    assert user.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k"
    assert refusal(user.put_object, Bucket=bucket, Key="k", Body=b"") == DENIED
    assert refusal(another.get_object, Bucket=bucket, Key="k") == DENIED


def test_the_own_account_as_principal_leaves_it_to_the_users_policies(
    s3, bucket, make_user, account
):
    fill(s3, bucket, "k")
    user = make_user()
    put_policy(s3, bucket, allow(bucket, "s3:GetObject", {"AWS": account}))
    assert refusal(user.get_object, Bucket=bucket, Key="k") == DENIED
    reader = make_user(
        [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}]
    )
    assert reader.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k"


def test_a_deny_beats_every_allow(store, s3, bucket, make_user):
    fill(s3, bucket, "open", "secret/k")
    everything = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
    user = make_user(everything)
    me = {"AWS": arn_of(store, user.user_name)}
    put_policy(
        s3, bucket,
        deny(bucket, "s3:GetObject", me, "/secret/*"),
        allow(bucket, "s3:GetObject", "*"),
    )
    assert user.get_object(Bucket=bucket, Key="open")["Body"].read() == b"open"
    assert refusal(user.get_object, Bucket=bucket, Key="secret/k") == DENIED
    assert s3.get_object(Bucket=bucket, Key="secret/k")["Body"].read() == b"secret/k"


def test_root_takes_back_a_policy_that_denies_everything(s3, bucket, make_user):
    fill(s3, bucket, "k")
    user = make_user([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])
    put_policy(s3, bucket, deny(bucket, "s3:*"), deny(bucket, "s3:*", what=""))
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == DENIED
    assert refusal(s3.delete_bucket, Bucket=bucket) == DENIED
    assert refusal(user.delete_bucket_policy, Bucket=bucket) == DENIED
    assert "Deny" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k"


def test_a_user_does_not_lock_itself_out_unawares(store, s3, bucket, make_user):
    user = make_user([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])
    me = {"AWS": arn_of(store, user.user_name)}
    statement = deny(bucket, "s3:PutBucketPolicy", me, "")
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert refusal(user.put_bucket_policy, Bucket=bucket, Policy=document) == DENIED
    user.put_bucket_policy(Bucket=bucket, Policy=document, ConfirmRemoveSelfBucketAccess=True)
    assert refusal(user.put_bucket_policy, Bucket=bucket, Policy=document) == DENIED


# ---- other accounts


def test_another_account_needs_the_bucket_policy_and_its_own(store, s3, bucket, other_account):
    fill(s3, bucket, "k")
    one = {"Bucket": bucket, "Key": "k"}
    for call in [
        lambda: refusal(other_account.get_object, **one),
        lambda: refusal(other_account.put_object, **one, Body=b""),
        lambda: refusal(other_account.delete_object, **one),
        lambda: refusal(other_account.list_objects_v2, Bucket=bucket),
        lambda: refusal(other_account.get_bucket_policy, Bucket=bucket),
        lambda: refusal(other_account.delete_bucket, Bucket=bucket),
    ]:
        assert call() == DENIED
    assert bucket not in [b["Name"] for b in other_account.list_buckets()["Buckets"]]
    assert refusal(other_account.create_bucket, Bucket=bucket) == (409, "BucketAlreadyExists")
    put_policy(
        s3, bucket,
        allow(bucket, "s3:GetObject", {"AWS": other_account.account}),
        allow(bucket, ["s3:ListBucket", "s3:*BucketPolicy"], {"AWS": other_account.account}, ""),
    )
    assert other_account.get_object(**one)["Body"].read() == b"k"
    assert refusal(other_account.put_object, **one, Body=b"") == DENIED
    listed = other_account.list_objects_v2(Bucket=bucket, FetchOwner=True)
    owner = s3.list_buckets()["Owner"]["ID"]
    assert [entry["Owner"]["ID"] for entry in listed["Contents"]] == [owner]
    # The policy itself belongs to the owner's account, whatever it says.
    assert refusal(other_account.get_bucket_policy, Bucket=bucket) == (405, "MethodNotAllowed")
    assert refusal(other_account.delete_bucket_policy, Bucket=bucket) == (405, "MethodNotAllowed")


def test_a_bucket_belongs_to_the_account_that_made_it(store, s3, other_account, account):
    name = f"theirs-{uuid.uuid4().hex[:12]}"
    other_account.create_bucket(Bucket=name)
    try:
        other_account.put_object(Bucket=name, Key="k", Body=b"k")
        # Root of one account is nobody in another.
        assert refusal(s3.get_object, Bucket=name, Key="k") == DENIED
        assert refusal(s3.delete_bucket, Bucket=name) == DENIED
        assert name not in [b["Name"] for b in s3.list_buckets()["Buckets"]]
        other_account.head_bucket(Bucket=name, ExpectedBucketOwner=other_account.account)
        with pytest.raises(other_account.exceptions.ClientError):
            other_account.head_bucket(Bucket=name, ExpectedBucketOwner=account)
        put_policy(other_account, name, allow(name, "s3:PutObject", {"AWS": account}))
        s3.put_object(Bucket=name, Key="given", Body=b"given")
        assert other_account.get_object(Bucket=name, Key="given")["Body"].read() == b"given"
    finally:
        other_account.delete_bucket_policy(Bucket=name)
        for key in keys_of(other_account.list_objects_v2(Bucket=name)):
            other_account.delete_object(Bucket=name, Key=key)
        other_account.delete_bucket(Bucket=name)


# ---- public access blocks


def test_a_public_access_block_is_kept(s3, bucket):
    missing = (404, "NoSuchPublicAccessBlockConfiguration")
    assert refusal(s3.get_public_access_block, Bucket=bucket) == missing
    block = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": False,
    }
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    found = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert found == block
    s3.delete_public_access_block(Bucket=bucket)
    s3.delete_public_access_block(Bucket=bucket)
    assert refusal(s3.get_public_access_block, Bucket=bucket) == missing


def test_block_public_policy_refuses_public_policies_only(store, s3, bucket, account):
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True}
    )
    document = {"Version": "2012-10-17", "Statement": [allow(bucket, "s3:GetObject")]}
    refused = refusal(s3.put_bucket_policy, Bucket=bucket, Policy=json.dumps(document))
    assert refused == DENIED
    near = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    put_policy(s3, bucket, allow(bucket, "s3:GetObject", Condition=near))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False
    put_policy(s3, bucket, allow(bucket, "s3:GetObject", {"AWS": account}))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False


def test_restrict_public_buckets_keeps_to_the_owners_account(
    store, s3, bucket, make_user, other_account
):
    fill(s3, bucket, "k")
    user = make_user()
    put_policy(
        s3, bucket,
        allow(bucket, "s3:GetObject"),
        allow(bucket, "s3:GetObject", {"AWS": other_account.account}),
    )
    path = f"/{bucket}/k"
    assert anonymous(store, "GET", path)[0] == 200
    assert other_account.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k"
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True}
    )
    assert anonymous(store, "GET", path)[:2] == DENIED
    assert refusal(other_account.get_object, Bucket=bucket, Key="k") == DENIED
    assert user.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k"
    s3.delete_public_access_block(Bucket=bucket)
    assert anonymous(store, "GET", path)[0] == 200


# ---- coffer iam explain


def test_explain_names_the_statement_that_decides(store, s3, bucket, make_user):
    user = make_user([{"Sid": "All", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}])
    who = arn_of(store, user.user_name)
    statement = deny(bucket, "s3:GetObject", {"AWS": who}, "/secret/*", Sid="NoSecrets",
                     Condition={"Bool": {"aws:SecureTransport": "false"}})
    put_policy(s3, bucket, statement)

    def explain(principal, action, resource, *more):
        done = store.run("iam", "explain", "--principal", principal, "--action", action,
                         "--resource", resource, *more, "--json", "DIRS")
        return json.loads(done.stdout)

    told = explain(who, "s3:GetObject", f"{bucket}/open")
    assert told["decision"] == "allowed" and told["statement"]["sid"] == "All"
    plain = ["--context", "aws:SecureTransport=false"]
    told = explain(who, "s3:GetObject", f"arn:aws:s3:::{bucket}/secret/k", *plain)
    assert told["decision"] == "explicitDeny" and told["statement"]["sid"] == "NoSecrets"
    assert told["statement"]["layer"] == "resource-based policy"
    told = explain("anonymous", "s3:GetObject", f"{bucket}/open")
    assert told["decision"] == "implicitDeny"
    text = store.run("iam", "explain", "--principal", who, "--action", "s3:GetObject",
                     "--resource", f"{bucket}/secret/k", *plain, "DIRS").stdout
    assert "denied" in text.lower() and "NoSecrets" in text
    wrong = store.run("iam", "explain", "--principal", who, "--action", "s3:Nothing",
                      "--resource", bucket, "DIRS", check=False)
    assert wrong.returncode != 0 and "s3:Nothing" in wrong.stderr
