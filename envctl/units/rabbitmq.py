"""RabbitMQ units: virtual hosts with the same exchanges, queues, bindings, policies and rights, copied through the management API.

A reset purges the queues and restores the seeded messages. Queues that were declared after the copy stay, empty, because the services under
test use them. Messages that a consumer has received and not acknowledged yet stay with that consumer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from envctl.units import DriverMissing, TemplateGone
from envctl.units.web import WebClient

MOST = 100_000
"""The maximum number of messages that are copied from one queue."""


def open_driver(properties: Mapping[str, Any]) -> RabbitmqDriver:
    return RabbitmqDriver(client(properties))


def client(properties: Mapping[str, Any]) -> WebClient:
    """Return a client of the server's management API.

    Raises:
        DriverMissing: The server has no management API.
    """
    if "management" not in properties["ports"]:
        raise DriverMissing("RabbitMQ's management API is not enabled", hint="`with: {management: true}`")
    return WebClient(f"http://{properties['host']}:{properties['ports']['management']}/api", properties)


class RabbitmqDriver:
    def __init__(self, web: WebClient) -> None:
        self._web = web

    def keep(self, base: str, template: str) -> None:
        self.drop(template)
        self._copy(base, template)

    def clone(self, template: str, unit: str) -> None:
        if self._web("GET", f"/vhosts/{part(template)}", allowed=(404,)).status_code == 404:
            raise TemplateGone(f"there is no virtual host '{template}'")
        self._copy(template, unit)

    def reset(self, template: str, unit: str) -> None:
        self.clone(template, unit)

    def drop(self, unit: str) -> None:
        self._web("DELETE", f"/vhosts/{part(unit)}", allowed=(404,))

    def close(self) -> None:
        self._web.close()

    def _copy(self, source: str, target: str) -> None:
        self._web("PUT", f"/vhosts/{part(target)}", json={})
        for right in self._web("GET", f"/vhosts/{part(source)}/permissions").json():
            given = {key: right[key] for key in ("configure", "write", "read")}
            self._web("PUT", f"/permissions/{part(target)}/{part(right['user'])}", json=given)
        self._web("POST", f"/definitions/{part(target)}", json=self._definitions(source))
        for queue in self._queues(target):
            self._web("DELETE", f"/queues/{part(target)}/{part(queue)}/contents", allowed=(400, 404, 405))
        for queue in self._queues(source):
            self._copy_messages(source, target, queue)

    def _definitions(self, host: str) -> dict[str, list[dict[str, Any]]]:
        """Return the definitions in the virtual host *host*.

        They are taken from the definitions of all hosts, because the broker fails if it is asked for one host with a non-ASCII name.
        """
        every = self._web("GET", "/definitions").json()
        kinds = ("queues", "exchanges", "bindings", "policies", "parameters")
        own = {kind: [each for each in every.get(kind, ()) if each.get("vhost") == host] for kind in kinds}
        return {kind: [{key: value for key, value in each.items() if key != "vhost"} for each in found] for kind, found in own.items()}

    def _queues(self, host: str) -> list[str]:
        """Return the queues that can be purged; a stream cannot be purged."""
        found = self._web("GET", f"/queues/{part(host)}").json()
        return [str(queue["name"]) for queue in found if queue.get("type") != "stream"]

    def _copy_messages(self, source: str, target: str, queue: str) -> None:
        wanted = {"count": MOST, "ackmode": "ack_requeue_true", "encoding": "base64"}
        for message in self._web("POST", f"/queues/{part(source)}/{part(queue)}/get", json=wanted).json():
            sent = {"routing_key": queue, "payload": message["payload"], "payload_encoding": message["payload_encoding"]}
            self._web("POST", f"/exchanges/{part(target)}/amq.default/publish", json={**sent, "properties": message["properties"] or {}})


def part(name: str) -> str:
    return quote(name, safe="")
