"""Facts about images: digest, user id and names of variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.definition.models import Build
from envctl.engines.docker.api import ApiError
from envctl.engines.kubernetes.image_facts import facts_of
from envctl.plan.model import BuildPlan, ServicePlan
from envctl.render.kubernetes.rendering import ImageFacts
from tests.builders import service

SEEN = {"Os": "linux", "Architecture": "arm64", "Config": {"User": "1000:1000"}, "RepoDigests": ["other/a@sha256:1", "r:5000/x/a@sha256:2"]}


def asked(service: ServicePlan, registry: str | None = None, resolve: bool = True, **answers: Any) -> ImageFacts:
    def ask(path: str) -> Any:
        found = answers.get(path.split("/")[1])
        if found is None:
            raise ApiError(404, "no such image")
        return found

    return facts_of(ask, service, registry, resolve)


def test_a_tag_is_resolved() -> None:
    found = {"Descriptor": {"digest": "sha256:9"}}
    assert asked(service("a", image="a:1"), distribution=found) == ImageFacts("sha256:9")
    assert asked(service("a", image="a:1"), distribution=found, resolve=False) == ImageFacts()
    assert asked(service("a", image="a:1", data="/data"), distribution=found) == ImageFacts(), "its pod would be another"
    assert asked(service("a", image="a@sha256:1"), distribution=found) == ImageFacts()


def test_a_registry_that_is_not_reached_leaves_the_tag() -> None:
    assert asked(service("a", image="a:1")) == ImageFacts()


def test_what_was_built_here_is_known_by_what_was_pushed() -> None:
    built = service("a", image="x/a:c0ffee", build=BuildPlan(Build(context="."), Path("."), ""))
    assert asked(built, "r:5000", images=SEEN) == ImageFacts("sha256:2", 1000, ("linux", "arm64"), set())
    assert asked(built, None, images=SEEN).digest == ""


@pytest.mark.parametrize(("said", "user"), [("1000", 1000), ("7:0", 7), ("app", None), ("0", None), ("", None), (None, None)])
def test_the_number_of_its_user(said: str | None, user: int | None) -> None:
    assert asked(service("a", image="a:1"), images={"Config": {"User": said}}).user == user


def test_the_names_of_its_variables() -> None:
    assert asked(service("a", image="a:1"), images={"Config": {"Env": ["PATH=/bin", "A=b=c"]}}).variables == {"PATH", "A"}
    assert asked(service("a", image="a:1"), images={}).variables is None
