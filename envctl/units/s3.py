"""S3 units: buckets. A copy and a reset only change objects that differ in size or hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from envctl.units import Size, TemplateGone, UnitError

MISSING = ("NoSuchBucket", "404", "NotFound")


def open_driver(properties: Mapping[str, Any]) -> S3Driver:
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}, proxies={})
    return S3Driver(
        boto3.client(
            "s3", endpoint_url=f"http://{properties['host']}:{properties['port']}", aws_access_key_id=str(properties["username"]),
            aws_secret_access_key=str(properties["password"]), region_name=str(properties.get("region") or "us-east-1"), config=config,
        )
    )  # fmt: skip


class S3Driver:
    def __init__(self, client: Any) -> None:
        self._client = client

    def keep(self, base: str, template: str) -> None:
        with errors():
            self._copy(base, template)

    def clone(self, template: str, unit: str) -> None:
        with errors():
            self._copy(template, unit)

    def reset(self, template: str, unit: str) -> None:
        self.clone(template, unit)

    def size(self, unit: str) -> Size:
        with errors():
            return Size(disk=sum(size for size, _ in self.objects(unit).values())) if self._exists(unit) else Size()

    def drop(self, unit: str) -> None:
        with errors():
            if self._exists(unit):
                self._delete(unit, self.objects(unit))
                self._client.delete_bucket(Bucket=unit)

    def close(self) -> None:
        self._client.close()

    def _copy(self, source: str, target: str) -> None:
        if not self._exists(source):
            raise TemplateGone(f"there is no bucket '{source}'")
        if not self._exists(target):
            self._client.create_bucket(Bucket=target)
        wanted, there = self.objects(source), self.objects(target)
        self._delete(target, [key for key in there if key not in wanted])
        for key in (key for key, what in wanted.items() if there.get(key) != what):
            self._client.copy_object(Bucket=target, Key=key, CopySource={"Bucket": source, "Key": key})

    def objects(self, bucket: str) -> dict[str, tuple[int, str]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {each["Key"]: (each["Size"], each["ETag"]) for page in pages for each in page.get("Contents", ())}

    def _delete(self, bucket: str, keys: Any) -> None:
        every = list(keys)
        for first in range(0, len(every), 1000):
            batch = [{"Key": key} for key in every[first : first + 1000]]
            self._client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})

    def _exists(self, bucket: str) -> bool:
        try:
            self._client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                return False
            raise
        return True


@contextmanager
def errors() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UnitError(f"S3: {error}") from None
