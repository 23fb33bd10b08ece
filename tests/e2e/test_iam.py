"""IAM by AWS's own tools: aws-cli as Debian has it and as PyPI has it, and boto3."""

import json
import re
import time

import botocore.session
import pytest
from botocore.exceptions import ClientError

from iam_clients import (
    ROOT, account_of, allow, aws, client, make_role, make_user, policy, refusal, unique,
)
from running import REPOSITORY

TABLE = REPOSITORY / "crates" / "coffer-query" / "src" / "table.rs"


@pytest.fixture(scope="module")
def iam(store):
    return client(store, "iam")


def rows() -> dict:
    """The rows of the table: (service, operation) to `absent`, `void` or `result`."""
    found = re.findall(r"^    (\w+): (Iam|Sts) (\w+),$", TABLE.read_text(), re.M)
    assert len(found) > 100
    return {(service.lower(), name): state for name, service, state in found}


def test_the_table_has_every_operation_of_aws():
    modelled = {}
    for service in ("iam", "sts"):
        model = botocore.session.get_session().get_service_model(service)
        for name in model.operation_names:
            has_result = model.operation_model(name).output_shape is not None
            modelled[service, name] = "result" if has_result else "void"
    table = rows()
    assert table.keys() == modelled.keys()
    for row, state in table.items():
        assert state in ("absent", modelled[row]), row


def test_what_is_not_built_is_refused_by_name(store):
    clients = {
        service: client(store, service, parameter_validation=False) for service in ("iam", "sts")
    }
    absent = [row for row, state in rows().items() if state == "absent"]
    for service, name in absent:
        # Its request is not signed, and so is not one by the caller.
        if name == "AssumeRoleWithSAML":
            continue
        with pytest.raises(ClientError) as caught:
            clients[service]._make_api_call(name, {})
        assert refusal(caught) == (501, "NotImplemented"), name
        assert name in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize("which", ["debian", "pypi"])
