"""Which values of a plan are masked: secrets, but not names that are visible in the definition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from envctl.plan.make import make_plan
from tests.builders import environment_of, plan_of, setting_of


def test_drawn_and_derived_passwords(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """
services:
  db: {kind: postgres, with: {users: [anna]}}
  maria: {kind: mariadb}
  worker:
    image: busybox
    env: {MORE: "${db.password|derived('more')}", HOST: "${db.host}"}
outputs: {ANNA: "${db.users.anna.password}", ROOT: "${maria.root_password}", MORE: "${db.password|derived('tests')}", ALL: "${db.password}"}
""",
    )
    assert {*plan.outputs.values(), plan.services["worker"].env["MORE"]} <= plan.secrets
    assert plan.services["worker"].env["HOST"] not in plan.secrets


def test_a_name_that_the_file_shows_is_no_secret(tmp_path: Path) -> None:
    text = "services: {db: {kind: postgres, with: {username: parcels, password: parcels, databases: [letters]}}, letters: {image: busybox}}"
    assert plan_of(tmp_path, text).secrets == frozenset()
    assert plan_of(tmp_path, text.replace("password: parcels", "password: parcel")).secrets == {"parcel"}


def test_what_only_the_environment_knows_is_secret_though_it_be_a_name(tmp_path: Path) -> None:
    text = """
    variables: {word: {from: WORD, secret: true, default: other}}
    services: {letters: {kind: postgres, with: {password: "${var.word}"}}}
    """
    environment = environment_of(tmp_path, text, environ={"WORD": "letters"})
    assert make_plan(environment, setting_of(environment)).secrets == {"letters"}
    assert plan_of(tmp_path, text.replace("other", "letters")).secrets == frozenset()


def test_a_secret_of_several_lines_is_hidden_line_by_line(tmp_path: Path) -> None:
    """A log prints the secret line by line; lines that every key has, and short lines such as a brace, are not secret."""
    environment = environment_of(tmp_path, "services: {a: {image: busybox}}")
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\r\n  {\nend=\n-----END PRIVATE KEY-----\n"
    extra = {"secrets": {"key": {"environment": "KEY"}, "gone": {"environment": "GONE"}}}
    loaded = replace(environment.loaded, compose_extra=extra, compose_variables={"KEY": key, "OTHER": "no secret at all"})
    environment = replace(environment, loaded=loaded)
    assert make_plan(environment, setting_of(environment)).secrets == {key.strip(), "MIIEvQIBADANBgkqhkiG"}
