"""Read recorded Keploy tests: the responses of third parties, as WireMock mappings for stubs, and the servers that were called.

A test set has a `mocks.yaml` with one YAML document for each exchange. A document of `kind: Http` contains the request and the
response. Exchanges with databases are recorded as network traffic; the environment runs a real server for these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from envctl.definition.source import displayed, parse_all
from envctl.definition.yaml_parser import YamlError
from envctl.errors import DefinitionError, Problem, UsageError
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file
from envctl.init.model import Driver, Recording
from envctl.init.project_files import ProjectFiles, as_map

FILES = ("mocks.yaml", "mocks.yml")
LARGEST = 20_000_000
"""The largest file of mocks that is read, in bytes."""
MAX_EXCHANGES = 50_000
"""The largest number of exchanges in a file. A recorded exchange takes about a thousand bytes."""
MAX_MAPPINGS = 2000
SERVERS = {"Postgres": "postgres", "PostgresV2": "postgres", "MySQL": "mariadb", "Mongo": "mongo", "Redis": "valkey", "Kafka": "kafka"}
"""Keploy's kinds of mocks that belong to a server, each with the kind of the server in envctl."""
NAMELESS = "third-party"
"""The name of the host for requests recorded without a host, as older versions of Keploy do."""
_OF_CONNECTION = frozenset([
    "connection", "content-encoding", "content-length", "date", "keep-alive", "server", "set-cookie", "transfer-encoding",
])  # fmt: skip
"""Headers, in lower case, that belong to the recorded connection and are left out of mappings."""


def read_recordings(folder: Path) -> tuple[list[Recording], list[Driver]]:
    """Return the recorded responses of each host, and a driver for each kind of server that was called.

    Raises:
        UsageError: *folder* contains no mocks, or a file of mocks cannot be read.
        DefinitionError: a file of mocks is broken.
    """
    files = ProjectFiles.read(folder).named(*FILES)
    if not files:
        raise UsageError(f"--from-keploy {folder}: it contains no mocks.yaml", hint="`keploy record` writes to a folder called keploy")
    hosts: dict[str, dict[str, dict[str, Any]]] = {}
    servers: dict[str, Driver] = {}
    for path in files:
        for mock in _documents(folder / path, folder):
            kind, spec = str(mock.get("kind")), as_map(mock.get("spec"))
            if kind == "Http":
                host, request, mapping = _mapping(str(mock.get("name")), as_map(spec.get("req")), as_map(spec.get("resp")))
                hosts.setdefault(host, {}).setdefault(request, mapping)
            elif kind in SERVERS:
                servers.setdefault(SERVERS[kind], Driver(SERVERS[kind], f"mocks of {kind}", path))
    return [Recording(host, tuple(list(found.values())[:MAX_MAPPINGS])) for host, found in hosts.items()], list(servers.values())


def _documents(file: Path, root: Path) -> Iterator[dict[str, Any]]:
    shown = displayed(file)
    try:
        text = read_file(file, root, largest=LARGEST).decode("utf-8-sig")
    except (FileRefused, OSError, UnicodeDecodeError) as error:
        hint = f"mocks in UTF-8, at most {LARGEST // 1_000_000} MB a file: leave out test sets that the environment does not need"
        raise UsageError(f"{shown} cannot be read: {error}", hint=hint) from None
    try:
        for number, (document, source) in enumerate(parse_all(text, shown), 1):
            if number > MAX_EXCHANGES:
                message = f"there are more than {MAX_EXCHANGES:,} exchanges in this file"
                raise DefinitionError([source.problem((), message, "leave out test sets that the environment does not need")])
            if not isinstance(document, dict):
                raise DefinitionError([source.problem((), "this is not a mock of Keploy", "a mock is a map: `kind: Http`")])
            yield document
    except YamlError as error:
        raise DefinitionError([Problem(shown, error.line, "", error.message, error.hint)]) from None


def _mapping(name: str, request: dict[str, Any], response: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Return the requested host, a key that is the same for equal requests, and the WireMock mapping."""
    parts = _split(str(request.get("url") or "/"))
    headers = {str(key).lower(): str(value) for key, value in as_map(request.get("header")).items()}
    matched: dict[str, Any] = {"method": str(request.get("method") or "ANY").upper(), "urlPath": parts.path or "/"}
    if query := dict(parse_qsl(parts.query, keep_blank_values=True)):
        matched["queryParameters"] = {key: {"equalTo": value} for key, value in query.items()}
    if body := _json(request.get("body")):
        matched["bodyPatterns"] = [{"equalToJson": body, "ignoreArrayOrder": True, "ignoreExtraElements": True}]
    host = parts.netloc.rpartition("@")[2] or headers.get("host") or NAMELESS
    return host.lower(), json.dumps(matched, sort_keys=True), {"name": name, "request": matched, "response": _response(response)}


def _split(url: str) -> Any:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("/")


def _response(response: dict[str, Any]) -> dict[str, Any]:
    status = response.get("status_code")
    found: dict[str, Any] = {"status": status if isinstance(status, int) and 100 <= status <= 599 else 200}
    kept = {str(key): str(value) for key, value in as_map(response.get("header")).items() if str(key).lower() not in _OF_CONNECTION}
    if kept:
        found["headers"] = kept
    body = response.get("body")
    if (parsed := _json(body)) is not None:
        found["jsonBody"] = parsed
    elif body:
        found["body"] = str(body)
    return found


def _json(body: object) -> Any:
    """Return the parsed *body* if it is a JSON map or list, otherwise None."""
    try:
        parsed = json.loads(body) if isinstance(body, str) else None
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, (dict, list)) else None


def host_name(host: str) -> str:
    """Return the part of *host* that names its owner, for example `stripe` for `api.stripe.com`."""
    name = host.partition(":")[0]
    labels = [label for label in name.split(".") if label not in ("api", "www")]
    is_name = len(labels) > 1 and not re.fullmatch(r"[\d.]+", name)
    return labels[-2] if is_name else host
