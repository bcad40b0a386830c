"""What a Dockerfile says of the image that it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.definition.dockerfile import instructions, made, made_by


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
        ("FROM ${TAG:+x}", ""),
        ("RUN nothing", ""),
        ("FROM", ""),
    ],
)
def test_the_image_that_the_last_stage_comes_from(text: str, base: str) -> None:
    assert made(text).base == base


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
