"""The choice of a cluster: a context of the kubeconfig, and whether envctl may act on it if the user has not named it.

The current context may be a production cluster. So envctl only acts on a context that the user names, or that is clearly on this machine.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from envctl.engines.kubernetes.kubeconfig import LISTS, NO_CLUSTER, config_files, read_kubeconfig
from envctl.engines.kubernetes.proxies import proxy_of
from envctl.errors import EngineMissing, UsageError, did_you_mean
from envctl.errors.printable import harmless

IN_CLUSTER = "in-cluster"
"""The name of the context for the cluster in which envctl itself runs as a pod, without a kubeconfig."""
LOCAL_NAMES = ("docker-desktop", "rancher-desktop", "minikube", "orbstack", "colima")
LOCAL_PREFIXES = ("kind-", "k3d-", "minikube-")
LOOPBACK_NAMES = ("localhost", "kubernetes.docker.internal", "host.docker.internal", "k8s.orb.local")


class Context(NamedTuple):
    """A context of the kubeconfig, with its cluster and its user."""

    name: str
    server: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    namespace: str = "default"
    proxy: str | None = None
    """The URL of the proxy through which the cluster is reached; None without a proxy."""

    @property
    def local(self) -> bool:
        """Whether the cluster is on this machine: by its address, or by its name if the address is a private one."""
        host = urlsplit(self.server).hostname or ""
        named = self.name in LOCAL_NAMES or self.name.startswith(LOCAL_PREFIXES)
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host in LOOPBACK_NAMES
        return address.is_loopback or _is_ours(host) or (named and address.is_private)


def _is_ours(address: str) -> bool:
    """Return whether *address* belongs to this machine, which is the case if a socket can be bound to it."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def find_context(name: str | None, environ: Mapping[str, str]) -> Context:
    """Return the context *name*; the current context if *name* is None.

    Raises:
        EngineMissing: the context does not exist, or the kubeconfig is missing or cannot be used.
    """
    files = config_files(environ)
    config = read_kubeconfig(files)
    if config is None:
        host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
        if name in (None, IN_CLUSTER) and host:
            return Context(IN_CLUSTER, f"https://{f'[{host}]' if ':' in host else host}:{port}", {}, {})
        raise EngineMissing(f"there is no kubeconfig at {files}", hint=NO_CLUSTER)
    contexts = _named(config, "contexts")
    wanted = name or str(config.get("current-context") or "")
    if not wanted:
        hint = f"name one with --context: {', '.join(contexts) or 'it has none'}"
        raise EngineMissing("the kubeconfig has no current context", hint=hint)
    if wanted not in contexts:
        raise EngineMissing(f"there is no Kubernetes context '{wanted}' in {files}", hint=did_you_mean(wanted, list(contexts)))
    entry = contexts[wanted]
    cluster = _named(config, "clusters").get(str(entry.get("cluster")), {})
    user = _named(config, "users").get(str(entry.get("user")), {})
    server = _server(wanted, str(entry.get("cluster") or ""), cluster)
    return Context(wanted, server, cluster, user, str(entry.get("namespace") or "default"), proxy_of(cluster, environ))


def _server(context: str, name: str, cluster: Mapping[str, Any]) -> str:
    """Return the URL of the API server.

    Raises:
        EngineMissing: the kubeconfig has no valid URL for this cluster.
    """
    told = str(cluster.get("server") or "")
    try:
        parts = urlsplit(told)
        good = parts.scheme in ("https", "http") and parts.hostname and (parts.port or True)
    except ValueError:
        good = False
    if not good:
        what = f"its cluster '{name}' has {f'the server {told}' if told else 'no server'}" if name else "it names no cluster"
        raise EngineMissing(
            f"the context {context} cannot be used: {what}", hint="write `server:` in the kubeconfig like https://10.1.2.3:6443"
        )
    return told


def approved(name: str | None, environ: Mapping[str, str]) -> Context:
    """Return the context to act on. If the user has not named it and it is not on this machine, ask for consent on the terminal.

    Raises:
        EngineMissing: as `find_context`.
        UsageError: the user declines, or there is no terminal to ask on.
    """
    context = find_context(name, environ)
    if name is not None or context.local:
        return context
    hint = f"name it: `--context {context.name}`, ENVCTL_CONTEXT, or `context` in envctl.toml"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        what = f"{context.name} ({context.server}), which was not named and is not on this machine"
        raise UsageError(f"the current Kubernetes context is {what}", hint=hint)
    sys.stderr.write(harmless(f"envctl: act on the Kubernetes context {context.name} ({context.server})? [y/N] "))
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError(f"not acting on {context.name}", hint=hint)
    return context


def _named(config: Mapping[str, Any], many: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry[LISTS[many]] for entry in config[many]}
