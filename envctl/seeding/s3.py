"""Create clients for services that speak S3."""

from __future__ import annotations

from typing import Any

from envctl.seeding import Endpoint
from envctl.seeding.libraries import library


def client_of(at: Endpoint, service: str, what: str) -> Any:
    """Return a boto3 client for the endpoint *at* of *service*.

    Args:
        what: The feature that needs the client, for the error message.

    Raises:
        ServiceFailed: boto3 is not installed.
    """
    boto3, config = library("boto3", service, what), library("botocore.config", service, what)
    return boto3.session.Session().client(
        "s3",
        endpoint_url=f"http://{at.host}:{at.port}",
        aws_access_key_id=str(at.properties["username"]),
        aws_secret_access_key=str(at.properties["password"]),
        region_name=str(at.properties.get("region", "us-east-1")),
        # Ignore the machine's proxy. Send checksums only where the protocol requires them: not every server supports them.
        config=config.Config(
            proxies={}, s3={"addressing_style": "path"}, request_checksum_calculation="when_required", retries={"max_attempts": 3}
        ),
    )


def errors() -> tuple[type[Exception], ...]:
    """Return the exception types that calls of a client raise."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return Boto3Error, BotoCoreError, ClientError
