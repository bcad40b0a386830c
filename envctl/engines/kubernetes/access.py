"""The connections and headers with which requests reach an API server.

Certificates and tokens of the kubeconfig go to urllib3 directly. Credentials that must be requested (from a plugin, an auth provider or the
service account of this pod) come from the Kubernetes SDK, which takes three times as long to import.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import urllib3

from envctl.engines.kubernetes.contexts import IN_CLUSTER, Context
from envctl.engines.kubernetes.credentials import credentials
from envctl.engines.kubernetes.kubeconfig import config_files, read_kubeconfig
from envctl.engines.kubernetes.socks import is_socks, lead_through
from envctl.errors import EngineMissing, EnvctlError
from envctl.keeper.cluster.api import Cluster
from envctl.keeper.cluster.protocol import impersonated

POOL = 32
"""The number of connections that a pool keeps open."""
ASKED = ("exec", "auth-provider")
"""The keys of a kubeconfig user whose credentials must be requested."""
Headers = list[tuple[str, str]]


class Access(NamedTuple):
    """How to reach an API server.

    Attributes:
        url: the URL of the server, without a slash at its end.
        headers: returns the headers that authenticate the user, and those that impersonate another one; a name may occur several times.
    """

    url: str
    pool: urllib3.PoolManager
    headers: Callable[[], Headers]


def access(context: Context, environ: Mapping[str, str]) -> Access:
    """Return how to reach the API server of *context*.

    Raises:
        EngineMissing: the context cannot be used.
    """
    if context.name == IN_CLUSTER or any(context.user.get(key) for key in ASKED):
        return _by_sdk(context, environ)
    try:
        cluster = Cluster(credentials(context), _nobody)
        more = {"ssl_context": tls} if (tls := cluster.tls()) else {}
    except (EnvctlError, OSError, ValueError) as error:
        raise _unusable(context, error) from None
    if name := cluster.told.get("tls_server_name"):
        more["server_hostname"] = name
    return Access(context.server.rstrip("/"), _pool(context.proxy, more), cluster.headers)


def _pool(proxy: str | None, more: Mapping[str, Any]) -> urllib3.PoolManager:
    if proxy is None or is_socks(proxy):
        pool = urllib3.PoolManager(maxsize=POOL, **more)
        return pool if proxy is None else lead_through(pool, proxy)
    parts = urlsplit(proxy)
    basic = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    return urllib3.ProxyManager(proxy, maxsize=POOL, proxy_headers=urllib3.make_headers(proxy_basic_auth=basic), **more)


def _nobody(*_: Any) -> Any:
    raise AssertionError("no plugin is asked here")


def _by_sdk(context: Context, environ: Mapping[str, str]) -> Access:
    from kubernetes import client
    from kubernetes.config import ConfigException, load_incluster_config, load_kube_config_from_dict

    configuration = client.Configuration()
    try:
        if context.name == IN_CLUSTER:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            config = read_kubeconfig(config_files(environ))
            with _errors_raised(context):
                load_kube_config_from_dict(config, context.name, configuration, persist_config=False)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, ValueError) as error:
        raise _unusable(context, error) from None
    socks = context.proxy if is_socks(context.proxy) else None
    configuration.connection_pool_maxsize = POOL
    configuration.proxy, configuration.no_proxy = None if socks else context.proxy, ""
    made = client.ApiClient(configuration)
    pool = made.rest_client.pool_manager
    if socks:
        lead_through(pool, socks)
    lock = threading.Lock()

    def headers() -> Headers:
        """Return the headers with the token, which the SDK refreshes when the token of a plugin has expired."""
        with lock, _errors_raised(context):
            settings: Any = made.configuration.auth_settings()
        given = [(each["key"], each["value"]) for each in settings.values() if each.get("in") == "header" and each.get("value")]
        return [*given, *impersonated(context.user)]

    return Access(made.configuration.host, pool, headers)


@contextmanager
def _errors_raised(context: Context) -> Iterator[None]:
    """Raise what the SDK only logs: if a plugin returns no credentials, the SDK continues without them.

    Raises:
        EngineMissing: the SDK has logged an error, which is part of the message.
    """
    said: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    if said:
        raise _unusable(context, f"its plugin returned no credentials: {' '.join(said[-1].split())}")


def _unusable(context: Context, error: object) -> EngineMissing:
    return EngineMissing(f"the context {context.name} cannot be used: {error}")
