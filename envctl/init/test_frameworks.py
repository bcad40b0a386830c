"""Find the commands that start the project's tests from the test frameworks in use. To support another one, extend FRAMEWORKS."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import PurePosixPath

from envctl.definition.escaping import shell
from envctl.definition.expressions import escape
from envctl.init.api_tools import hurl, k6, karate_address, newman, unittests
from envctl.init.model import ROOT, TestCommand, service_name
from envctl.init.project_files import ProjectFiles, as_map
from envctl.init.python_runner import python_runner
from envctl.init.test_lines import tool_of

MAX_COMMANDS = 8
AGAINST_A_SYSTEM = ("e2e", "cypress", "api", "load")
_LOCKS = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun"}
_NPM_SCRIPTS = ("test:integration", "test:int", "test:api", "test:e2e", "test:contract", "test")


def test_commands(project: ProjectFiles, dependencies: Collection[str], of_ci: Collection[TestCommand]) -> list[TestCommand]:
    """Return the commands that start the tests, each with a unique name: the commands of CI, and tests that CI does not run."""
    in_ci = [test for test in of_ci if project.has(test.folder)]
    of_maven = {test.folder for test in in_ci if tool_of(test.command) == "maven"}
    in_ci = [test for test in in_ci if tool_of(test.command) != "gradle" or test.folder not in of_maven]  # duplicates Maven's tests
    # CI is assumed to run all tests of a folder, whatever their names, except tests against a running system.
    by_ci = {test.folder for test in in_ci}
    guessed = list(chain(_python(project, dependencies), *(find(project) for find in FRAMEWORKS)))
    in_ci = [_with_reports(test, guessed) for test in in_ci]
    tools = {(tool_of(test.command), test.folder) for test in in_ci}
    against = [test for test in guessed if test.folder not in by_ci or test.name in AGAINST_A_SYSTEM]
    others = [test for test in against if (tool_of(test.command), test.folder) not in tools]
    found: list[TestCommand] = []
    for test in (*in_ci, *others):
        found.append(test._replace(name=service_name(test.name, [other.name for other in found])))
    return found[:MAX_COMMANDS]


def _with_reports(test: TestCommand, guessed: Collection[TestCommand]) -> TestCommand:
    """Return *test* with the report files and the address option of a guessed command for the same tool and folder."""
    same = next((other for other in guessed if (tool_of(other.command), other.folder) == (tool_of(test.command), test.folder)), test)
    return test._replace(reports=same.reports, address=same.address)


def _python(project: ProjectFiles, dependencies: Collection[str]) -> Iterator[TestCommand]:
    found = list(_pytest(project, dependencies))
    yield from found or ([] if project.named("manage.py") else unittests(project))
    for path in project.named("manage.py")[:1]:
        if not found and (project.named("tests.py", "test_*.py")):
            yield TestCommand("tests", f"{python_runner(project, path.parent)}python manage.py test", path.parent, str(path))


def _pytest(project: ProjectFiles, dependencies: Collection[str]) -> Iterator[TestCommand]:
    marks = project.named("pytest.ini", "conftest.py", "test_*.py")
    if not marks or not (project.named("pytest.ini", "conftest.py") or "pytest" in dependencies):
        return
    folder = next(
        (path.parent for path in project.named("pyproject.toml", "pytest.ini", "setup.py", "setup.cfg", "requirements*.txt")),
        marks[0].parent,
    )
    inside = [path for path in marks if path.is_relative_to(folder)] or marks
    integration = next((part for path in inside for part in path.parents if part.name in ("integration", "e2e")), None)
    start = f"{python_runner(project, folder)}python"
    target = f" {integration.relative_to(folder)}" if integration and integration.is_relative_to(folder) else ""
    yield TestCommand(integration.name if target and integration else "tests", f"{start} -m pytest{target}", folder, str(inside[0]))


def _npm(project: ProjectFiles) -> Iterator[TestCommand]:
    for path in project.named("package.json")[:MAX_COMMANDS]:
        tree = project.tree(path)
        scripts = as_map(tree.get("scripts"))
        found = [name for name in _NPM_SCRIPTS if isinstance(text := scripts.get(name), str) and "no test specified" not in text]
        special = [name for name in found if name != "test"]
        for name in special or found:
            yield TestCommand(
                _script_name(name, path),
                _npm_command(project, path.parent, name, scripts[name]),
                path.parent,
                f"{path}: scripts",
            )
        if not found:
            yield from _node_framework(path, {*as_map(tree.get("devDependencies")), *as_map(tree.get("dependencies"))})


def _script_name(script: str, path: PurePosixPath) -> str:
    name = script.partition(":")[2] or "tests"
    return name if path.parent == ROOT else f"{path.parent.name}-{name}"


def _npm_command(project: ProjectFiles, folder: PurePosixPath, script: str, text: str) -> str:
    if text.strip() == "vitest":
        return "npx vitest run"  # Without `run`, vitest would keep running and watch the files.
    manager = next((tool for lock, tool in _LOCKS.items() if project.has(folder / lock)), "npm")
    return f"{manager} test" if script == "test" and manager != "bun" else f"{manager} run {script}"


def _node_framework(path: PurePosixPath, names: set[str]) -> Iterator[TestCommand]:
    for name, command in (("vitest", "npx vitest run"), ("jest", "npx jest"), ("mocha", "npx mocha")):
        if name in names:
            yield TestCommand(_script_name("test", path), command, path.parent, f"{path}: {name}")
            return


def _config(pattern: str, name: str, command: str) -> Callable[[ProjectFiles], Iterator[TestCommand]]:
    """Return a function that yields *command* for each configuration file matching *pattern*, unless an npm script runs it already."""

    def find(project: ProjectFiles) -> Iterator[TestCommand]:
        for path in project.named(pattern)[:2]:
            scripts = as_map(project.tree(path.parent / "package.json").get("scripts"))
            if not any(command in str(scripts.get(name)) for name in _NPM_SCRIPTS):
                yield TestCommand(name, command, path.parent, str(path))

    return find


def _go(project: ProjectFiles) -> Iterator[TestCommand]:
    for path in project.named("go.mod")[:5]:
        if any(other.name.endswith("_test.go") for other in project.below(path.parent)):
            # A cached result would not be about this environment.
            yield TestCommand(path.parent.name or "tests", "go test -count=1 ./...", path.parent, str(path))


def _maven(project: ProjectFiles) -> Iterator[TestCommand]:
    path = project.first("pom.xml")
    if path:
        program = "./mvnw" if project.has(path.parent / "mvnw") else "mvn"
        reports = ("target/surefire-reports/*.xml", "target/failsafe-reports/*.xml")
        yield TestCommand("tests", f"{program} --batch-mode verify", path.parent, str(path), reports, karate_address(project))


def _gradle(project: ProjectFiles) -> Iterator[TestCommand]:
    path = project.first("settings.gradle*", "build.gradle", "build.gradle.kts")
    if path and not project.has(path.parent / "pom.xml"):
        program = "./gradlew" if project.has(path.parent / "gradlew") else "gradle"
        address = karate_address(project)
        yield TestCommand("tests", f"{program} check", path.parent, str(path), ("build/test-results/**/*.xml",), address)


def _ruby(project: ProjectFiles) -> Iterator[TestCommand]:
    path = project.first("Gemfile")
    if path and project.has(path.parent / "spec"):
        yield TestCommand("tests", "bundle exec rspec", path.parent, f"{path.parent / 'spec'}")
    elif path and project.has(path.parent / "bin" / "rails"):
        yield TestCommand("tests", "bin/rails test", path.parent, f"{path.parent / 'bin' / 'rails'}")


def _others(project: ProjectFiles) -> Iterator[TestCommand]:
    for pattern, command in (
        ("phpunit.xml*", "vendor/bin/phpunit"),
        ("Cargo.toml", "cargo test"),
        ("*.sln", "dotnet test"),
        ("*.slnx", "dotnet test"),
        ("mix.exs", "mix test"),
    ):
        path = project.first(pattern)
        if path:
            yield TestCommand("tests", command, path.parent, str(path))


FRAMEWORKS = (
    _npm,
    _config("playwright.config.*", "e2e", "npx playwright test"),
    _config("cypress.config.*", "cypress", "npx cypress run"),
    newman,
    hurl,
    k6,
    _go,
    _maven,
    _gradle,
    _ruby,
    _others,
)


def in_folder(folder: PurePosixPath, command: str) -> str:
    """Return *command* as a test in `environments/`, where commands start without a shell: `sh -c` changes to *folder* first."""
    where = ".." if folder == ROOT else f"../{folder}"
    return escape(f"sh -c {shell(f'cd {_word(where)} && exec {command}')}")


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w@%+=:,./-]+", text) else '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'
