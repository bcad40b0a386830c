"""Tests of `[kubernetes]` in envctl.toml: each key is a field of `Cluster` with an example."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from envctl.errors import DefinitionError, UsageError
from envctl.render.kubernetes_settings import Cluster
from envctl.session.settings import Settings

EXAMPLES = {each.name: tomllib.loads(each.metadata["example"])[each.name] for each in fields(Cluster)}


def table(told: Any) -> dict[str, Any]:
    return Settings(Path("envctl.toml"), {"kubernetes": told}).table("kubernetes", Cluster)


def test_examples_are_of_their_form() -> None:
    assert table(EXAMPLES) == EXAMPLES
    assert Cluster.of(EXAMPLES) == Cluster(**EXAMPLES)


def test_without_a_table_nothing_is_wanted() -> None:
    assert Settings(Path("envctl.toml")).table("kubernetes", Cluster) == {}
    assert Cluster.of({}) == Cluster()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("x", "envctl.toml:1: kubernetes: expected a table; [kubernetes]"),
        ({"label": {}}, "envctl.toml:1: kubernetes.label: unknown key; did you mean 'labels'?"),
        ({"labels": ["team"]}, "envctl.toml:1: kubernetes.labels: not of the right form; labels = {"),
        ({"quota": {"pods": 4}}, "envctl.toml:1: kubernetes.quota: not of the right form; quota = {"),
        ({"priority_class": 1}, "envctl.toml:1: kubernetes.priority_class: not of the right form"),
        ({"pull_secrets": "login"}, "envctl.toml:1: kubernetes.pull_secrets: not of the right form"),
    ],
)
def test_what_is_no_such_table(told: Any, words: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        table(told)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"tolerations": ["a=b:Never"]}, "tolerations: 'a=b:Never' does not have the right form"),
        ({"dns": ["10.0.0.0/99"]}, "dns: '10.0.0.0/99' does not have the right form"),
        ({"dns": ["kube_dns"]}, "dns: 'kube_dns' does not have the right form"),
        ({"users": "root"}, "users: 'root' does not have the right form"),
    ],
)
def test_what_is_none_of_its_words(told: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Cluster.of(told)
    assert words in str(caught.value)


def test_what_a_later_version_has_kept_is_left_out() -> None:
    assert Cluster.of({"priority_class": "low", "topology": "spread"}) == Cluster(priority_class="low")
