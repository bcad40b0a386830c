"""Test that an object put into the bucket can be read again."""

from __future__ import annotations

import os
import secrets

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = os.environ["INVOICES_BUCKET"]


def client(secret_key: str) -> BaseClient:
    return boto3.client(
        "s3",
        endpoint_url=os.environ["S3_URL"],
        region_name=os.environ["S3_REGION"],
        aws_access_key_id=os.environ["S3_ACCESS_KEY"],
        aws_secret_access_key=secret_key,
        # The bucket in the path: a test server has no DNS name for each bucket.
        config=Config(s3={"addressing_style": "path"}),
    )


def test_an_object_comes_back() -> None:
    s3 = client(os.environ["S3_SECRET_KEY"])
    key, content = f"2024/{secrets.token_hex(8)} Rechnung №1.pdf", secrets.token_bytes(4096)

    s3.put_object(Bucket=BUCKET, Key=key, Body=content)

    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == content
    s3.delete_object(Bucket=BUCKET, Key=key)


def test_a_wrong_secret_is_refused() -> None:
    with pytest.raises(ClientError) as refused:
        client("wrong").list_objects_v2(Bucket=BUCKET)

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
