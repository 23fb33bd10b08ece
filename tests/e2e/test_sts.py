"""STS by AWS's own tools, and what temporary credentials may do in S3."""

import base64
import json
import urllib.request

import pytest
from botocore.exceptions import ClientError

from iam_clients import (
    ROOT, account_of, allow, aws, client, make_role, make_user, policy, refusal, unique,
)
from issuer import Issuer


# What the issuer's own libraries warn of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")


@pytest.fixture(scope="module")
def iam(store):
    return client(store, "iam")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    running = Issuer(tmp_path_factory.mktemp("issuer"))
    yield running
    running.close()


def denied(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert refusal(caught) == (403, "AccessDenied")


@pytest.mark.parametrize("which", ["debian", "pypi"])
def test_aws_cli_takes_on_a_role(store, iam, bucket, folder, which):
    key = make_user(iam, allow("sts:AssumeRole"))
    account = account_of(store)
    role = make_role(
        iam, {"AWS": f"arn:aws:iam::{account}:user/{key['UserName']}"},
        allow(["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::{bucket}/*"),
    )
    assumed = aws(
        store, which, "sts", "assume-role", "--role-arn", role, "--role-session-name", "cli",
        "--duration-seconds", "900", key=key,
    )
    session = assumed["Credentials"]
    assert session["AccessKeyId"].startswith("ASIA")
    me = aws(store, which, "sts", "get-caller-identity", key=session)
    assert me["Arn"] == assumed["AssumedRoleUser"]["Arn"]
    assert me["Arn"].endswith("/cli") and me["Account"] == account
    body = folder / "body"
    body.write_bytes(b"by a session")
    aws(
        store, which, "s3api", "put-object", "--bucket", bucket, "--key", "k",
        "--body", str(body), key=session,
    )
    denied(client(store, "s3", key).get_object, Bucket=bucket, Key="k")
    s3 = client(store, "s3", session)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"by a session"
    denied(s3.delete_object, Bucket=bucket, Key="k")
    url = client(store, "s3", session, signature_version="s3v4").generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=60
    )
    assert "X-Amz-Security-Token" in url
    fetched = store_get(url)
    assert fetched == b"by a session"
    # When the role's policy goes, so does the session's reach.
    iam.delete_role_policy(RoleName=role.rsplit("/", 1)[1], PolicyName="inline")
    denied(s3.get_object, Bucket=bucket, Key="k")
    client(store, "s3").delete_object(Bucket=bucket, Key="k")


def store_get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as reply:
        return reply.read()


def test_session_policies_limit_a_session(store, iam, bucket):
    account = account_of(store)
    key = make_user(iam, allow("sts:*"))
    role = make_role(iam, {"AWS": f"arn:aws:iam::{account}:root"}, allow("s3:*"))
    sts = client(store, "sts", key)

    def session(**limits):
        assumed = sts.assume_role(RoleArn=role, RoleSessionName="limited", **limits)
        return client(store, "s3", assumed["Credentials"])

    full = session()
    full.put_object(Bucket=bucket, Key="a/k", Body=b"a")
    full.put_object(Bucket=bucket, Key="b/k", Body=b"b")
    limited = session(Policy=policy(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*")))
    assert limited.get_object(Bucket=bucket, Key="a/k")["Body"].read() == b"a"
    denied(limited.get_object, Bucket=bucket, Key="b/k")
    denied(limited.put_object, Bucket=bucket, Key="a/k", Body=b"")
    reader = session(PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}])
    assert reader.get_object(Bucket=bucket, Key="b/k")["Body"].read() == b"b"
    denied(reader.put_object, Bucket=bucket, Key="a/k", Body=b"")
    for k in ("a/k", "b/k"):
        full.delete_object(Bucket=bucket, Key=k)


def test_tokens_are_of_their_key_and_whole(store, iam, bucket):
    account = account_of(store)
    key = make_user(iam, allow("sts:*"))
    role = make_role(iam, {"AWS": f"arn:aws:iam::{account}:root"}, allow("s3:*"))
    sts = client(store, "sts", key)
    session = sts.assume_role(RoleArn=role, RoleSessionName="one")["Credentials"]
    other = sts.assume_role(RoleArn=role, RoleSessionName="two")["Credentials"]
    token = base64.b64decode(session["SessionToken"])
    bent = base64.b64encode(token[:-1] + bytes([token[-1] ^ 1])).decode()
    for forged in (other["SessionToken"], bent, "nonsense", "a" * 30_000):
        with pytest.raises(ClientError) as caught:
            client(store, "s3", {**session, "SessionToken": forged}).list_objects_v2(Bucket=bucket)
        assert refusal(caught)[0] in (400, 403, 431), caught.value
    without = {k: v for k, v in session.items() if k != "SessionToken"}
    with pytest.raises(ClientError) as caught:
        client(store, "s3", without).list_objects_v2(Bucket=bucket)
    assert refusal(caught) == (403, "InvalidAccessKeyId")


def test_another_account_takes_on_a_role_when_both_sides_allow_it(store, iam, bucket):
    made = json.loads(store.run("account", "add", unique("tenant"), "DIRS", "--json").stdout)
    tenant = {"AccessKeyId": made["access_key"], "SecretAccessKey": made["secret_key"]}
    theirs = account_of(store, tenant)
    ours = account_of(store)
    assert theirs == made["id"] and theirs != ours
    their_iam = client(store, "iam", tenant)
    role = make_role(
        iam, {"AWS": f"arn:aws:iam::{theirs}:root"}, allow("s3:*"),
        condition={"StringEquals": {"sts:ExternalId": "a-secret-word"}},
    )
    guest = make_user(their_iam, allow("sts:AssumeRole", role))
    stranger = make_user(their_iam)
    arguments = {"RoleArn": role, "RoleSessionName": "guest", "ExternalId": "a-secret-word"}
    denied(client(store, "sts", stranger).assume_role, **arguments)
    sts = client(store, "sts", guest)
    denied(sts.assume_role, **{**arguments, "ExternalId": "another-word"})
    session = sts.assume_role(**arguments)["Credentials"]
    assert account_of(store, session) == ours
    client(store, "s3", session).put_object(Bucket=bucket, Key="guest", Body=b"")
    denied(client(store, "s3", guest).get_object, Bucket=bucket, Key="guest")
    client(store, "s3", session).delete_object(Bucket=bucket, Key="guest")
    denied(
        client(store, "sts", guest).assume_role,
        RoleArn=make_role(iam, {"AWS": f"arn:aws:iam::{ours}:root"}, allow("s3:*")),
        RoleSessionName="guest",
    )


def test_a_token_of_a_real_issuer_gets_a_role(store, iam, bucket, issuer):
    audience = unique("client")
    provider = iam.create_open_id_connect_provider(
        Url=issuer.url, ClientIDList=[audience], ThumbprintList=[issuer.thumbprint]
    )["OpenIDConnectProviderArn"]
    role = make_role(
        iam, {"Federated": provider}, allow("s3:*", "*"),
        condition={"StringEquals": {
            f"{issuer.name}:aud": audience, f"{issuer.name}:sub": "ada@example.org",
        }},
    )
    # Nobody signs it.
    sts = client(store, "sts", {"AccessKeyId": "none", "SecretAccessKey": "none"})

    def assume(token, **more):
        return sts.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="web", WebIdentityToken=token, **more
        )

    token = issuer.token("ada@example.org", audience)
    assumed = assume(token, DurationSeconds=900)
    assert assumed["SubjectFromWebIdentityToken"] == "ada@example.org"
    assert assumed["Audience"] == audience and assumed["Provider"] == issuer.url
    session = assumed["Credentials"]
    client(store, "s3", session).put_object(Bucket=bucket, Key="web", Body=b"w")
    client(store, "s3", session).delete_object(Bucket=bucket, Key="web")
    cli = aws(
        store, "pypi", "sts", "assume-role-with-web-identity", "--role-arn", role,
        "--role-session-name", "cli", "--web-identity-token", token,
    )
    assert cli["AssumedRoleUser"]["Arn"].endswith("/cli")

    denied(assume, token=issuer.token("eve@example.org", audience))
    head, claims, signature = token.split(".")
    padded = claims + "=" * (-len(claims) % 4)
    forged = json.loads(base64.urlsafe_b64decode(padded)) | {"sub": "eve@example.org"}
    forged = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for wrong in (
        issuer.token("ada@example.org", unique("other")),
        f"{head}.{forged}.{signature}",
        f"{none}.{claims}.",
        "nonsense",
    ):
        with pytest.raises(ClientError) as caught:
            assume(wrong)
        assert refusal(caught) == (400, "InvalidIdentityToken")

    # An issuer whose certificate nobody vouches for is not asked.
    iam.update_open_id_connect_provider_thumbprint(
        OpenIDConnectProviderArn=provider, ThumbprintList=["0" * 40]
    )
    with pytest.raises(ClientError) as caught:
        assume(issuer.token("ada@example.org", audience))
    assert refusal(caught) == (400, "IDPCommunicationError")
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider)
    with pytest.raises(ClientError) as caught:
        assume(token)
    assert refusal(caught) == (400, "InvalidIdentityToken")


def test_a_session_of_a_user_is_the_user_and_not_more(store, iam, bucket):
    key = make_user(iam, allow(["s3:ListBucket", "iam:*"]))
    session = client(store, "sts", key).get_session_token(DurationSeconds=900)["Credentials"]
    arn = client(store, "sts", session).get_caller_identity()["Arn"]
    assert arn.endswith(f":user/{key['UserName']}")
    client(store, "s3", session).list_objects_v2(Bucket=bucket)
    denied(client(store, "s3", session).put_object, Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(ClientError) as caught:
        client(store, "iam", session).list_users()
    assert refusal(caught) == (403, "InvalidClientTokenId")
    denied(client(store, "sts", session).get_session_token)


def test_who_a_key_belongs_to(store, iam):
    sts = client(store, "sts")
    account = account_of(store)
    key = make_user(iam)
    assert sts.get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"] == account
    denied(client(store, "sts", key).get_access_key_info, AccessKeyId=key["AccessKeyId"])
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    assert account.encode() in store_get(url)
