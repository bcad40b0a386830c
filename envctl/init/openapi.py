"""OpenAPI documents: a path that tells that the API is ready, and what a stub of somebody else's API would answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from envctl.init.model import Api, Name
from envctl.init.project import Project

METHODS = ("get", "post", "put", "patch", "delete")
MAX_OPERATIONS = 50
MAX_DOCUMENTS = 20
HEALTH = (
    "/healthz",
    "/health",
    "/readyz",
    "/ready",
    "/livez",
    "/health/ready",
    "/api/health",
    "/api/healthz",
    "/status",
    "/ping",
)


def apis(project: Project) -> list[Api]:
    """The documents of the project, whatever their names: one has `openapi` or `swagger` as a key."""
    candidates = project.named("*openapi*.y*ml", "*openapi*.json", "*swagger*.y*ml", "*swagger*.json", "api.y*ml", "*.openapi.y*ml")
    below = [path for path in project.named("*.yaml", "*.yml", "*.json") if {"openapi", "contracts"} & set(path.parts[:-1])]
    paths = list(dict.fromkeys([*candidates, *below]))[:MAX_DOCUMENTS]
    return [api for path in paths if (api := _api(path, project.tree(path))) is not None]


def ready_path(api: Api) -> str:
    """The path that best tells whether the API is ready; empty where none can be asked."""
    known = next((path for path in HEALTH if path in api.plain), "") or next(iter(api.plain), "")
    return f"{api.base}{known}" if known else ""


def _api(file: Name, tree: dict[str, Any]) -> Api | None:
    paths = tree.get("paths")
    if not isinstance(paths, dict) or not ({"openapi", "swagger"} & tree.keys()):
        return None
    url = _server(tree)
    host = "" if re.fullmatch(r"localhost|127\..*|0\.0\.0\.0|.*[{}].*|.*\.local|", url.hostname or "") else url.hostname or ""
    operations = [*_operations(paths, tree)][:MAX_OPERATIONS]
    base = url.path.rstrip("/") if re.fullmatch(r"[\w./-]*", url.path) else ""
    return Api(file, host, base, tuple(operations), tuple(_plain(paths, tree)))


def _server(tree: dict[str, Any]) -> Any:
    servers = tree.get("servers")
    first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], dict) else {}
    text = str(first.get("url") or "")
    if tree.get("swagger"):
        text = f"//{tree.get('host') or ''}{tree.get('basePath') or ''}"
    try:
        return urlsplit(text)
    except ValueError:
        return urlsplit("")


def _operations(paths: dict[str, Any], tree: dict[str, Any]) -> Iterator[tuple[str, str, int, str]]:
    for path, item in paths.items():
        for method in METHODS:
            operation = _map(item).get(method)
            if isinstance(operation, dict) and str(path).startswith("/"):
                status, body = _answer(_map(operation.get("responses")), tree)
                yield method.upper(), str(path), status, body


def _answer(responses: dict[str, Any], tree: dict[str, Any]) -> tuple[int, str]:
    """The first success, with its example where the document has one."""
    for status, response in responses.items():
        if re.fullmatch(r"2\d\d", str(status)):
            content = _map(_map(_resolved(response, tree)).get("content"))
            media = next((_map(value) for key, value in content.items() if "json" in str(key)), {})
            return int(status), _example(media, tree)
    return 200, ""


def _example(media: dict[str, Any], tree: dict[str, Any]) -> str:
    named = next(iter(_map(media.get("examples")).values()), None)
    schema = _map(_resolved(media.get("schema"), tree))
    for found in (media.get("example"), _map(_resolved(named, tree)).get("value"), schema.get("example")):
        if found is not None:
            return _json(found)
    return ""


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return ""


def _plain(paths: dict[str, Any], tree: dict[str, Any]) -> Iterator[str]:
    for path, item in paths.items():
        operation = _map(item).get("get")
        if not isinstance(operation, dict) or not re.fullmatch(r"/[\w./-]*", str(path)):
            continue
        parameters = [*_list(_map(item).get("parameters")), *_list(operation.get("parameters"))]
        required = any(_map(_resolved(parameter, tree)).get("required") for parameter in parameters)
        if not required and not operation.get("security", tree.get("security")):
            yield str(path)


def _resolved(value: object, tree: dict[str, Any]) -> object:
    """What a local `$ref` points to; one step, so that circles do no harm."""
    pointer = _map(value).get("$ref")
    if not isinstance(pointer, str) or not pointer.startswith("#/"):
        return value
    found: object = tree
    for part in pointer[2:].split("/"):
        found = _map(found).get(part.replace("~1", "/").replace("~0", "~"))
    return found


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
