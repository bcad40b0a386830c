"""Lines of shell scripts that start tests: which they are, of which tool, and what a test of that tool is called."""

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
"""Tool to what a line of it has at its beginning, or behind `poetry run` and its like."""
_START = (
    r"^(?:(?:time|exec|sudo|xvfb-run|npx|uv run|poetry run|pipenv run|pdm run|hatch run|rye run|bundle exec|pnpm exec|yarn|dotenv"
    r"|python3?|php|coverage run|-m|--\S+|-\w+)\s+|\./|vendor/bin/|bin/|node_modules/\.bin/){0,6}"
)
_LINES = {tool: re.compile(_START + pattern) for tool, pattern in TOOLS.items()}
_SHELL = re.compile(r"[|<>;&`\n]|\$[({]|\$\w")
"""A line with these is more than a program and its arguments, or needs variables of the CI."""


def tool_of(line: str) -> str:
    """The tool that *line* starts; empty where it is none of TOOLS."""
    return next((tool for tool, pattern in _LINES.items() if pattern.match(line)), "") if len(line) <= MAX_LINE else ""


_OTHER = re.compile(r"(?<![a-z])(?:docker|compose|lint|mypy|typecheck|docs?|flake8|ruff|black|format|bench)(?![a-z])")
"""Words of lines that start containers by themselves, or no tests."""


def is_test_line(line: str) -> bool:
    return bool(tool_of(line)) and not _SHELL.search(line) and not _OTHER.search(line)


def test_name(line: str) -> str:
    """A test's name: what kind of tests its line speaks of, else the tool."""
    tool = tool_of(line)
    word = re.search(r"(?<![a-z])(integration|e2e|api|contract|acceptance|functional|smoke|unit)(?![a-z])", line.lower())
    return word[1] if word else {"playwright": "e2e", "newman": "api", "hurl": "api", "cypress": "cypress", "k6": "load"}.get(tool, "tests")
