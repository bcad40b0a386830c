"""Recognise lines of shell scripts that start tests, the tool that they use, and a name for the tests."""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_LINE = 300
TOOLS: Mapping[str, str] = {
    "playwright": r"playwright test",
    "cypress": r"cypress run",
    "newman": r"newman run",
    "hurl": r"hurl(?: --?[\w=-]+)* [\w./*-]",
    "k6": r"k6 run",
    "pytest": r"(?:pytest|py\.test)(?=\s|$)",
    "django": r"manage\.py test",
    "go": r"(?:go test|gotestsum|ginkgo)(?=\s|$)",
    "maven": r"(?:mvnw?)(?:\s+\S+)*?\s+(?:test|verify|install|integration-test)(?=\s|$)",
    "gradle": r"(?:gradlew?)(?:\s+\S+)*?\s+(?:test|check|build|integrationTest|intTest)(?=\s|$)",
    "vitest": r"vitest(?=\s|$)",
    "jest": r"jest(?=\s|$)",
    "npm": r"(?:npm|yarn|pnpm|bun)(?:\s+(?:run|-r|--silent))*\s+(?:t|test\S*|\S+:test\S*|e2e\S*|integration\S*)(?=\s|$)",
    "rspec": r"rspec(?=\s|$)",
    "rails": r"(?:rails|rake) (?:test|spec)\S*",
    "phpunit": r"(?:phpunit|pest|artisan test)(?=\s|$)",
    "cargo": r"cargo (?:test|nextest)",
    "dotnet": r"dotnet test",
    "mix": r"mix (?:test|coveralls)\S*",
    "tox": r"(?:tox|nox)(?=\s|$)",
    "make": r"(?:make|just|task) (?:\S*test\S*|check|integration\S*|e2e\S*)(?=\s|$)",
    "script": r"(?:\./|scripts?/|bin/|bash )\S*tests?(?:\.sh)?(?=\s|$)",
}
"""Tools, each with a pattern for the start of its command, which may follow `poetry run` or a similar prefix."""
_START = (
    r"^(?:(?:time|exec|sudo|xvfb-run|npx|uv run|poetry run|pipenv run|pdm run|hatch run|rye run|bundle exec|pnpm exec|yarn|dotenv"
    r"|python3?|php|coverage run|-m|--\S+|-\w+)\s+|\./|vendor/bin/|bin/|node_modules/\.bin/){0,6}"
)
_LINES = {tool: re.compile(_START + pattern) for tool, pattern in TOOLS.items()}
_SHELL = re.compile(r"[|<>;&`\n]|\$[({]|\$\w")
"""A line that matches needs a shell, or variables of the CI system, to run."""


def tool_of(line: str) -> str:
    """Return the tool in TOOLS that *line* starts; empty if there is none."""
    return next((tool for tool, pattern in _LINES.items() if pattern.match(line)), "") if len(line) <= MAX_LINE else ""


_OTHER = re.compile(r"(?<![a-z])(?:docker|compose|lint|mypy|typecheck|docs?|flake8|ruff|black|format|bench)(?![a-z])")
"""Words in lines that start containers themselves or run no tests."""


def is_test_line(line: str) -> bool:
    """Return whether *line* runs tests and works without a shell and without variables of the CI system."""
    return bool(tool_of(line)) and not _SHELL.search(line) and not _OTHER.search(line)


def test_name(line: str) -> str:
    """Return a name for the tests that *line* starts: their type if the line contains it, otherwise a name for the tool."""
    tool = tool_of(line)
    word = re.search(r"(?<![a-z])(integration|e2e|api|contract|acceptance|functional|smoke|unit)(?![a-z])", line.lower())
    return word[1] if word else {"playwright": "e2e", "newman": "api", "hurl": "api", "cypress": "cypress", "k6": "load"}.get(tool, "tests")