def test_aws_cli_gives_a_user_a_bucket_and_takes_it_away(store, bucket, folder, which):
    name, policy_name = unique("ada"), unique("policy")
    document = folder / "policy.json"
    document.write_text(policy(
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
        allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/${{aws:username}}/*"),
    ))

    def iam(*arguments):
        return aws(store, which, "iam", *arguments)

    user = iam("create-user", "--user-name", name, "--path", "/team/", "--tags", "Key=a,Value=b")
    arn = user["User"]["Arn"]
    assert arn.endswith(f":user/team/{name}")
    made = iam(
        "create-policy", "--policy-name", policy_name, "--policy-document", f"file://{document}"
    )
    policy_arn = made["Policy"]["Arn"]
    iam("attach-user-policy", "--user-name", name, "--policy-arn", policy_arn)
    key = iam("create-access-key", "--user-name", name)["AccessKey"]
    me = aws(store, which, "sts", "get-caller-identity", key=key)
    assert me["Arn"] == arn
    body = folder / "body"
    body.write_bytes(b"hello")
    aws(
        store, which, "s3api", "put-object", "--bucket", bucket, "--key", f"{name}/one",
        "--body", str(body), key=key,
    )
    s3 = client(store, "s3", key)
    assert s3.get_object(Bucket=bucket, Key=f"{name}/one")["Body"].read() == b"hello"
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="another/one", Body=b"")
    assert refusal(caught) == (403, "AccessDenied")
    listed = iam("list-attached-user-policies", "--user-name", name)["AttachedPolicies"]
    assert listed == [{"PolicyName": policy_name, "PolicyArn": policy_arn}]
    version = iam("get-policy-version", "--policy-arn", policy_arn, "--version-id", "v1")
    assert version["PolicyVersion"]["Document"] == json.loads(document.read_text())
    assert name in [user["UserName"] for user in iam("list-users", "--path-prefix", "/team/")["Users"]]
    simulated = iam(
        "simulate-principal-policy", "--policy-source-arn", arn,
        "--action-names", "s3:GetObject", "s3:DeleteObject",
        "--resource-arns", f"arn:aws:s3:::{bucket}/{name}/one",
    )
    decisions = [result["EvalDecision"] for result in simulated["EvaluationResults"]]
    assert decisions == ["allowed", "implicitDeny"]
    assert iam("get-account-summary")["SummaryMap"]["Users"] >= 1

    iam("detach-user-policy", "--user-name", name, "--policy-arn", policy_arn)
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key=f"{name}/one")
    assert refusal(caught) == (403, "AccessDenied")
    iam("delete-access-key", "--user-name", name, "--access-key-id", key["AccessKeyId"])
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key=f"{name}/one")
    assert refusal(caught) == (403, "InvalidAccessKeyId")
    iam("delete-user", "--user-name", name)
    iam("delete-policy", "--policy-arn", policy_arn)
    client(store, "s3").delete_object(Bucket=bucket, Key=f"{name}/one")


def test_a_key_that_was_taken_away_stops_within_a_second(store, iam, bucket):
    key = make_user(iam, allow("s3:*"))
    s3 = client(store, "s3", key)
    session = client(store, "sts", key).get_session_token(DurationSeconds=900)["Credentials"]
    of_session = client(store, "s3", session)
    s3.list_objects_v2(Bucket=bucket)
    of_session.list_objects_v2(Bucket=bucket)
    iam.update_access_key(
        UserName=key["UserName"], AccessKeyId=key["AccessKeyId"], Status="Inactive"
    )
    taken = time.monotonic()
    for user in (s3, of_session):
        with pytest.raises(ClientError) as caught:
            user.list_objects_v2(Bucket=bucket)
        assert refusal(caught)[0] == 403
    assert time.monotonic() - taken < 1
    iam.update_access_key(
        UserName=key["UserName"], AccessKeyId=key["AccessKeyId"], Status="Active"
    )
    s3.list_objects_v2(Bucket=bucket)


def test_groups_roles_versions_boundaries_and_tags(store, iam):
    name, group, path = unique("ada"), unique("group"), "/" + unique("path") + "/"
    user = make_user(iam, name=name)
    asking = client(store, "iam", user)
    iam.create_group(GroupName=group, Path=path)
    iam.add_user_to_group(GroupName=group, UserName=name)
    assert [u["UserName"] for u in iam.get_group(GroupName=group)["Users"]] == [name]
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=name)["Groups"]] == [group]
    made = iam.create_policy(
        PolicyName=unique("policy"), PolicyDocument=policy(allow("iam:List*")), Description="<&>"
    )["Policy"]
    assert iam.get_policy(PolicyArn=made["Arn"])["Policy"]["Description"] == "<&>"
    iam.attach_group_policy(GroupName=group, PolicyArn=made["Arn"])
    asking.list_users()
    iam.create_policy_version(
        PolicyArn=made["Arn"], PolicyDocument=policy(allow("s3:*")), SetAsDefault=True
    )
    with pytest.raises(ClientError) as caught:
        asking.list_users()
    assert refusal(caught) == (403, "AccessDenied")
    message = caught.value.response["Error"]["Message"]
    account = account_of(store)
    assert message.startswith(
        f"User: arn:aws:iam::{account}:user/{name} is not authorized to perform: iam:ListUsers "
        f"on resource: arn:aws:iam::{account}:user/"
    )
    iam.set_default_policy_version(PolicyArn=made["Arn"], VersionId="v1")
    asking.list_users()
    entities = iam.list_entities_for_policy(PolicyArn=made["Arn"])
    assert [g["GroupName"] for g in entities["PolicyGroups"]] == [group]
    boundary = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=boundary)
    with pytest.raises(ClientError):
        asking.list_users()
    attached = iam.get_user(UserName=name)["User"]["PermissionsBoundary"]
    assert attached["PermissionsBoundaryArn"] == boundary
    iam.delete_user_permissions_boundary(UserName=name)
    iam.tag_user(UserName=name, Tags=[{"Key": "team", "Value": "a b"}])
    assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "team", "Value": "a b"}]
    iam.untag_user(UserName=name, TagKeys=["team"])
    role = make_role(iam, {"AWS": f"arn:aws:iam::{account}:root"}, allow("s3:*"))
    role_name = role.rsplit("/", 1)[1]
    iam.update_role(RoleName=role_name, Description="for tests", MaxSessionDuration=7200)
    got = iam.get_role(RoleName=role_name)["Role"]
    assert (got["Description"], got["MaxSessionDuration"]) == ("for tests", 7200)
    assert got["AssumeRolePolicyDocument"]["Statement"][0]["Effect"] == "Allow"
    inline = iam.get_role_policy(RoleName=role_name, PolicyName="inline")["PolicyDocument"]
    assert inline == json.loads(policy(allow("s3:*")))
    with pytest.raises(ClientError) as caught:
        iam.delete_role(RoleName=role_name)
    assert refusal(caught) == (409, "DeleteConflict")
    details = {"UserDetailList": [], "RoleDetailList": [], "GroupDetailList": []}
    pages = iam.get_paginator("get_account_authorization_details")
    for page in pages.paginate(PaginationConfig={"PageSize": 2}):
        for kind, found in details.items():
            found += page[kind]
    mine = next(u for u in details["UserDetailList"] if u["UserName"] == name)
    assert mine["GroupList"] == [group]
    mine = next(r for r in details["RoleDetailList"] if r["RoleName"] == role_name)
    assert mine["RolePolicyList"][0]["PolicyName"] == "inline"
    waited = iam.get_waiter("user_exists")
    waited.wait(UserName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 1})


def test_pages_of_a_list_make_the_whole(iam):
    path = "/" + unique("path") + "/"
    names = [unique(f"u{i}") for i in range(5)]
    for name in names:
        iam.create_user(UserName=name, Path=path)
    pages = iam.get_paginator("list_users").paginate(
        PathPrefix=path, PaginationConfig={"PageSize": 2}
    )
    pages = [[user["UserName"] for user in page["Users"]] for page in pages]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [name for page in pages for name in page] == sorted(names)


def test_refusals_have_awss_codes(store, iam):
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName=unique("nobody"))
    key = make_user(iam)
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName=key["UserName"])
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        iam.put_user_policy(UserName=key["UserName"], PolicyName="p", PolicyDocument="{")
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_user(UserName=key["UserName"])
    iam.create_access_key(UserName=key["UserName"])
    with pytest.raises(iam.exceptions.LimitExceededException):
        iam.create_access_key(UserName=key["UserName"])
    with pytest.raises(ClientError) as caught:
        client(store, "iam", key).get_user()
    assert refusal(caught) == (403, "AccessDenied")
    wrong = {**key, "SecretAccessKey": "wrong"}
    with pytest.raises(ClientError) as caught:
        client(store, "iam", wrong).get_user()
    assert refusal(caught) == (403, "SignatureDoesNotMatch")
    with pytest.raises(ClientError) as caught:
        client(store, "iam", {**ROOT, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}).get_user()
    assert refusal(caught) == (403, "InvalidClientTokenId")
    with pytest.raises(ClientError) as caught:
        client(store, "iam", region="eu-west-1").get_user()
    assert refusal(caught) == (403, "SignatureDoesNotMatch")
