"""Tests that an error message of Docker Compose is shown with the line of the Compose file that it is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.definition.compose_complaints import place_of
from envctl.definition.yaml_parser import parse_nodes

FIRST, SECOND = Path("compose.yaml"), Path("more.yaml")
TEXT = """\
# the first line
services:
  a:
    image: ${TAG:?x}
    prots: []
    ports:
      - "80:eighty"
    env_file: [one.env, gone.env]
    mem_limit: 5QB
  b.c:
    depends_on: [nobody]
    secrets:
      - other
      - hidden
networks:
  back: {driver: x, subnet: y}
oops: 1
"""
NODES = {FIRST: parse_nodes(TEXT), SECOND: parse_nodes("\nservices:\n  late:\n    wrong: 1\n"), Path("empty.yaml"): None}


@pytest.mark.parametrize(
    ("said", "file", "line"),
    [
        ("validating /p/compose.yaml: services.a Additional property prots is not allowed", FIRST, 5),
        ("Invalid containerPort: eighty", FIRST, 7),
        ("env file /p/gone.env not found: stat /p/gone.env: no such file or directory", FIRST, 8),
        ("error while interpolating services.a.image: required variable TAG is missing a value: x", FIRST, 4),
        ("error decoding 'services[a].mem_limit': invalid size: '5QB'", FIRST, 9),
        ('service "b.c" depends on undefined service "nobody": invalid compose project', FIRST, 11),
        ('service "b.c" refers to undefined secret hidden: invalid compose project', FIRST, 14),
        ("dependency cycle detected: b.c -> a -> b.c", FIRST, 10),
        ("services.b.c must be a mapping", FIRST, 10),
        ("networks.back Additional property subnet is not allowed", FIRST, 16),
        ("(root) Additional property oops is not allowed", FIRST, 17),
        ("services.late Additional property wrong is not allowed", SECOND, 4),
        ("services.nowhere.image must be a string", FIRST, 1),
        ("services must be a mapping", FIRST, 1),
        ('yaml: unmarshal errors:; line 12: mapping key "x" already defined at line 3', FIRST, 12),
        ("something else", FIRST, 1),
    ],
)
def test_the_place_of_a_complaint(said: str, file: Path, line: int) -> None:
    assert place_of(said, NODES, FIRST) == (file, line)
