"""Tests of the command `envctl render --engine kubernetes`."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support import Project

SERVICES = """
services:
  db: {kind: postgres, with: {password: only-in-secrets}}
  app: {build: ./app, port: 8000, env: {URL: "${db.url}"}}
"""


NOTHING = {"ENVCTL_ENGINE": "", "ENVCTL_REGISTRY": ""}
"""Variables without the engine and registry of the test run, which these tests must not use."""


def written(project: Project) -> Project:
    project.environment("env", SERVICES)
    project.write("environments/app/Dockerfile", "FROM python:3.13-slim\n")
    return project


def objects(text: str, kind: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in yaml.safe_load_all(text) if each["kind"] == kind}


def image(text: str) -> str:
    return str(objects(text, "Deployment")["app"]["spec"]["template"]["spec"]["containers"][0]["image"])


def test_the_options_of_clusters(project: Project) -> None:
    words = ["render", "env", "--engine", "kubernetes"]
    plain = written(project).envctl(*words, env=NOTHING).ok()
    assert list(objects(plain.out, "Namespace")) == ["env"]
    assert plain.out == project.envctl(*words, env=NOTHING).ok().out
    assert "not supported here: app: the image envctl/app:" in plain.err
    elsewhere = project.envctl(*words, "--registry", "registry.corp/x", "--namespace", "theirs", "--existing-secret", "of-the-vault").ok()
    assert "only-in-secrets" not in elsewhere.out + elsewhere.err
    assert "not supported here: the Secret of-the-vault must have the key db.password: as it is" in elsewhere.err
    assert objects(elsewhere.out, "Namespace") == objects(elsewhere.out, "Secret") == {}
    assert sorted(objects(elsewhere.out, "Deployment")) == ["env-app", "env-db"]
    (own, _) = objects(elsewhere.out, "Deployment").values()
    assert own["metadata"]["namespace"] == "theirs"
    assert "image: registry.corp/x/envctl/app:" in elsewhere.out


def test_what_envctl_toml_says(project: Project) -> None:
    text = 'engine = "kubernetes"\nregistry = "registry.corp"\n[kubernetes]\nlabels = {team = "x"}\npull_secrets = ["login"]\n'
    text += 'priority_class = "low"\nquota = {"pods" = "9"}\n'
    written(project).write("envctl.toml", text)
    out = project.envctl("render", "env", env=NOTHING).ok().out
    assert image(out).startswith("registry.corp/envctl/app:")
    assert {each["metadata"]["labels"]["team"] for each in yaml.safe_load_all(out)} == {"x"}
    assert objects(out, "ResourceQuota")["envctl-quota"]["spec"]["hard"] == {"pods": "9"}
    spec = objects(out, "Deployment")["db"]["spec"]["template"]["spec"]
    assert (spec["imagePullSecrets"], spec["priorityClassName"]) == ([{"name": "login"}], "low")


def test_strict_fails_on_a_loss(project: Project) -> None:
    done = written(project).envctl("render", "env", "--engine", "kubernetes", "--strict")
    assert done.status == 1
    assert "not supported here (--strict)" in done.err
