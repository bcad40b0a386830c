"""Tests of the files for test tools; if the tool is installed, it reads its file itself."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from envctl.outputs import cypress, karate, postman, spring
from tests.outputs.test_properties import loaded

NASTY = {"A": "ü 'x' \"y\" \\ ${z} {{w}} \u2028 \n", "DATABASE_URL": "postgresql://u:p%40@127.0.0.1:1/shop"}


def test_postman_has_every_value_enabled() -> None:
    document = json.loads(postman.text(NASTY))
    assert {value["key"]: value["value"] for value in document["values"] if value["enabled"]} == NASTY
    assert document["_postman_variable_scope"] == "environment"


def test_cypress_knows_variables_without_its_prefix() -> None:
    values = {"A": "own", "CYPRESS_A": "of the prefix", "CYPRESS_B": "b", "BASE_URL": "x"}
    assert json.loads(cypress.text(values)) == {"A": "own", "B": "b", "BASE_URL": "x"}


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
def test_karate_s_function_returns_the_values() -> None:
    script = karate.text(NASTY)
    assert script.isascii()
    done = subprocess.run(["node", "-p", f"{script}JSON.stringify(fn())"], capture_output=True, check=True)
    assert json.loads(done.stdout) == NASTY


def test_spring_s_properties_have_its_names_and_no_placeholders() -> None:
    values = {"SPRING_DATASOURCE_URL": "jdbc:x", "SHOP_URL": "http://x", "SPRING_DATASOURCE_PASSWORD": "a${b}"}
    assert loaded(spring.text(values)) == {
        "spring.datasource.url": "jdbc:x",
        "SHOP_URL": "http://x",
        "spring.datasource.password": "a\\${b}",
    }
