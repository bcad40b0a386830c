"""The values of a plan that must not be printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from envctl.definition.expressions import ExpressionError
from envctl.definition.load import Loaded
from envctl.plan.addressing import TESTS
from envctl.plan.model import ServicePlan
from envctl.plan.reading import Reading
from envctl.plan.referenced_services import Subject

_NAMED = re.compile("passw|secret|token")
"""Matches the names of secret properties, such as `root_password`, which is derived from the password but has another value."""
SHORTEST_LINE = 12
"""The minimum length, in characters, of a line that is hidden by itself. Shorter ones (a brace, `type: x`) occur in unrelated texts."""
_FRAME = re.compile(r"-----(BEGIN|END) [^-]+-----")
"""Matches the first and the last line of a key, which are the same for all keys and not secret."""
_DERIVES = re.compile(r"\|\s*derived\b")


def secrets(reading: Reading, services: Iterable[ServicePlan], outputs: Mapping[str, str]) -> frozenset[str]:
    """Return secret variables and all passwords (given, generated, derived, in URLs of `--use`), but no name that the definition shows."""
    loaded, definition = reading.loaded, reading.loaded.definition
    values = set(loaded.secrets) | _of_compose(loaded)
    for subject in reading.resolver.subjects.values():
        values |= {str(value) for value in _passwords(reading, subject) if value}
    if definition is not None:
        values |= set(_derived(definition.outputs or {}, outputs))
        for service in services:
            values |= set(_derived(definition.services[service.name].env, service.env))
    return frozenset(values - loaded.names(reading.setting.name) - {""})


def _of_compose(loaded: Loaded) -> set[str]:
    """Return the secrets of a Compose file that are variables: each as a whole, and line by line, since a log prints them line by line."""
    named = (str((given or {}).get("environment")) for given in loaded.compose_extra.get("secrets", {}).values())
    values = {loaded.compose_variables[name].strip() for name in named if name in loaded.compose_variables}
    lines = (line.strip() for value in values if "\n" in value for line in value.splitlines())
    return values | {line for line in lines if len(line) >= SHORTEST_LINE and not _FRAME.fullmatch(line)}


def _passwords(reading: Reading, subject: Subject) -> Iterator[Any]:
    view = reading.resolver.view(subject.name, TESTS)
    for each in (view, *view["units"]):
        yield from (each[key] for key, what in subject.kind.credentials.items() if what == "password" and subject.parameters.get(key))
        yield from (item[key] for several in subject.several for item in each[several].values() for key in item if _NAMED.search(key))
    yield unquote(urlsplit(subject.url or "").password or "")
    for key in filter(_NAMED.search, subject.kind.properties):
        try:
            yield view[key]
        except (ExpressionError, KeyError):  # this service does not have the property; a reference to it is reported elsewhere
            continue


def _derived(written: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[str]:
    yield from (values[key] for key, text in written.items() if key in values and _DERIVES.search(str(text)))
