"""A file, or all files of a folder, into a bucket of S3, each as it is."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

from envctl.files.folders import FileRefused
from envctl.files.reading import open_file
from envctl.plan.model import Step
from envctl.seeding import Seeder, failed, library

BINARY = "application/octet-stream"
OF_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz", "compress": "application/x-compress"}


def load(step: Step, seeder: Seeder) -> None:
    boto3, config = library("boto3", step), library("botocore.config", step)
    exceptions = library("botocore.exceptions", step)
    at = seeder.endpoint(step.service)
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=f"http://{at.host}:{at.port}",
        aws_access_key_id=str(at.properties["username"]),
        aws_secret_access_key=str(at.properties["password"]),
        region_name=str(at.properties.get("region", "us-east-1")),
        # No proxy of the machine; checksums only where the protocol asks for them, which not every server knows.
        config=config.Config(
            proxies={}, s3={"addressing_style": "path"}, request_checksum_calculation="when_required", retries={"max_attempts": 3}
        ),
    )
    for path in step.files:
        try:
            with open_file(path, seeder.plan.setting.project) as stream:
                kind = content_type(path.name, step.step.content_types)
                client.upload_fileobj(stream, step.step.into, _name(step, path, seeder), ExtraArgs={"ContentType": kind})
        except (OSError, FileRefused) as error:
            raise failed(step, str(path), f"it cannot be read: {error}") from None
        except (exceptions.BotoCoreError, exceptions.ClientError, boto3.exceptions.Boto3Error) as error:
            raise failed(step, str(path), str(error)) from None


def _name(step: Step, path: Path, seeder: Seeder) -> str:
    """The path below the folder that the step names; a file alone is called like itself."""
    return step.step.prefix + (path.relative_to(step.folder).as_posix() if step.folder != path else path.name)


def content_type(name: str, given: Mapping[str, str]) -> str:
    """What the step says of names like this, else what their ending says."""
    for pattern, kind in given.items():
        if fnmatch(name, pattern):
            return kind
    guessed, packed = mimetypes.guess_type(name)
    return OF_PACKED.get(packed, BINARY) if packed else guessed or BINARY
