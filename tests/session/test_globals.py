"""Tests that modules of envctl keep no global state, and that this process's environment variables are not used to pass values."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import envctl

PACKAGE = Path(envctl.__file__).parent
ALONE = ("keeper", "servers")
"""Packages that run as separate programs, one process each."""
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in ALONE)
MUTABLE = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
MAKERS = {
    "dict", "list", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter", "Lock", "RLock", "Event", "Condition", "Queue",
    "SimpleQueue", "count", "local", "ContextVar",
}  # fmt: skip
CHANGING = ("append", "add", "update", "clear", "pop", "setdefault", "extend", "remove", "discard", "insert", "set")
READS = frozenset(["os.environ", "os.environb", "os.getenv", "os.getenvb"])
READERS = ("session", "cli", *ALONE)
"""Packages that may read this process's environment variables: they create sessions, or run as separate programs."""
READ_ELSEWHERE = {
    "definition/compose_config.py": "Docker's program needs a PATH and a HOME, and those that a Python caller gives may have neither",
    "pytest_plugin/__init__.py": "pytest loads it into processes of others, and a session would import envctl into all of them",
}
ALLOWED = {
    "process/signals.py:_aside": "the handlers of signals, which are the process's",
    "process/signals.py:_asked": "signals are the process's, and only the command line installs handlers",
    "process/signals.py:_last": "which of them has come",
}


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a module assigns at import, and their values."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((ast.unparse(target), node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield ast.unparse(node.target), node.value


def is_mutable(value: ast.expr) -> bool:
    return isinstance(value, MUTABLE) or (isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] in MAKERS)


def changed(tree: ast.Module) -> set[str]:
    """Return the names that a function of the module changes: with `global`, an item, or a method that changes a container."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            found.update(node.names)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del) and isinstance(node.value, ast.Name):
            found.add(node.value.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            found.update([node.func.value.id] if node.func.attr in CHANGING else [])
    return found


def state_of(path: Path, text: str) -> list[str]:
    """Return the names in which a module keeps state between two calls; a constant in capitals that never changes is not state."""
    tree = ast.parse(text)
    touched = changed(tree)
    where = path.relative_to(PACKAGE).as_posix()
    names = [name for name, value in assigned(tree) if is_mutable(value) and not (name.strip("_").isupper() and name not in touched)]
    declared = [name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names]
    return [f"{where}:{name}" for name in dict.fromkeys([*names, *declared]) if name != "__all__"]


def written_variables(text: str) -> list[int]:
    """Return the lines that change this process's environment variables."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del) and ast.unparse(node.value).endswith("os.environ"):
            found.append(node.lineno)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            verbs = ("update", "pop", "setdefault", "clear", "popitem", "__setitem__", "__delitem__")
            if called in ("os.putenv", "os.unsetenv", *(f"os.environ.{verb}" for verb in verbs)):
                found.append(node.lineno)
        elif isinstance(node, ast.AugAssign) and ast.unparse(node.target).endswith("os.environ"):
            found.append(node.lineno)
    return found


def read_variables(text: str) -> list[str]:
    """Return each reference of a module to this process's environment variables."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        else:
            names = [f"{node.module}.{each.name}" for each in node.names] if isinstance(node, ast.ImportFrom) else []
        found += READS.intersection(names)
    return found


def test_no_module_holds_state() -> None:
    found = [each for path in MODULES for each in state_of(path, path.read_text("utf-8"))]
    assert sorted(found) == sorted(ALLOWED)


def test_no_variable_of_this_process_is_changed() -> None:
    found = {str(path): lines for path in MODULES if (lines := written_variables(path.read_text("utf-8")))}
    assert found == {}


def test_variables_of_this_process_are_read_at_the_edge_alone() -> None:
    """All other code gets its variables from the caller, as `Session.environ`."""
    inside = [path for path in MODULES if path.parent != PACKAGE and path.relative_to(PACKAGE).parts[0] not in READERS]
    found = {path.relative_to(PACKAGE).as_posix() for path in inside if read_variables(path.read_text("utf-8"))}
    assert found == set(READ_ELSEWHERE)


@pytest.mark.parametrize(
    "text", ["os.environ['A']", "os.getenv('A')", "f(os.environ)", "from os import environ", "def f(x=os.environ): pass"]
)
def test_what_reads_a_variable(text: str) -> None:
    assert len(read_variables(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "x = {}", "x = []", "x: set[str] = set()",
        "X = {}\ndef f(): X['a'] = 1", "X = []\ndef f(): X.append(1)", "x = None\ndef f():\n global x",
        "x = threading.Lock()", "import collections\nx = collections.defaultdict(list)",
    ],
)  # fmt: skip
def test_what_is_state(text: str) -> None:
    assert state_of(PACKAGE / "m.py", text) == ["m.py:x" if "x" in text.replace("X", "") else "m.py:X"]


@pytest.mark.parametrize("text", ["X = {1: 2}", "x = 1", "x = frozenset([1])", "__all__ = ['a']", "def f(): x = []"])
def test_what_is_none(text: str) -> None:
    assert state_of(PACKAGE / "m.py", text) == []


@pytest.mark.parametrize(
    "text", ["os.environ['A'] = 'b'", "del os.environ['A']", "os.environ.update(x)", "os.putenv('A', 'b')", "os.environ |= {}"]
)
def test_what_changes_a_variable(text: str) -> None:
    assert written_variables(text) == [1]
