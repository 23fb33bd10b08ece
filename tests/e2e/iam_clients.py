"""AWS's own clients of IAM and STS, and the identities that tests make with them."""

import json
import uuid
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

import programs
from running import ACCESS_KEY, REGION, SECRET_KEY

# Debian's, which is older than PyPI's.
DEBIAN_AWS = Path("/usr/bin/aws")

ROOT = {"AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY}


def refusal(caught) -> tuple:
    """Status and code of a refusal that was caught."""
    reply = caught.value.response
    return reply["ResponseMetadata"]["HTTPStatusCode"], reply["Error"]["Code"]


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def policy(*statements) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resources="*", **more) -> dict:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def client(store, service: str, key=ROOT, region=REGION, **settings):
    """A boto3 client with a key as IAM and STS give it; it never retries."""
    settings.setdefault("retries", {"max_attempts": 0})
    if service == "s3":
        settings.setdefault("s3", {"addressing_style": "path"})
    return boto3.session.Session().client(
        service,
        endpoint_url=store.endpoint,
        region_name=region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key.get("SessionToken"),
        config=Config(**settings),
    )


def aws_program(which: str) -> Path:
    if which == "pypi":
        return Path(programs.find("aws"))
    if not DEBIAN_AWS.exists():
        pytest.skip("Debian's awscli is not installed")
    return DEBIAN_AWS


def aws(store, which: str, *arguments, key=ROOT):
    """Runs aws-cli; what its JSON says."""
    environment = store.aws_environment() | {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
    if "SessionToken" in key:
        environment["AWS_SESSION_TOKEN"] = key["SessionToken"]
    # Debian's does not know AWS_ENDPOINT_URL.
    command = [aws_program(which), *arguments, "--endpoint-url", store.endpoint, "--output", "json"]
    out = programs.run(command, environment, timeout_s=120)
    return json.loads(out) if out.strip() else None


def make_user(iam, *statements, name=None) -> dict:
    """A new user with one inline policy; its access key, with the user's name in it."""
    name = name or unique("user")
    iam.create_user(UserName=name)
    if statements:
        iam.put_user_policy(
            UserName=name, PolicyName="inline", PolicyDocument=policy(*statements)
        )
    return iam.create_access_key(UserName=name)["AccessKey"]


def account_of(store, key=ROOT) -> str:
    return client(store, "sts", key).get_caller_identity()["Account"]


def make_role(iam, principal, *statements, condition=None) -> str:
    """A new role that `principal` may take on; its ARN."""
    name = unique("role")
    actions = ["sts:AssumeRoleWithWebIdentity"] if "Federated" in principal else [
        "sts:AssumeRole", "sts:TagSession",
    ]
    trust = {"Effect": "Allow", "Principal": principal, "Action": actions}
    if condition:
        trust["Condition"] = condition
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy(*statements))
    return role["Arn"]
