"""The credentials of a context of the kubeconfig, in the form that `keeper/cluster/api.py` takes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envctl.engines.kubernetes.contexts import IN_CLUSTER, Context
from envctl.errors import EnvctlError


def credentials(context: Context) -> dict[str, Any]:
    """Return the server and the credentials of *context*, with the contents of the files that the kubeconfig names.

    The keeper cannot read YAML, and reads no file except the one with the token, because tokens expire.

    Raises:
        EnvctlError: a file cannot be read, or some entries are incomplete or contradict each other.
        OSError: the files of a pod's service account cannot be read.
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
    """Refuse incomplete or contradictory entries, as kubectl does, because a part of them would be ignored silently.

    A client key without a certificate is accepted beside other credentials, since kubectl ignores such a key.

    Raises:
        EnvctlError: the entries of *cluster* or *user* are incomplete or contradict each other.
    """
    cert, key = _has(user, "client-certificate"), _has(user, "client-key")
    others = any(user.get(name) for name in ("token", "tokenFile", "exec", "auth-provider", "username"))
    if cert != key and (cert or not others):  # with nothing but a key, kubectl asks for a user name
        has, lacks = ("client-certificate", "client-key") if cert else ("client-key", "client-certificate")
        raise EnvctlError(f"the kubeconfig's user has a {has}, but no {lacks}")
    if cluster.get("insecure-skip-tls-verify") and _has(cluster, "certificate-authority"):
        raise EnvctlError("the kubeconfig's cluster has insecure-skip-tls-verify, and a certificate-authority that would not be used")


def _has(entry: Mapping[str, Any], key: str) -> bool:
    return bool(entry.get(key) or entry.get(f"{key}-data"))


def _token_file(user: Mapping[str, Any]) -> str | None:
    """Return the path of the token file. The file may be missing if the user entry also has a token."""
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
