"""The files of KUBECONFIG as one, merged as kubectl does: of every name, and of the current context, the first that is said counts.

The SDK lets the last current context win, and refuses a name that two files have.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from envctl.errors import EngineMissing

LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}
PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
NO_CLUSTER = "set KUBECONFIG, or `kubectl config get-contexts`; `envctl doctor` says what works here"


def config_files(environ: Mapping[str, str]) -> str:
    return environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")


def read_kubeconfig(files: str) -> dict[str, Any] | None:
    """A kubeconfig with absolute paths; None where none of the *files* is there.

    Raises:
        EngineMissing: one cannot be read.
    """
    found = [told for path in files.split(os.pathsep) if path and (told := _read(Path(path))) is not None]
    if not found:
        return None
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
    for many in LISTS:
        named = {str(entry.get("name")): entry for told in reversed(found) for entry in reversed(told[many])}
        merged[many] = list(reversed(named.values()))
    merged["current-context"] = next((name for told in found if (name := told["current-context"])), "")
    return merged


def _read(path: Path) -> dict[str, Any] | None:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast: certificates are long
    try:
        told = yaml.load(path.read_bytes(), loader) or {}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EngineMissing(f"the kubeconfig {path} cannot be read: {error.strerror}", hint=NO_CLUSTER) from None
    except (yaml.YAMLError, ValueError) as error:
        raise EngineMissing(f"the kubeconfig {path} is not valid YAML: {' '.join(str(error).split())}", hint=NO_CLUSTER) from None
    if not isinstance(told, dict):
        raise EngineMissing(f"the kubeconfig {path} cannot be read: it is not a mapping", hint=NO_CLUSTER)
    folder = os.path.dirname(os.path.abspath(path))
    lists = {many: _entries(told.get(many), one, folder) for many, one in LISTS.items()}
    return {**lists, "current-context": str(told.get("current-context") or "")}


def _entries(entries: Any, one: str, folder: str) -> list[dict[str, Any]]:
    found = [each for each in entries or [] if isinstance(each, dict) and isinstance(each.get(one), dict)]
    return [{"name": str(each.get("name")), one: _absolute(each[one], folder)} for each in found]


def _absolute(told: dict[str, Any], folder: str) -> dict[str, Any]:
    found: dict[str, Any] = {key: os.path.join(folder, told[key]) for key in PATHS if isinstance(told.get(key), str) and told[key]}
    plugin = told.get("exec")
    if isinstance(plugin, dict) and os.sep in str(plugin.get("command", "")):  # a bare name is one of PATH
        found["exec"] = {**plugin, "command": os.path.join(folder, str(plugin["command"]))}
    return told | found


def proxy_of(cluster: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    """The proxy through which a cluster is reached: what its entry says, else what the variables say.

    As with Go's programs, no variable leads to this machine's own addresses through a proxy.
    """
    if cluster.get("proxy-url"):
        return str(cluster["proxy-url"])
    server = urlsplit(str(cluster.get("server", "")))
    name = f"{server.scheme or 'https'}_proxy"
    proxy = environ.get(name) or environ.get(name.upper())
    if not proxy or _loopback(server.hostname or "") or _left_out(server.geturl(), environ.get("no_proxy") or environ.get("NO_PROXY", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _left_out(url: str, no_proxy: str) -> bool:
    from requests.utils import should_bypass_proxies

    return bool(no_proxy) and bool(should_bypass_proxies(url, no_proxy))
