"""Check that a response is one that the API's own OpenAPI document describes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
from jsonschema import Draft202012Validator

Document = dict[str, Any]


class Contract:
    def __init__(self, document: Document) -> None:
        self.document = document

    def check(self, response: httpx.Response) -> None:
        """Check a response, as an event hook of an httpx client."""
        response.read()
        schema = self._schema(response)
        # Local references (#/components/...) start at the root of the schema, so the components are added there.
        validator = Draft202012Validator({**schema, "components": self.document.get("components", {})})
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(response.json())]
        assert not errors, f"{_name(response)}: {'; '.join(errors)}"

    def _schema(self, response: httpx.Response) -> Document:
        responses = self._operation(response.request)["responses"]
        status = str(response.status_code)
        documented = ", ".join(responses)
        assert status in responses, f"{_name(response)} is not documented, only {documented}: {response.text}"
        schema: Document = responses[status]["content"]["application/json"]["schema"]
        return schema

    def _operation(self, request: httpx.Request) -> Document:
        # /customers/me comes before /customers/{id}: a literal path takes precedence over a parameter.
        found = sorted(self._operations(request), key=lambda pair: pair[0].count("{"))
        assert found, f"{request.method} {request.url.path} is not documented"
        return found[0][1]

    def _operations(self, request: httpx.Request) -> Iterator[tuple[str, Document]]:
        for template, operations in self.document["paths"].items():
            pattern = re.sub(r"\\{[^/]+\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, request.url.path) and request.method.lower() in operations:
                yield template, operations[request.method.lower()]


def _name(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.path} -> {response.status_code}"
