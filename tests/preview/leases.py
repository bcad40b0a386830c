"""A fake Kubernetes API with Lease objects."""

from __future__ import annotations

from typing import Any

from envctl.engines.kubernetes.api import ApiError


class Leases:
    """A Kubernetes API that stores only Leases and refuses an update with an outdated resource version."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.version = 0
        self.refuses = 0

    def get(self, version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        if self.refuses:
            raise ApiError(self.refuses, "no")
        return self.items.get(name)

    def list(self, version: str, kind: str, namespace: str) -> list[dict[str, Any]]:
        return list(self.items.values())

    def delete(self, version: str, kind: str, namespace: str, name: str, seen: str) -> None:
        if name in self.items and self.items[name]["metadata"]["resourceVersion"] != seen:
            raise ApiError(409, "changed")
        self.items.pop(name, None)

    def request(self, method: str, path: str, item: dict[str, Any]) -> dict[str, Any]:
        name, there = item["metadata"]["name"], self.items.get(item["metadata"]["name"])
        if (there is not None) != (method == "PUT"):
            raise ApiError(409 if there else 404, "no")
        if there is not None and item["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]:
            raise ApiError(409, "changed")
        self.version += 1
        self.items[name] = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self.version)}}
        return self.items[name]
