"""Combine containers of testcontainers with an instance, whose database replaces one of the containers."""

import os
import secrets
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import httpx
import pg8000.native
import pytest
import redis
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

# envctl removes containers with this label together with the instance, however the tests end.
OURS = {"envctl.instance": os.environ["ENVCTL_INSTANCE"]} if "ENVCTL_INSTANCE" in os.environ else {}


@pytest.fixture(scope="session")
def cache() -> Iterator[redis.Redis]:
    """Yield a client of a server that the environment does not have; it runs in a container of the tests."""
    container = DockerContainer("redis:8.0").with_exposed_ports(6379).with_kwargs(labels=OURS)
    with container.waiting_for(LogMessageWaitStrategy("Ready to accept connections")):
        yield redis.Redis(container.get_container_host_ip(), int(container.get_exposed_port(6379)), decode_responses=True)


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """Yield the URL of the instance's database; without envctl, start a container as before."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
    else:
        with PostgresContainer("postgres:17", driver=None) as container:
            yield container.get_connection_url()


@pytest.fixture(scope="session")
def database(database_url: str) -> Iterator[pg8000.native.Connection]:
    url = urlsplit(database_url)
    name, password = unquote(url.username or ""), unquote(url.password or "")
    connection = pg8000.native.Connection(name, url.hostname or "", unquote(url.path[1:]), url.port or 5432, password)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def api() -> Iterator[httpx.Client]:
    with httpx.Client(base_url=os.environ["API_URL"], timeout=30) as client:
        yield client


@pytest.fixture
def customer(api: httpx.Client) -> dict[str, str]:
    """Register a customer and log in; return the customer's data and the header for requests."""
    known = {"email": f"ada.{secrets.token_hex(8)}@example.com", "name": "Ada", "password": "correct horse battery"}
    assert api.post("/customers", json=known).status_code == 201
    token = api.post("/tokens", json=known).json()["access_token"]
    return known | {"Authorization": f"Bearer {token}"}
