"""Tests that a proposal is validated, and that its invalid parts are left out and reported."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from envctl.init import gather, propose, prove, proving
from envctl.init.model import KeyValue, ListOfMaps, OneLine, Proposal, ProposedService
from envctl.init.repair import without
from tests.init.conftest import Files

ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
SEED = KeyValue("seed", ListOfMaps(((KeyValue("sql", "../a.sql"),), (KeyValue("sql", "../b.sql"),))))
SAMPLE = Proposal(
    "shop",
    services=(
        ProposedService("db", "postgres", "", "", (SEED,)),
        ProposedService("app", "api", "", "", (KeyValue("build", ".."), KeyValue("env", (KeyValue("a.b", "1"), KeyValue("C", "2"))))),
        ProposedService("web", "", "", "", (KeyValue("env", (KeyValue("A", "1"),)),)),
    ),
    outputs=(KeyValue("A", "1"), KeyValue("B", "2")),
    tests=(KeyValue("api", "pytest"),),
)


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("outputs.A", {"A"}),
        ("tests.api", {"api"}),
        ("services.app.build.context", {"app", "build", "env", "a.b", "C"}),
        ("services.app.env.a.b", {"a.b"}),
        ("services.web.env.A", {"web", "env", "A"}),
        ("services.db", {"db", "seed"}),
    ],
)
def test_the_smallest_part_is_left_out(path: str, gone: set[str]) -> None:
    before, after = _keys(SAMPLE), _keys(without(SAMPLE, path))
    assert {key for key in before if before.count(key) > after.count(key)} == gone


def _keys(proposal: Proposal) -> list[str]:
    def below(entries: tuple[KeyValue, ...]) -> list[str]:
        inner = [entry.value for entry in entries if isinstance(entry.value, tuple) and not isinstance(entry.value, (OneLine, ListOfMaps))]
        return [entry.key for entry in entries] + [key for value in inner for key in below(value)]

    services = [service.name for service in proposal.services] + [key for service in proposal.services for key in below(service.body)]
    return services + below(proposal.outputs) + below(proposal.tests)


def test_one_step_of_a_seed_is_left_out() -> None:
    (step,) = [entry for service in without(SAMPLE, "services.db.seed.0.sql").services for entry in service.body if entry.key == "seed"]
    assert step.value == ListOfMaps(((KeyValue("sql", "../b.sql"),),))


def test_what_does_not_validate_is_left_out_and_said(project: Callable[[Files], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = project({"requirements.txt": "psycopg\nredis\n"})
    good = propose(gather(root))
    bad = (
        *good.services,
        ProposedService("gone", "oracle", "", ""),
        ProposedService("app", "api", "", "", (KeyValue("build", "../nowhere"), KeyValue("port", 80))),
    )
    wrong = replace(good, services=bad, outputs=(*good.outputs, KeyValue("X", "${gone.url}"), KeyValue("Y", "${app.url}")))
    monkeypatch.setattr(proving, "propose", lambda findings, refused: wrong)
    proved = prove(gather(root), root, ENVIRON)
    assert [service.name for service in proved.proposal.services] == ["db", "cache"]
    assert [entry.key for entry in proved.proposal.outputs] == ["DATABASE_URL", "REDIS_URL"]
    assert [text.partition(":")[0] for text in proved.left_out] == [
        "services.gone.kind", "services.app.build", "outputs.Y", "outputs.X",
    ]  # fmt: skip
    assert all(any(text in note for note in proved.proposal.notes) for text in proved.left_out)


@pytest.mark.skipif(shutil.which("docker") is None, reason="Compose resolves the file")
@pytest.mark.parametrize(
    "compose",
    [
        "services:\n  db:\n    image: postgres:16\n    env_file: .env\n",
        "services:\n  db:\n    image: postgres:16\n    environment: {A: 1, A: 2}\n",
        "services:\n  db:\n    image: postgres:16\n    depends_on: [nobody]\n",
    ],
    ids=["a missing .env", "a key twice", "an unknown service"],
)
def test_a_compose_file_that_compose_refuses_is_left_out(project: Callable[[Files], Path], compose: str) -> None:
    root = project({"docker-compose.yml": compose, "requirements.txt": "psycopg\n"})
    proved = prove(gather(root), root, ENVIRON)
    assert proved.proposal.compose_file is None
    assert [service.kind for service in proved.proposal.services] == ["postgres"]
    assert "docker-compose.yml, which cannot be used" in proved.left_out[0]


def test_without_compose_the_proposal_says_that_it_is_not_checked(project: Callable[[Files], Path]) -> None:
    root = project({"compose.yaml": "services: {db: {image: 'postgres:16'}}\n"})
    proved = prove(gather(root), root, {"PATH": "/nowhere"})
    assert proved.proposal.compose_file is not None
    assert "Compose" in proved.unproved


def test_the_files_beside_it_need_not_be_there_yet(project: Callable[[Files], Path]) -> None:
    root = project({".env.example": "PAYMENTS_URL=https://pay.example.com\n"})
    proved = prove(gather(root), root, ENVIRON)
    assert "routes" in str(proved.proposal.services[0].body)
    assert not proved.left_out
