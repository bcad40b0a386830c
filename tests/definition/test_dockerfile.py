"""Tests of what envctl reads about an image from its Dockerfile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.definition.dockerfile import made, made_by
from envctl.definition.dockerfile_syntax import instructions


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("FROM postgres:17", "postgres:17"),
        ("# syntax=docker/dockerfile:1\nfrom --platform=linux/amd64 redis:8 as x", "redis:8"),
        ("ARG TAG=17\nFROM postgres:${TAG}-alpine", "postgres:17-alpine"),
        ("ARG TAG\nFROM postgres:${TAG:-16}", "postgres:16"),
        ("FROM node AS build\nRUN make\nFROM nginx:1.26\nCOPY --from=build /a /b", "nginx:1.26"),
        ("FROM mariadb AS Base\nFROM base\nFROM base AS dev", "mariadb"),
        ("FROM postgres AS a\nRUN <<EOF\nselect 1\nFROM redis\nEOF\nRUN x", "postgres"),
        ("FROM \\\n  # which one\n  postgres:17\n", "postgres:17"),
        ("FROM redis AS redis", "redis"),
        ("FROM\tpostgres:16", "postgres:16"),
        ('ARG V=1\nARG TAG="$V-alpine"\nFROM redis:$TAG', "redis:1-alpine"),
        ("ARG TAG\nFROM redis:$TAG", ""),
        ("# escape=`\nFROM `\n  redis:8\nRUN C:\\", "redis:8"),
        ("FROM \\\n\n  redis:8", "redis:8"),
        ("FROM ${TAG:+x}", ""),
        ("RUN nothing", ""),
        ("FROM", ""),
    ],
)
def test_the_image_that_the_last_stage_comes_from(text: str, base: str) -> None:
    assert made(text).base == base


@pytest.mark.parametrize(
    "script",
    [
        'cat <<<"x"',
        "cat <<<x",
        "echo $((1<<3))",
        "echo $((1 << n))",
        "echo $((a<<b))",
        "cat <<never",
        "cat <<EOF 3<<-'MORE'\nFROM a\nEOF\n\tFROM b\n\tMORE",
    ],
)
def test_what_stands_behind_a_script_counts(script: str) -> None:
    assert [rest for name, rest in instructions(f"FROM redis\nRUN {script}\nFROM nginx\nRUN x") if name == "FROM"] == ["redis", "nginx"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ARG PW=hunter2\nENV A=$PW", "hunter2"),
        ("ARG PW='hunter 2' B=x\nENV A=${PW}-$B", "hunter 2-x"),
        ("ARG PW\nENV A=$PW", "shared"),
        ("ARG GIVEN=no\nENV A=$GIVEN", "a$b"),
        ("ARG PW=1\nENV PW=2\nARG PW=3\nENV A=$PW", "3"),
        ("ARG PW=1\nENV PW=2\nENV A=$PW", "2"),
        ("ENV B=1 A=2\nENV A=$B$A B=3", "12"),
        ("ENV A ${NONE:-x} y", "x y"),
        ('ENV A "x y"', "x y"),
        ("ARG PW\nENV A x  \"y \\\\ $PW\" '$B' \\$B", "x  y \\ shared $B $B"),
        ('ENV A="a$" B=$', "a$"),
        ("ENV A=$$", None),
        ("ENV\tA\tx", "x"),
        ("ENV A='$B'", "$B"),
        ("ENV A=\\$B", "$B"),
        ('ENV A="it\'s \\$B"', "it's $B"),
        ("ARG X=1 Y=$X\nENV A=$Y", None),
        ("ENV A=$NONE", None),
        ("ENV A=${A%x}", None),
        ("ARG PW=1\nENV PW=$NONE\nENV A=$PW", None),
        ("ENV A=$NONE\nENV A=1", "1"),
    ],
)
def test_a_variable_has_the_values_of_those_in_it_or_is_unknown(text: str, value: str | None) -> None:
    """The expected values are the results of `docker build`."""
    found = made(f"ARG PW=shared\nFROM redis\n{text}", arguments={"GIVEN": "a$b"})
    assert (found.env.get("A"), "A" in found.unknown) == (value, value is None)


def test_a_stage_has_the_variables_and_arguments_of_the_one_that_it_comes_from() -> None:
    found = made('FROM redis AS a\nARG X=1\nENV Y=2\nCMD ["a"]\nFROM a\nENV Z=$X$Y\nCMD ["b"]\nENTRYPOINT ["c"]')
    assert (found.base, found.env, found.entrypoint, found.command) == ("redis", {"Y": "2", "Z": "12"}, ["c"], ["b"])


def test_a_target_and_arguments() -> None:
    text = "ARG PG=16\nFROM postgres:$PG AS db\nFROM redis:8 AS cache"
    assert made(text, "DB", {"PG": "17"}).base == "postgres:17"
    assert made(text, "none").base == ""


def test_what_it_adds_comes_from_every_stage() -> None:
    found = made('FROM redis AS a\nENV A=1 B="b c"\nENV C d e\nCMD ["redis-server", "--port", "1"]\nFROM a\nENV A=2')
    assert (found.base, found.env, found.command) == ("redis", {"A": "2", "B": "b c", "C": "d e"}, ["redis-server", "--port", "1"])


@pytest.mark.parametrize(
    ("text", "entrypoint", "command"),
    [
        ('ENTRYPOINT ["redis-server"]', ["redis-server"], []),
        ("ENTRYPOINT redis-server --port 1\nCMD x", ["sh", "-c", "redis-server --port 1"], ["sh", "-c", "x"]),
        ("CMD [broken", None, ["sh", "-c", "[broken"]),
        ("", None, None),
    ],
)
def test_its_program(text: str, entrypoint: list[str] | None, command: list[str] | None) -> None:
    found = made(f"FROM redis\n{text}")
    assert (found.entrypoint, found.command) == (entrypoint, command)


@pytest.mark.parametrize("text", ['ENV A="unfinished', "RUN \\", "FROM a AS a\nFROM a AS b\nFROM b AS a", "RUN <<END\nnever"])
def test_a_broken_one_is_read_to_its_end(text: str) -> None:
    assert made(f"FROM redis\n{text}\n").base in ("redis", "a", "b")
    assert [name for name, _ in instructions(text)] != []


@pytest.mark.parametrize(
    ("build", "base"),
    [
        ({}, "redis:8"),
        ({"dockerfile": "other.Dockerfile", "args": {"V": 9, "W": None}}, "redis:9"),
        ({"dockerfile_inline": "FROM postgres:17"}, "postgres:17"),
        ({"additional_contexts": {"redis:8": "./x"}}, ""),
        ({"dockerfile": "none"}, ""),
        ({"dockerfile": "/etc/hostname"}, ""),
    ],
)
def test_the_dockerfile_of_a_build(tmp_path: Path, build: dict[str, Any], base: str) -> None:
    (tmp_path / "Dockerfile").write_text("FROM redis:8")
    (tmp_path / "other.Dockerfile").write_text("ARG V=1\nFROM redis:$V")
    assert made_by({"context": str(tmp_path), **build}, tmp_path).base == base
