"""Test frameworks: the command that starts the project's tests. Another framework is another function of RUNNERS."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from envctl.init.model import Name, Runner
from envctl.init.names import service_name
from envctl.init.project import Project

MAX_RUNNERS = 8
_LOCKS = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun"}
_NPM_SCRIPTS = ("test:integration", "test:int", "test:api", "test:e2e", "test:contract", "test")


def runners(project: Project, dependencies: Collection[str]) -> list[Runner]:
    """What starts the tests, each under a name of its own."""
    found: list[Runner] = []
    for find in RUNNERS:
        for runner in find(project, dependencies):
            name = service_name(runner.name, [other.name for other in found])
            found.append(Runner(name, runner.command, runner.folder, runner.because, runner.reports))
    return found[:MAX_RUNNERS]


def _pytest(project: Project, dependencies: Collection[str]) -> Iterator[Runner]:
    marks = project.named("pytest.ini", "conftest.py", "test_*.py")
    if not marks or not (project.named("pytest.ini", "conftest.py") or "pytest" in dependencies):
        return
    folder = next(
        (path.parent for path in project.named("pyproject.toml", "pytest.ini", "setup.py", "setup.cfg", "requirements*.txt")),
        marks[0].parent,
    )
    inside = [path for path in marks if path.is_relative_to(folder)] or marks
    integration = next((part for path in inside for part in path.parents if part.name in ("integration", "e2e")), None)
    start = _python_start(project, folder)
    target = f" {integration.relative_to(folder)}" if integration and integration.is_relative_to(folder) else ""
    yield Runner(integration.name if target and integration else "tests", f"{start} -m pytest{target}", folder, str(inside[0]))


def _python_start(project: Project, folder: Name) -> str:
    if project.has(folder / "uv.lock"):
        return "uv run python"
    return "poetry run python" if project.has(folder / "poetry.lock") else "python"


def _npm(project: Project, dependencies: Collection[str]) -> Iterator[Runner]:
    for path in project.named("package.json")[:MAX_RUNNERS]:
        tree = project.tree(path)
        scripts = _map(tree.get("scripts"))
        found = [name for name in _NPM_SCRIPTS if isinstance(text := scripts.get(name), str) and "no test specified" not in text]
        special = [name for name in found if name != "test"]
        for name in special or found:
            yield Runner(
                _script_name(name, path),
                _npm_command(project, path.parent, name, scripts[name]),
                path.parent,
                f"{path}: scripts",
            )
        if not found:
            yield from _node_framework(path, {*_map(tree.get("devDependencies")), *_map(tree.get("dependencies"))})


def _script_name(script: str, path: Name) -> str:
    own = script.partition(":")[2] or "tests"
    return own if path.parent == Name(".") else f"{path.parent.name}-{own}"


def _npm_command(project: Project, folder: Name, script: str, text: str) -> str:
    if text.strip() == "vitest":
        return "npx vitest run"  # without `run` it would watch the files for ever
    manager = next((tool for lock, tool in _LOCKS.items() if project.has(folder / lock)), "npm")
    return f"{manager} test" if script == "test" and manager != "bun" else f"{manager} run {script}"


def _node_framework(path: Name, names: set[str]) -> Iterator[Runner]:
    for name, command in (("vitest", "npx vitest run"), ("jest", "npx jest"), ("mocha", "npx mocha")):
        if name in names:
            yield Runner(_script_name("test", path), command, path.parent, f"{path}: {name}")
            return


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _config(pattern: str, name: str, command: str) -> Callable[[Project, Collection[str]], Iterator[Runner]]:
    """Tests that a configuration file gives away."""

    def find(project: Project, dependencies: Collection[str]) -> Iterator[Runner]:
        for path in project.named(pattern)[:2]:
            scripts = _map(project.tree(path.parent / "package.json").get("scripts"))
            if not any(command in str(scripts.get(name)) for name in _NPM_SCRIPTS):
                yield Runner(name, command, path.parent, str(path))

    return find


def _go(project: Project, dependencies: Collection[str]) -> Iterator[Runner]:
    for path in project.named("go.mod")[:5]:
        if any(other.name.endswith("_test.go") for other in project.below(path.parent)):
            # A cached result would say nothing of this environment.
            yield Runner(path.parent.name or "tests", "go test -count=1 ./...", path.parent, str(path))


def _maven(project: Project, dependencies: Collection[str]) -> Iterator[Runner]:
    path = next(iter(project.named("pom.xml")), None)
    if path:
        program = "./mvnw" if project.has(path.parent / "mvnw") else "mvn"
        reports = ("target/surefire-reports/*.xml", "target/failsafe-reports/*.xml")
        yield Runner("tests", f"{program} --batch-mode verify", path.parent, str(path), reports)


def _gradle(project: Project, dependencies: Collection[str]) -> Iterator[Runner]:
    path = next(iter(project.named("settings.gradle*", "build.gradle", "build.gradle.kts")), None)
    if path:
        program = "./gradlew" if project.has(path.parent / "gradlew") else "gradle"
        yield Runner("tests", f"{program} check", path.parent, str(path), ("build/test-results/**/*.xml",))


def _ruby(project: Project, dependencies: Collection[str]) -> Iterator[Runner]:
    path = next(iter(project.named("Gemfile")), None)
    if path and project.has(path.parent / "spec"):
        yield Runner("tests", "bundle exec rspec", path.parent, f"{path.parent / 'spec'}")
    elif path and project.has(path.parent / "bin" / "rails"):
        yield Runner("tests", "bin/rails test", path.parent, f"{path.parent / 'bin' / 'rails'}")


def _others(project: Project, dependencies: Collection[str]) -> Iterator[Runner]:
    for pattern, command in (
        ("phpunit.xml*", "vendor/bin/phpunit"),
        ("Cargo.toml", "cargo test"),
        ("*.sln", "dotnet test"),
    ):
        path = next(iter(project.named(pattern)), None)
        if path:
            yield Runner("tests", command, path.parent, str(path))


RUNNERS = (
    _pytest,
    _npm,
    _config("playwright.config.*", "e2e", "npx playwright test"),
    _config("cypress.config.*", "cypress", "npx cypress run"),
    _go,
    _maven,
    _gradle,
    _ruby,
    _others,
)


def from_folder(folder: Name, up: str, command: str) -> str:
    """*command* for a definition from which *up* leads to the root: there a test starts, without a shell."""
    where = up if folder == Name(".") else f"{up}/{folder}"
    return f"sh -c {_quoted(f'cd {_word(where)} && exec {command}')}"


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w@%+=:,./-]+", text) else '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
