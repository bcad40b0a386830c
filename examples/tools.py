"""The tools: what each needs on this machine, how its suite is installed, and how its runs are known."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
API = ("status", "mail")
"""The `broken-*.yaml` that a suite of the API notices; one of the page notices all."""


@dataclass(frozen=True)
class Tool:
    """A folder of `examples/`.

    Args:
        needs: programs that have to be on PATH.
        install: a command, run in its folder.
        sign: what the command line of its own process has in it.
        words: what it prints of a test that failed.
        notices: which of the `broken-*.yaml` it goes red on.
        asked: it runs only when it is named.
    """

    needs: tuple[str, ...]
    install: tuple[str, ...]
    sign: str
    words: str
    notices: tuple[str, ...] = API
    asked: bool = False

    @property
    def missing(self) -> list[str]:
        return [program for program in self.needs if shutil.which(program) is None]


PIP = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt")
NPM = ("npm", "install", "--no-fund", "--no-audit")
MAVEN = ("mvn", "--batch-mode", "--quiet", "test-compile")
TOOLS = {
    "pytest": Tool((), PIP, "pytest pytest", "FAILED"),
    "testcontainers": Tool(("docker",), PIP, "pytest testcontainers", "FAILED", ("status",)),
    "newman": Tool(("node", "npm"), NPM, "newman run", "AssertionError"),
    "vitest": Tool(("node", "npm"), NPM, "vitest", "Failed Tests"),
    "playwright": Tool(("node", "npm", "chromium"), NPM, "--headless", "Error: ", ("status", "mail", "button")),
    "go": Tool(("go",), ("go", "mod", "download"), "shop.test", "FAIL"),
    "junit": Tool(("java", "mvn"), MAVEN, "surefirebooter", "There are test failures"),
    "karate": Tool(("java", "mvn"), MAVEN, "surefirebooter", "There are test failures"),
    "cypress": Tool(("node", "npm"), NPM, "Cypress", "AssertionError", ("status", "mail", "button"), asked=True),
    "keploy": Tool(("keploy",), (), "keploy test", "failed", (), asked=True),
}


def installed(name: str) -> bool:
    """Whether the packages of its lock file are there already: npm writes down what it has installed."""
    lock, done = (HERE / name / file for file in ("package-lock.json", "node_modules/.package-lock.json"))
    return lock.exists() and done.exists() and done.stat().st_mtime >= lock.stat().st_mtime
