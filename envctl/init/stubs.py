"""Third parties: which variables speak of one, and the starter of its stub."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from envctl.init.meaning import split_url
from envctl.init.model import Api, Variable

_STEM = re.compile(r"([A-Z][A-Z0-9_]*?)_(?:(?:API|BASE|SERVICE|SERVER|HTTP)_?)*(?:URL|URI|ENDPOINT|HOST|API)")
_NOT_THIRD = re.compile(
    r"(?:APP|BASE|SITE|PUBLIC|FRONTEND|FRONT|BACKEND|WEB|CLIENT|HOME|ROOT|SERVER|SELF|API|SERVICE|HTTP|HTTPS|MY|TEST|PROXY)"
    r"|(?:NEXT_PUBLIC|VITE|REACT_APP|NUXT|EXPO)_.*|(?:HTTPS?|NO)_PROXY"
    r"|.*(?:CALLBACK|REDIRECT|WEBHOOK|CORS|ORIGIN|SENTRY|DOCS|LOGO|IMAGE|OTEL|LOG|TRACING|METRICS|GRAFANA|PROMETHEUS|JAEGER|HEALTH).*"
)
_OURS = re.compile(r"localhost|127\..*|0\.0\.0\.0|\[?::1\]?|host\.docker\.internal", re.IGNORECASE)


def third_party(variable: Variable) -> str:
    """The name of the third party whose address *variable* is; empty where it is none."""
    stem = _STEM.fullmatch(variable.name.upper())
    if stem is None or _NOT_THIRD.fullmatch(stem[1]):
        return ""
    parts = split_url(variable.value)
    is_address = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
    empty = not variable.value and re.search(r"(URL|URI|ENDPOINT)$", variable.name.upper())
    return stem[1].lower().replace("_", "-") if is_address or empty else ""


def is_elsewhere(variable: Variable) -> bool:
    """Whether its host is certainly not the developer's own machine."""
    parts = split_url(variable.value)
    return parts is not None and "." in (parts.hostname or "") and not is_local(parts.hostname or "")


def is_local(host: str) -> bool:
    return _OURS.fullmatch(host) is not None


def path_of(variable: Variable) -> str:
    parts = split_url(variable.value)
    return parts.path.rstrip("/") if parts is not None else ""


def starter(name: str, base: str, api: Api | None) -> str:
    """WireMock mappings to begin with: those of the OpenAPI document, else one that answers everything."""
    mappings = [_mapping(base, operation) for operation in api.operations] if api else []
    if not mappings:
        mappings = [_everything(name)]
    return json.dumps({"mappings": mappings}, indent=2, ensure_ascii=False) + "\n"


def _mapping(base: str, operation: tuple[str, str, int, str]) -> dict[str, Any]:
    method, path, status, body = operation
    response: dict[str, Any] = {"status": status}
    if status != 204:
        response |= {"headers": {"Content-Type": "application/json"}, "jsonBody": json.loads(body) if body else {}}
    return {
        "name": f"{method} {path}",
        "request": {"method": method, "urlPathPattern": _pattern(base + path)},
        "response": response,
    }


def _pattern(path: str) -> str:
    return "".join("[^/]+" if part.startswith("{") else re.escape(part).replace(r"\-", "-") for part in re.split(r"(\{[^}]*\})", path))


def _everything(name: str) -> dict[str, Any]:
    answer = {"status": 200, "headers": {"Content-Type": "application/json"}, "jsonBody": {"stub": name}}
    return {
        "name": "everything",
        "priority": 10,
        "request": {"method": "ANY", "urlPathPattern": "/.*"},
        "response": answer,
    }


def api_of(name: str, hosts: Sequence[str], apis: Sequence[Api]) -> Api | None:
    """The OpenAPI document of the third party *name*: by the host that both name, else by the words of its path."""
    for api in apis:
        words = re.split(r"[^a-z0-9]+", f"{api.file.parent.name} {api.file.stem}".lower())
        if (api.host and api.host in hosts) or name in words or name.replace("-", "") in words:
            return api
    return None
