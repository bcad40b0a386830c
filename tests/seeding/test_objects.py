"""Tests of storing files in a bucket, which must already exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from envctl.errors import ServiceFailed
from envctl.seeding import Endpoint, Seeder, objects, seed
from tests.builders import FakeDeployment, plan_with, step_of


class Client:
    """A fake client of a server that creates a missing bucket on upload, as SeaweedFS does."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.sent: list[tuple[str, str]] = []
        self.refusal = refusal

    def head_bucket(self, **given: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        if given["Bucket"] != "invoices":
            raise ClientError({"Error": {"Code": "404", "Message": "Not Found"}}, "HeadBucket")

    def upload_fileobj(self, stream: Any, bucket: str, name: str, **given: Any) -> None:
        self.sent.append((bucket, name))


def load(folder: Path, monkeypatch: pytest.MonkeyPatch, bucket: str, refusal: Exception | None = None) -> list[tuple[str, str]]:
    (folder / "a.pdf").write_text("x")
    client = Client(refusal)
    monkeypatch.setattr(objects, "client_of", lambda *given: client)
    monkeypatch.setattr(Seeder, "endpoint", lambda seeder, name: Endpoint("127.0.0.1", 1, {}))
    step = step_of("files", step={"objects": "a.pdf", "into": bucket}, files=(folder / "a.pdf",), folder=folder)
    seed(step, Seeder(plan_with(project=folder), FakeDeployment(), {}, folder))
    return client.sent


def test_a_file_is_stored_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(tmp_path, monkeypatch, "invoices") == [("invoices", "a.pdf")]


def test_a_bucket_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceFailed, match=r"into 'invioces': .*`with: \{buckets: \[...\]\}` declares a bucket"):
        load(tmp_path, monkeypatch, "invioces")


def test_who_may_not_look_may_still_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadBucket")
    assert load(tmp_path, monkeypatch, "invoices", refusal) == [("invoices", "a.pdf")]


@pytest.mark.parametrize(
    "refusal",
    [
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        ClientError({"Error": {"Code": "500", "Message": "Internal Server Error"}}, "HeadBucket"),
    ],
)
def test_what_else_a_server_says_is_not_answered_with_a_declaration(
    refusal: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ServiceFailed) as caught:
        load(tmp_path, monkeypatch, "invoices", refusal)
    assert caught.value.message.endswith(f"into 'invoices': {refusal}")
