"""Read OpenAPI documents: a path which shows that the API is ready, and responses for the stub of a third party's API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import SplitResult, urlsplit

from envctl.init.model import OpenApiDocument, Operation
from envctl.init.project_files import ProjectFiles, as_list, as_map

METHODS = ("get", "post", "put", "patch", "delete")
MAX_OPERATIONS = 50
MAX_DOCUMENTS = 20
HEALTH_PATHS = (
    "/healthz", "/health", "/readyz", "/ready", "/livez", "/health/ready", "/api/health", "/api/healthz", "/status", "/ping",
)  # fmt: skip


def openapi_documents(project: ProjectFiles) -> list[OpenApiDocument]:
    """Return the OpenAPI documents of the project. A document is recognised by its key `openapi` or `swagger`."""
    candidates = project.named("*openapi*.y*ml", "*openapi*.json", "*swagger*.y*ml", "*swagger*.json", "api.y*ml", "*.openapi.y*ml")
    below = [path for path in project.named("*.yaml", "*.yml", "*.json") if {"openapi", "contracts"} & set(path.parts[:-1])]
    paths = list(dict.fromkeys([*candidates, *below]))[:MAX_DOCUMENTS]
    return [document for path in paths if (document := _document(path, project.tree(path))) is not None]


def ready_path(document: OpenApiDocument) -> str:
    """Return the path that is the best readiness check of the API; empty if no path can be read without parameters and authentication."""
    known = next((path for path in HEALTH_PATHS if path in document.open_paths), "") or next(iter(document.open_paths), "")
    return f"{document.base_path}{known}" if known else ""


def _document(file: PurePosixPath, tree: dict[str, Any]) -> OpenApiDocument | None:
    paths = tree.get("paths")
    if not isinstance(paths, dict) or not ({"openapi", "swagger"} & tree.keys()):
        return None
    url = _first_server(tree)
    host = "" if re.fullmatch(r"localhost|127\..*|0\.0\.0\.0|.*[{}].*|.*\.local|", url.hostname or "") else url.hostname or ""
    operations = [*_operations(paths, tree)][:MAX_OPERATIONS]
    base_path = url.path.rstrip("/") if re.fullmatch(r"[\w./-]*", url.path) else ""
    return OpenApiDocument(file, host, base_path, tuple(operations), tuple(_open_paths(paths, tree)))


def _first_server(tree: dict[str, Any]) -> SplitResult:
    first = next(iter(as_list(tree.get("servers"))), None)
    text = str(as_map(first).get("url") or "")
    if tree.get("swagger"):
        text = f"//{tree.get('host') or ''}{tree.get('basePath') or ''}"
    try:
        return urlsplit(text)
    except ValueError:
        return urlsplit("")


def _operations(paths: dict[str, Any], tree: dict[str, Any]) -> Iterator[Operation]:
    for path, item in paths.items():
        for method in METHODS:
            operation = as_map(item).get(method)
            if isinstance(operation, dict) and str(path).startswith("/"):
                status, example = _answer(as_map(operation.get("responses")), tree)
                yield Operation(method.upper(), str(path), status, example)


def _answer(responses: dict[str, Any], tree: dict[str, Any]) -> tuple[int, str]:
    """Return the status code of the first successful response, and its example as JSON text; empty if the document has no example."""
    for status, response in responses.items():
        if re.fullmatch(r"2\d\d", str(status)):
            content = as_map(as_map(_resolved(response, tree)).get("content"))
            media = next((as_map(value) for key, value in content.items() if "json" in str(key)), {})
            return int(status), _example(media, tree)
    return 200, ""


def _example(media: dict[str, Any], tree: dict[str, Any]) -> str:
    named = next(iter(as_map(media.get("examples")).values()), None)
    schema = as_map(_resolved(media.get("schema"), tree))
    for found in (media.get("example"), as_map(_resolved(named, tree)).get("value"), schema.get("example")):
        if found is not None:
            return _json(found)
    return ""


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return ""


def _open_paths(paths: dict[str, Any], tree: dict[str, Any]) -> Iterator[str]:
    for path, item in paths.items():
        operation = as_map(item).get("get")
        if not isinstance(operation, dict) or not re.fullmatch(r"/[\w./-]*", str(path)):
            continue
        parameters = [*as_list(as_map(item).get("parameters")), *as_list(operation.get("parameters"))]
        required = any(as_map(_resolved(parameter, tree)).get("required") for parameter in parameters)
        if not required and not operation.get("security", tree.get("security")):
            yield str(path)


def _resolved(value: object, tree: dict[str, Any]) -> object:
    """Return the target of a local `$ref`, or *value* if it is none. Only one step is followed, so that cycles are harmless."""
    pointer = as_map(value).get("$ref")
    if not isinstance(pointer, str) or not pointer.startswith("#/"):
        return value
    found: object = tree
    for part in pointer[2:].split("/"):
        found = as_map(found).get(part.replace("~1", "/").replace("~0", "~"))
    return found
