"""The files of KUBECONFIG, merged as kubectl does: the first entry of each name counts, and the first current context.

The SDK uses the last current context instead, and refuses a name that occurs in two files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envctl.errors import EngineMissing

LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}
PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
INSECURE = "insecure-skip-tls-verify"
NO_CLUSTER = "set KUBECONFIG, or check `kubectl config get-contexts`; `envctl doctor` says what works here"


def config_files(environ: Mapping[str, str]) -> str:
    """Return the paths of the kubeconfig files, separated like those of PATH."""
    return environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")


def read_kubeconfig(files: str) -> dict[str, Any] | None:
    """Return the merged kubeconfig, with absolute paths; None if none of the *files* exists.

    Raises:
        EngineMissing: a file cannot be read, or is not a valid kubeconfig.
    """
    found = [told for path in files.split(os.pathsep) if path and (told := _read(Path(path))) is not None]
    if not found:
        return None
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
    for many in LISTS:
        named = {entry["name"]: entry for told in reversed(found) for entry in reversed(told[many])}
        merged[many] = list(reversed(named.values()))
    merged["current-context"] = next((name for told in found if (name := told["current-context"])), "")
    return merged


def _read(path: Path) -> dict[str, Any] | None:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, which matters because certificates are long
    try:
        told = next(yaml.load_all(path.read_bytes(), loader), None) or {}  # like kubectl, ignore further documents
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EngineMissing(f"the kubeconfig {path} cannot be read: {error.strerror}", hint=NO_CLUSTER) from None
    except (yaml.YAMLError, ValueError) as error:
        raise EngineMissing(f"the kubeconfig {path} is not valid YAML: {' '.join(str(error).split())}", hint=NO_CLUSTER) from None
    if not isinstance(told, dict):
        raise EngineMissing(f"the kubeconfig {path} cannot be read: it is not a mapping", hint=NO_CLUSTER)
    folder = os.path.dirname(os.path.abspath(path))
    lists = {many: _entries(path, told.get(many), many, folder) for many in LISTS}
    return {**lists, "current-context": str(told.get("current-context") or "")}


def _entries(path: Path, entries: Any, many: str, folder: str) -> list[dict[str, Any]]:
    if not isinstance(entries or [], Sequence) or isinstance(entries, str):
        raise EngineMissing(f"the kubeconfig {path} cannot be read: {many} is not a list", hint=NO_CLUSTER)
    one = LISTS[many]
    # As in kubectl, an entry without content hides the entries of the same name in later files.
    named = [each for each in entries or [] if isinstance(each, dict) and isinstance(each.get(one) or {}, dict)]
    found = [{"name": str(each.get("name") or ""), one: _absolute(each.get(one) or {}, folder)} for each in named]
    names = [each["name"] for each in found]
    if twice := [name for name in names if names.count(name) > 1]:
        what = f"two {many} named {twice[0]}" if twice[0] else f"two {many} without a name"
        raise EngineMissing(f"the kubeconfig {path} has {what}", hint="kubectl refuses that, too: rename one")
    for each in found:
        _check_insecure(path, f"the {one} {each['name']}", each[one])
    return found


def _check_insecure(path: Path, what: str, told: Any) -> None:
    """Raise EngineMissing unless the value is a boolean, because the text `"false"` would count as true."""
    if not isinstance(told.get(INSECURE) or False, bool):
        said = json.dumps(told[INSECURE], default=str)
        raise EngineMissing(f"the kubeconfig {path} cannot be read: {what} has {INSECURE}: {said}", hint="true or false, without quotes")


def _absolute(told: dict[str, Any], folder: str) -> dict[str, Any]:
    found: dict[str, Any] = {key: os.path.join(folder, told[key]) for key in PATHS if isinstance(told.get(key), str) and told[key]}
    plugin = told.get("exec")
    if isinstance(plugin, dict) and os.sep in str(plugin.get("command", "")):  # a bare name is looked up in PATH
        found["exec"] = {**plugin, "command": os.path.join(folder, str(plugin["command"]))}
    return told | found
