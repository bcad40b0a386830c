"""Which daemon: `--context`, DOCKER_HOST, DOCKER_CONTEXT or the current context, read as Docker's own client reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envctl.engines.docker.api import Endpoint
from envctl.errors import EngineMissing, did_you_mean

DEFAULT = "unix:///var/run/docker.sock"


def find_endpoint(context: str | None, environ: Mapping[str, str]) -> tuple[Endpoint, str | None]:
    """The daemon's endpoint, and the context that says so.

    Args:
        context: a name, or a daemon's URL: so the record of an instance keeps what DOCKER_HOST said.

    Raises:
        EngineMissing: there is no such context.
    """
    if context is None and environ.get("DOCKER_HOST"):
        return _of_url(environ["DOCKER_HOST"], environ), None
    if context is not None and "://" in context:
        return _of_url(context, environ), context
    name = context or environ.get("DOCKER_CONTEXT") or _current(environ)
    if name == "default":
        return Endpoint(DEFAULT), context
    return _of_context(name, environ), name


def _of_url(url: str, environ: Mapping[str, str]) -> Endpoint:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    secure = verify or environ.get("DOCKER_TLS")
    folder = environ.get("DOCKER_CERT_PATH") or str(config_folder(environ))
    return Endpoint(url if "://" in url else f"tcp://{url}", folder if secure else None, verify)


def config_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _current(environ: Mapping[str, str]) -> str:
    found = _json(config_folder(environ) / "config.json").get("currentContext")
    return str(found or "default")


def _of_context(name: str, environ: Mapping[str, str]) -> Endpoint:
    folder, digest = config_folder(environ) / "contexts", hashlib.sha256(name.encode()).hexdigest()
    meta = _json(folder / "meta" / digest / "meta.json")
    if not meta:
        known = [str(_json(path).get("Name")) for path in folder.glob("meta/*/meta.json")]
        raise EngineMissing(f"there is no Docker context '{name}'", hint=did_you_mean(name, ["default", *known]))
    docker = meta.get("Endpoints", {}).get("docker", {})
    tls = folder / "tls" / digest / "docker"
    return Endpoint(docker.get("Host") or DEFAULT, str(tls) if tls.is_dir() else None, not docker.get("SkipTLSVerify"))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
