"""The proxy through which a cluster is reached, by the rules of Go programs such as kubectl (golang.org/x/net/http/httpproxy).

Python's libraries read the variables differently: lower-case names first, and neither `*.corp` nor IPv6 networks in NO_PROXY.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from envctl.errors import EngineMissing
from envctl.keeper.cluster.proxy import PORTS as SPOKEN

PORTS = {"http": 80, "https": 443}


def proxy_of(cluster: Mapping[str, object], environ: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy from the cluster's entry in the kubeconfig, else from the environment variables; None without a proxy.

    The variables do not apply to loopback addresses.

    Raises:
        EngineMissing: the URL of the proxy is invalid, or envctl does not support its protocol.
        ValueError: the URL of the cluster's server is invalid.
    """
    server = urlsplit(str(cluster.get("server", "")))
    if told := str(cluster.get("proxy-url") or ""):
        return _usable("proxy-url", told)
    name = f"{server.scheme or 'https'}_proxy".upper()
    found = environ.get(name) or environ.get(name.lower())
    if not found or is_loopback(server.hostname or "") or _left_out(server, environ.get("NO_PROXY") or environ.get("no_proxy", "")):
        return None
    return _usable(name, found if "://" in found else f"http://{found}")


def _usable(name: str, proxy: str) -> str:
    try:
        parts = urlsplit(proxy)
        good = parts.scheme in SPOKEN and parts.hostname and (parts.port or True)
    except ValueError:
        good = False
    if not good:
        shown = proxy.rpartition("@")[2]  # the part before it may contain a password
        raise EngineMissing(
            f"{name}: envctl cannot reach a cluster through {shown}",
            hint="write a proxy like http://proxy.corp:3128 or socks5://127.0.0.1:1080",
        )
    return proxy


def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an address, always means this machine."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _left_out(server: SplitResult, no_proxy: str) -> bool:
    host, port = (server.hostname or "").rstrip("."), server.port or PORTS.get(server.scheme, 443)
    return any(_matches(host, port, entry.strip().lower()) for entry in no_proxy.split(","))


def _matches(host: str, port: int, entry: str) -> bool:
    """Match `*`, a network, an address or a name, the latter two with an optional port; a name also matches its subdomains."""
    if entry in ("", "*"):
        return entry == "*"
    address = _address(host)
    if "/" in entry:
        return address is not None and address in _network(entry)
    name, its_port = _parts(entry)
    if its_port not in ("", str(port)):
        return False
    if (own := _address(name)) is not None:
        return own == address
    name = name.removeprefix("*")
    return bool(name.strip(".")) and (host == name or host.endswith(f".{name.removeprefix('.')}"))


def _parts(entry: str) -> tuple[str, str]:
    """Return name and port; an IPv6 address with a port is written in brackets."""
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
        return name, port.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return ipaddress.ip_network("255.255.255.255/32")  # no server has this address
