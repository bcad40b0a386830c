"""A kubeconfig's entry with its files read, as `keeper/cluster/api.py` takes it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envctl.engines.kubernetes.contexts import IN_CLUSTER, Context
from envctl.errors import EnvctlError


def credentials(context: Context) -> dict[str, Any]:
    """The kubeconfig's entry with its files read: the keeper reads no YAML, and no file but a token's, which expires.

    Raises:
        EnvctlError: a file cannot be read, or its parts do not go together.
    """
    cluster, user = context.cluster, context.user
    if context.name == IN_CLUSTER:
        folder = Path("/var/run/secrets/kubernetes.io/serviceaccount")
        return {"server": context.server, "ca": (folder / "ca.crt").read_text(), "token_file": str(folder / "token")}
    _refuse_halves(cluster, user)
    return {
        "server": context.server,
        "ca": _pem(cluster, "certificate-authority"),
        "insecure": bool(cluster.get("insecure-skip-tls-verify")),
        "tls_server_name": cluster.get("tls-server-name"),
        "cert": _pem(user, "client-certificate"),
        "key": _pem(user, "client-key") if _has(user, "client-certificate") else None,
        "token": user.get("token"),
        "token_file": _token_file(user),
        "exec": _exec(user.get("exec")),
        "proxy": context.proxy,
        "impersonate": {key: value for key, value in user.items() if key.startswith("as")},
        "user": user.get("username"),
        "password": user.get("password"),
    }


def _refuse_halves(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    """What kubectl refuses, too: half of it would be left out without a word. A key beside other credentials it leaves out.

    Raises:
        EnvctlError
    """
    cert, key = _has(user, "client-certificate"), _has(user, "client-key")
    others = any(user.get(name) for name in ("token", "tokenFile", "exec", "auth-provider", "username"))
    if cert != key and (cert or not others):  # of a key alone kubectl makes nothing, and asks for a user name
        has, lacks = ("client-certificate", "client-key") if cert else ("client-key", "client-certificate")
        raise EnvctlError(f"the kubeconfig's user has a {has} and no {lacks}")
    if cluster.get("insecure-skip-tls-verify") and _has(cluster, "certificate-authority"):
        raise EnvctlError("the kubeconfig's cluster has insecure-skip-tls-verify, and a certificate-authority that would not be used")


def _has(entry: Mapping[str, Any], key: str) -> bool:
    return bool(entry.get(key) or entry.get(f"{key}-data"))


def _token_file(user: Mapping[str, Any]) -> str | None:
    """Where there is a token beside it, the file need not be there."""
    path = user.get("tokenFile")
    if path and user.get("token"):
        return path if Path(str(path)).is_file() else None
    return path if _read(path) else None


def _exec(told: Any) -> dict[str, Any] | None:
    if not isinstance(told, dict):
        return None
    env = {str(entry["name"]): str(entry.get("value") or "") for entry in told.get("env") or []}
    command = [str(told["command"]), *map(str, told.get("args") or [])]
    return {"command": command, "env": env, "api_version": str(told.get("apiVersion", ""))}


def _pem(entry: Mapping[str, Any], key: str) -> str | None:
    data = entry.get(f"{key}-data")
    if not data:
        return _read(entry.get(key))
    try:
        return base64.b64decode("".join(str(data).split()), validate=True).decode()
    except ValueError:
        raise EnvctlError(f"the kubeconfig's {key}-data is not base64 of a text") from None


def _read(path: Any) -> str | None:
    if not path:
        return None
    try:
        return Path(str(path)).read_text("utf-8").strip() + "\n"
    except OSError as error:
        raise EnvctlError(f"the kubeconfig names {path}, which cannot be read: {error.strerror}") from None
