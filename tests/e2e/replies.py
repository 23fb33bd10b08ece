"""What replies of boto3 say."""

import pytest
from botocore.exceptions import ClientError


def refusal(call, **arguments) -> tuple:
    """Status and code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    reply = caught.value.response
    assert reply["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    return reply["ResponseMetadata"]["HTTPStatusCode"], reply["Error"]["Code"]


def headers_of(reply) -> dict:
    return reply["ResponseMetadata"]["HTTPHeaders"]


def keys_of(page) -> list:
    return [entry["Key"] for entry in page.get("Contents", [])]


def prefixes_of(page) -> list:
    return [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]


def fill(s3, bucket, *keys):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
