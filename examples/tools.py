"""The test tools: what each needs on this machine, how its suite is installed, and how its processes and failures are recognised."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
API = ("status", "mail")
"""The `broken-*.yaml` files that a suite of the API must fail on; a suite of the web page must fail on all."""


@dataclass(frozen=True)
class Tool:
    """A folder of `examples/`.

    Args:
        needs: Programs that must be on PATH.
        install: A command to run in the folder.
        sign: A part of the command line of the tool's own process.
        words: A part of the tool's output for a failed test.
        notices: The `broken-*.yaml` files that the suite must fail on.
        asked: Whether the tool runs only if it is named.
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
    """Return whether npm has installed the packages of the example's current lock file."""
    lock, done = (HERE / name / file for file in ("package-lock.json", "node_modules/.package-lock.json"))
    return lock.exists() and done.exists() and done.stat().st_mtime >= lock.stat().st_mtime
