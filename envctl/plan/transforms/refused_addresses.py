"""Problems of fixed addresses that no reference can replace: their place, and what would be right."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from envctl.definition.env_files import variables_of
from envctl.definition.expressions import has_expression
from envctl.definition.models import Service
from envctl.definition.source import TreePath
from envctl.environment import Environment
from envctl.errors import Problem
from envctl.files.folders import FileRefused
from envctl.plan.reading import texts
from envctl.plan.transforms.laned import Hosts, Laned, shared_instead
from envctl.plan.transforms.named_hosts import named


class _Text(NamedTuple):
    """A text of a service: its description, its place in the definition, and the name of its variable, if it is one."""

    called: str
    path: TreePath
    text: str
    key: str = ""


def refused(environment: Environment, own: Collection[str], name: str, hosts: Hosts, settled: Collection[str]) -> Iterator[Problem]:
    """Yield a problem for each text of service *name* that contains a fixed address of a service that each lane has its own copy of.

    Args:
        hosts: host names as the service sees them.
        settled: the variables whose addresses are already replaced.
    """
    service = environment.definition.services[name]
    for given in _texts(environment, name, service):
        if given.key in settled and given.path[2:3] == ("env",):
            continue
        for other in named(given.text, hosts, key=given.key, command=not given.key):
            if other.name != name or (name in own and service.from_compose and given.key):
                yield _problem(environment, own, name, given, other)


def _texts(environment: Environment, name: str, service: Service) -> Iterator[_Text]:
    """Yield the texts without references. Texts with references are not checked, because their authors know references."""
    at = ("services", name)
    for key, value in service.env.items():
        if isinstance(value, str) and not has_expression(value):
            yield _Text(key, (*at, "env", key), value, key)
    for index, file in enumerate(service.env_file):
        for key, value in _variables(environment, name, file).items():
            if key not in service.env:
                yield _Text(f"{key} in {file}", (*at, "env_file", index), value, key)
    for key, value in _pairs(service.compose.get("environment")):
        yield _Text(f"{key} in `compose:`", (*at, "compose", "environment"), value, key)
    for command in (service.run, service.command, service.compose.get("entrypoint"), service.compose.get("command")):
        if words := ["\0" if has_expression(word) else word for word in texts(command)]:
            yield _Text("the command", at, " ".join(words))


def _variables(environment: Environment, name: str, file: str) -> Mapping[str, str]:
    try:
        return variables_of(environment.loaded.path(file, ("services", name, "env_file")), environment.loaded.project, {})
    except (OSError, FileRefused):  # reported when the file is read for the plan
        return {}


def _pairs(given: object) -> Iterator[tuple[str, str]]:
    """Yield the variables of Compose's `environment:`, which is a map or a list."""
    listed = [str(each).partition("=")[::2] for each in given] if isinstance(given, list) else []
    items = given.items() if isinstance(given, Mapping) else listed
    yield from ((str(key), value) for key, value in items if isinstance(value, str))


def _problem(environment: Environment, own: Collection[str], name: str, given: _Text, other: Laned) -> Problem:
    source, service = environment.loaded.source, environment.definition.services[name]
    instead = shared_instead(environment, own, other.name)
    if name not in own:
        message = f"'{name}' is shared by all lanes, but refers to '{other.name}', which is separate in each lane, by a fixed address"
        return source.problem(given.path, f"{message} ({given.called})", f"`scope: lane` for '{name}'{instead}")
    message = f"{given.called} of '{name}' contains a fixed address of '{other.name}', which is separate in each lane"
    return source.problem(given.path, message, f"{_way(service, other, given)}{instead}")


def _way(service: Service, other: Laned, given: _Text) -> str:
    if not given.key:
        return f"give it a variable with `{other.url}`"
    alone = given.text in other.hosts
    item = f", and `{other.item(other.items[0])}` where it names what it uses there" if alone and other.items else ""
    where = "in a definition with `from:` this file, " if service.from_compose else ""
    return f"{where}`env: {{{given.key}: {other.host if alone else other.url}}}`{item}"
