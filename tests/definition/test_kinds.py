"""Tests of kinds in files: envctl's own, those of a project, inheritance, and mistakes in them."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from envctl.definition import kinds
from envctl.definition.budget import Budget
from envctl.definition.kinds import Kinds, items_of, load_kinds, parameters_of, recogniser
from envctl.errors import DefinitionError
from envctl.files.package_data import templates


@pytest.fixture
def kind_files(tmp_path: Path) -> Path:
    folder = tmp_path / "templates" / "kinds"
    folder.mkdir(parents=True)
    return folder


def kinds_with(folder: Path, **texts: str) -> Kinds:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(dedent(text))
    return load_kinds(folder.parent.parent)


def test_every_built_in_kind_can_be_read() -> None:
    kinds = load_kinds()
    assert {kinds[name].kind for name in kinds} == set(kinds.files)
    assert {"postgres", "api", "service", "job", "stub"} <= set(kinds)


def test_other_names() -> None:
    kinds = load_kinds()
    assert kinds["postgresql"] is kinds["postgres"]
    with pytest.raises(KeyError):
        kinds["oracle"]


def test_a_file_is_read_when_its_kind_is_asked_for(kind_files: Path) -> None:
    kinds = kinds_with(kind_files, broken="kind: [", good="title: Good\n")
    assert "broken" in kinds
    assert kinds["good"].title == "Good"
    with pytest.raises(DefinitionError):
        kinds["broken"]


def test_a_kind_of_the_project_wins(kind_files: Path) -> None:
    kinds = kinds_with(kind_files, mail="kind: mail\nimage: mailpit\nports: {smtp: 25}\n")
    assert (kinds["mail"].image, kinds["mail"].ports, kinds["mail"].parameters) == ("mailpit", {"smtp": 25}, {})


def test_a_kind_extends_another(kind_files: Path) -> None:
    kinds = kinds_with(
        kind_files,
        postgis="extends: postgres\nimage: postgis/postgis\nversion: 17-3.5\nparameters: {topology: {type: boolean, default: false}}\n",
        deeper="extends: postgis\ntitle: Deeper\nenv: {A: b}\n",
    )
    postgres, postgis, deeper = kinds["postgres"], kinds["postgis"], kinds["deeper"]
    assert (postgis.kind, postgis.image, postgis.also) == ("postgis", "postgis/postgis", [])
    assert set(postgis.parameters) == {*postgres.parameters, "topology"}
    assert postgis.ready == postgres.ready
    assert postgis.recognise.images == []
    assert (deeper.image, deeper.env) == ("postgis/postgis", {**postgres.env, "A": "b"})


def test_a_replacement_extends_what_it_replaces(kind_files: Path) -> None:
    kinds = kinds_with(kind_files, postgres="extends: postgres\nversion: '16'\n")
    assert kinds["postgres"].version == "16"
    assert kinds["postgresql"].ports == {"postgres": 5432}


WRONG = {
    "unknown key": ("image: x\nimagee: y\n", 2, "imagee", "unknown key 'imagee'; did you mean 'image'?"),
    "wrong type": ("ports:\n  web: many\n", 2, "ports.web", "expected a whole number, not 'many'"),
    "other name": ("kind: other\n", 1, "kind", "a kind must have the name of its file: 'mine'"),
    "no parent": (
        "extends: postgers\n",
        1,
        "extends",
        "there is no kind 'postgers' to extend; did you mean 'postgres'?",
    ),
    "itself": ("extends: mine\n", 1, "extends", "there is no kind 'mine' to extend"),
    "no YAML": ("image: x\nports: [\n", 3, "", "not valid YAML"),
    "a list": ("- image\n", 1, "", "a kind is a map"),
    "expression": ("env:\n  A: x\n  B: ${self.\n", 3, "env.B", "has no closing"),
    "filter": ("properties: {url: '${self.host|urlencod}'}\n", 1, "properties.url", "did you mean 'urlencode'?"),
}


@pytest.mark.parametrize(("text", "line", "path", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_kind(kind_files: Path, text: str, line: int, path: str, message: str) -> None:
    kinds = kinds_with(kind_files, mine=text)
    with pytest.raises(DefinitionError) as caught:
        kinds["mine"]
    (problem,) = caught.value.problems
    assert (problem.file.name, problem.line, problem.path) == ("mine.yaml", line, path)
    assert message in str(problem)


def test_kinds_that_extend_each_other(kind_files: Path) -> None:
    kinds = kinds_with(kind_files, one="extends: two\n", two="extends: one\n")
    with pytest.raises(DefinitionError, match=r"kinds extend each other: one -> two -> one"):
        kinds["one"]


def test_parameters_have_their_defaults() -> None:
    nats = load_kinds()["nats"]
    assert parameters_of(nats, {"jetstream": False, "password": "p"}) == {
        "username": None,
        "password": "p",
        "jetstream": False,
        "max_payload": "1MB",
    }


@pytest.mark.parametrize(
    ("given", "items"),
    [
        (None, {"app": {}}),
        ("shop", {"shop": {}}),
        (["shop", "audit"], {"shop": {}, "audit": {}}),
        ({"shop": None, "audit": {"owner": "x"}}, {"shop": {}, "audit": {"owner": "x"}}),
        ([{"name": "shop", "owner": "x"}, "b"], {"shop": {"owner": "x"}, "b": {}}),
        ([], {}),
        ([17], {"17": {}}),
    ],
)
def test_what_a_server_has_several_of(given: object, items: object) -> None:
    assert items_of(load_kinds()["postgres"], "databases", given, "db", Budget()) == items


def test_options_have_their_defaults() -> None:
    queues = items_of(load_kinds()["rabbitmq"], "queues", {"a": {"durable": False}, "b": {}}, "bus", Budget())
    assert (queues["a"]["durable"], queues["b"]["durable"]) == (False, True)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("postgres", "postgres"),
        ("postgres:17-alpine", "postgres"),
        ("docker.io/library/postgres:17", "postgres"),
        ("registry.corp:5000/hub/library/postgres:17@sha256:abc", "postgres"),
        ("bitnami/redis:7", "redis"),
        ("ghcr.io/team/bitnami/redis", "redis"),
        ("rabbitmq:3-management", "rabbitmq"),
        ("axllent/mailpit:v1.33", "mail"),
        ("mailhog/mailhog", "mail"),
        ("registry.corp/maildev/maildev:2.2.1", "mail"),
        ("team/postgres", None),
        ("oliver006/redis_exporter", None),
        ("postgres-backup", None),
    ],
)
def test_images_are_recognised(image: str, kind: str | None) -> None:
    known = recogniser(load_kinds())(image)
    assert (known.kind if known else None) == kind


@pytest.mark.parametrize(("image", "web"), [("axllent/mailpit:v1.33", 8025), ("mailhog/mailhog", 8025), ("maildev/maildev", 1080)])
def test_an_image_may_have_other_ports_than_its_kind(image: str, web: int) -> None:
    known = recogniser(load_kinds())(image)
    assert known is not None
    assert known.ports == {"smtp": 1025, "web": web}


def test_every_image_of_a_kind_is_recognised_and_other_files_are_not_read() -> None:
    every = load_kinds()
    for name in every.files:
        for image in every[name].recognise.images:
            known = recogniser(load_kinds())(f"{image}:1")
            assert known is not None
            assert known.kind == name
    few = load_kinds()
    assert recogniser(few)("registry.corp/nats:2.10") is not None
    assert "nats" in few._read
    assert len(few._read) < len(few.files) / 2


def test_a_kind_of_the_project_may_spell_its_images_as_it_likes(kind_files: Path) -> None:
    recognise = recogniser(kinds_with(kind_files, mine='recognise: {images: ["mi\\x6Ee"]}\n'))
    known = recognise("mine:1")
    assert known is not None
    assert known.kind == "mine"


def test_a_broken_kind_recognises_nothing(kind_files: Path) -> None:
    recognise = recogniser(kinds_with(kind_files, mine="recognise: {images: [mine]}\n", wrong="kind: [\n"))
    assert recognise("mine:1") is not None
    assert recognise("wrong") is None


@pytest.mark.parametrize("file", sorted(templates("kinds").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_texts_of_our_own_kinds_can_be_read(file: Path) -> None:
    """Parse all texts of envctl's own kinds in this test; commands do not check them."""
    document = kinds._inherited(file, load_kinds().files, ())
    assert document.tree
    assert not list(kinds._texts_of(document.tree, document.source))


def test_a_clone_of_envctl_has_no_kinds_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(templates("kinds"), tmp_path / "templates" / "kinds")
    assert load_kinds(tmp_path).files == load_kinds().files
    (tmp_path / "templates" / "kinds" / "web.yaml").write_text("image: mine:1\n")
    assert load_kinds(tmp_path)["web"].image == "mine:1"
