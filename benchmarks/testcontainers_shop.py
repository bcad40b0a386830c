"""Run the shop with testcontainers-python: `python -m benchmarks.testcontainers_shop IMAGE`.

The program prints `up` when all services are ready, and ends when its input ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

from benchmarks.programs import ROOT

try:
    from testcontainers.community.postgres import PostgresContainer
except ImportError:  # before 4.15
    from testcontainers.postgres import PostgresContainer

SHOP = ROOT / "environments" / "shop"
SERVERS = ROOT / "envctl" / "servers"


def containers(app: str) -> Iterator[DockerContainer]:
    """Yield the containers in the order of their dependencies, with the images of `environments/shop`."""
    yield PostgresContainer("postgres:17", username="shop", password="shop", dbname="shop").with_network_aliases("db")
    yield (
        DockerContainer("nats:2.10")
        .with_network_aliases("events")
        .with_exposed_ports(4222)
        .waiting_for(LogMessageWaitStrategy("Server is ready"))
    )
    yield (
        DockerContainer("axllent/mailpit:v1.33.1")
        .with_network_aliases("mail")
        .with_exposed_ports(1025, 8025)
        .waiting_for(HttpWaitStrategy(8025, "/readyz"))
    )
    yield (
        DockerContainer("python:3.13-slim")
        .with_network_aliases("payments")
        .with_exposed_ports(8080)
        .with_volume_mapping(SERVERS, "/opt/servers")
        .with_volume_mapping(SHOP / "stubs", "/opt/routes")
        .with_command("python3 -u /opt/servers/stub --host 0.0.0.0 --port 8080 --routes /opt/routes")
        .waiting_for(HttpWaitStrategy(8080, "/__admin/health"))
    )
    yield _own(app).with_command("python -m shop.notifications").waiting_for(LogMessageWaitStrategy("ready:"))
    yield _own(app).with_network_aliases("orders").with_exposed_ports(8000).waiting_for(HttpWaitStrategy(8000, "/healthz"))
    yield (
        DockerContainer("nginx:1.26")
        .with_exposed_ports(80)
        .with_volume_mapping(SHOP / "page", "/usr/share/nginx/html")
        .waiting_for(HttpWaitStrategy(80, "/"))
    )


def _own(app: str) -> DockerContainer:
    return DockerContainer(app).with_envs(
        DATABASE_URL="postgresql://shop:shop@db:5432/shop",
        NATS_URL="nats://events:4222",
        SMTP_URL="smtp://mail:1025",
        PAYMENTS_URL="http://payments:8080",
        PAYMENTS_KEY="sk_test",
        TOKEN_SECRET="for-tests-only-and-32-bytes-long",
    )


def main() -> None:
    with Network() as network, ExitStack() as stack:
        for container in containers(sys.argv[1]):
            stack.enter_context(container.with_network(network))
        print("up", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
