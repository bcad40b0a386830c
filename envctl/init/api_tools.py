"""Find tools that test a running system (Newman, Hurl, k6, Karate): their files, commands, and how each receives the address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from envctl.init.model import ROOT, TestCommand
from envctl.init.project_files import ProjectFiles, as_map

MAX_FILES = 50
_ADDRESS = re.compile(r"\{\{\s*([\w.-]{0,60}(?:url|host|base|server|domain)[\w.-]{0,60})\s*\}\}", re.IGNORECASE)
_K6 = re.compile(r"__ENV\.(\w{0,60}(?:URL|HOST|BASE)\w{0,60})")
_KARATE = re.compile(r"""karate\.properties\[["'](\w{0,60}(?:url|host)\w{0,60})["']\]""", re.IGNORECASE)


def newman(project: ProjectFiles) -> Iterator[TestCommand]:
    """Yield a command for each Postman collection, with the Postman environment file in the same folder, if there is one."""
    for path in project.named("*.postman_collection.json", "*collection*.json")[:2]:
        text = project.text(path, whole=True)
        if "getpostman.com/json/collection" not in text:
            continue
        beside = next((file for file in project.named("*.postman_environment.json") if file.parent == path.parent), None)
        options = f" -e {beside.name}" if beside else ""
        address = f"--env-var {match[1]}=" if (match := _ADDRESS.search(text)) else ""
        yield TestCommand("api", f"{_program(project, 'newman')} run {path.name}{options}", path.parent, str(path), address=address)


def _program(project: ProjectFiles, name: str) -> str:
    """Return `npx NAME` if a package.json of the project depends on *name*, otherwise *name*."""
    tables = [as_map(project.tree(path).get(key)) for path in project.named("package.json") for key in ("devDependencies", "dependencies")]
    return f"npx {name}" if any(name in table for table in tables) else name


def hurl(project: ProjectFiles) -> Iterator[TestCommand]:
    """Yield one command for each folder with Hurl files."""
    files = project.named("*.hurl")[:MAX_FILES]
    for folder in dict.fromkeys(path.parent for path in files):
        texts = (project.text(path) for path in files if path.parent == folder)
        name = next((match[1] for text in texts if (match := _ADDRESS.search(text))), "")
        yield TestCommand("api", "hurl --test *.hurl", folder, f"{folder}/*.hurl", address=f"--variable {name}=" if name else "")


def k6(project: ProjectFiles) -> Iterator[TestCommand]:
    """Yield a command for the first script that imports k6."""
    for path in [path for path in project.files if path.suffix in (".js", ".ts")][: MAX_FILES * 10]:
        text = project.text(path)
        if re.search(r"""from ["']k6(?:/http)?["']""", text):
            name = _K6.search(text)
            yield TestCommand("load", f"k6 run {path.name}", path.parent, str(path), address=f"-e {name[1]}=" if name else "")
            return


def karate_address(project: ProjectFiles) -> str:
    """Return the option that gives the address to the project's Karate tests; empty if there are none."""
    texts = (project.text(path) for path in project.named("karate-config.js", "karate-config*.js"))
    return next((f"-D{match[1]}=" for text in texts if (match := _KARATE.search(text))), "")


def unittests(project: ProjectFiles) -> Iterator[TestCommand]:
    """Yield a command for tests with Python's unittest: `tests.py`, or `test_*.py` files that import unittest."""
    for path in project.named("tests.py", "test_*.py")[:MAX_FILES]:
        if re.search(r"^(?:import|from) unittest\b", project.text(path), re.MULTILINE):
            is_module = path.name == "tests.py" and path.parent == ROOT
            folder = PurePosixPath(path.parts[0]) if len(path.parts) > 1 else ROOT
            command = "python -m unittest tests" if is_module else f"python -m unittest discover -s {folder}"
            yield TestCommand("tests", command, ROOT, str(path))
            return
