"""Upload a file, or all files of a folder, unchanged to an S3 bucket."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from envctl.files.folders import FileRefused
from envctl.files.reading import open_file
from envctl.plan.model import Step
from envctl.seeding import Seeder, failed
from envctl.seeding.s3 import client_of, errors

BINARY = "application/octet-stream"
MISSING, FORBIDDEN = ("404", "NoSuchBucket"), ("403", "AccessDenied")
OF_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz", "compress": "application/x-compress"}


def load(step: Step, seeder: Seeder) -> None:
    client = client_of(seeder.endpoint(step.service), step.service, "an `objects` seed")
    _must_be_there(client, step)
    for path in step.files:
        try:
            with open_file(path, seeder.plan.setting.project) as stream:
                kind = content_type(path.name, step.step.content_types)
                client.upload_fileobj(stream, step.step.into, _name(step, path, seeder), ExtraArgs={"ContentType": kind})
        except (OSError, FileRefused) as error:
            raise failed(step, str(path), f"it cannot be read: {error}") from None
        except errors() as error:
            raise failed(step, str(path), str(error)) from None


def _must_be_there(client: Any, step: Step) -> None:
    """Raise ServiceFailed if the bucket is missing: some servers create it on the first upload, and no lane would get a copy of it."""
    try:
        client.head_bucket(Bucket=step.step.into)
    except errors() as error:
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        if code in MISSING:
            raise failed(step, step.where, f"into '{step.step.into}': {error}; `with: {{buckets: [...]}}` declares a bucket") from None
        if code not in FORBIDDEN:  # writing may be allowed where looking is not; wrong credentials fail at the upload
            raise failed(step, step.where, f"into '{step.step.into}': {error}") from None


def _name(step: Step, path: Path, seeder: Seeder) -> str:
    """Return the object's key: the path below the step's folder, or the file's name if the step names a single file."""
    return step.step.prefix + (path.relative_to(step.folder).as_posix() if step.folder != path else path.name)


def content_type(name: str, given: Mapping[str, str]) -> str:
    """Return the content type that the step sets for names like *name*, or else the type that the file name's suffix implies."""
    for pattern, kind in given.items():
        if fnmatch(name, pattern):
            return kind
    guessed, packed = mimetypes.guess_type(name)
    return OF_PACKED.get(packed, BINARY) if packed else guessed or BINARY
