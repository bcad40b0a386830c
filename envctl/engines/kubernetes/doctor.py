"""What `doctor` reports about the cluster: whether it answers, whether envctl may act on it, and which rights are missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from envctl.definition.source import read
from envctl.engines.kubernetes.api import Api, connect
from envctl.engines.kubernetes.contexts import find_context
from envctl.engines.protocol import Finding
from envctl.errors import EnvctlError
from envctl.process.threads import each
from envctl.session.session import Host

APPLIED = ("deployments", "jobs", "services", "configmaps", "secrets", "networkpolicies", "serviceaccounts")
RIGHTS = (
    *((verb, what) for what in APPLIED for verb in ("get", "list", "create", "patch", "delete")),
    *((verb, "pods") for verb in ("get", "list", "watch", "patch", "delete")), *((verb, "events") for verb in ("get", "list", "watch")),
    ("patch", "pods/status"), ("get", "pods/log"), ("get", "pods/portforward"), ("create", "pods/portforward"),
)  # fmt: skip
"""The verbs and resources that `up`, `status` and `down` need in a namespace."""
NAMESPACES = tuple((verb, "namespaces") for verb in ("get", "list", "watch", "create", "patch", "delete"))
"""The rights that `up`, `status` and `down` also need if each instance has its own namespace."""
GROUPS = {"deployments": "apps", "jobs": "batch", "networkpolicies": "networking.k8s.io", "rolebindings": "rbac.authorization.k8s.io"}


def findings(host: Host) -> Iterator[Finding]:
    """Yield what `doctor` finds out about kubectl, the kubeconfig and the cluster."""
    environ = host.environ
    program = shutil.which("kubectl", path=environ.get("PATH"))
    text = f"kubectl is {program}" if program else "there is no kubectl on the PATH"
    yield Finding("kubernetes", bool(program), text, "" if program else "not needed by envctl itself")
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    files = named or [Path(os.path.expanduser("~/.kube/config"))]
    context, file = _current_context(files)
    if context:
        yield _needed(True, f"the current context is {context} ({file})")
        yield from _cluster(environ)
    elif environ.get("KUBERNETES_SERVICE_HOST"):
        yield _needed(True, "this is a pod of a cluster")
    else:
        advice = "`kubectl config use-context NAME`, or set KUBECONFIG; `--context` names one for a command"
        yield _needed(False, f"no current context in {', '.join(map(str, files))}", advice)


def _needed(ok: bool, text: str, advice: str = "") -> Finding:
    return Finding("kubernetes", ok, text, advice, needed=True)


def _current_context(files: Iterable[Path]) -> tuple[str, Path | None]:
    """Return the current context and its file, from the first file that has one, as kubectl does; empty and None if none has."""
    for file in files:
        name = (read(file, file.parent).tree or {}).get("current-context") if os.path.isfile(file) else None
        if name:
            return str(name), file
    return "", None


def _cluster(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what `doctor` finds out about the cluster that `up` would use now."""
    try:
        context = find_context(environ.get("ENVCTL_CONTEXT") or None, environ)
        api = connect(context, environ)
        version = api.request("GET", "/version")
    except EnvctlError as error:
        yield _needed(False, error.message, error.hint)
        return
    yield _needed(True, f"Kubernetes {version.get('gitVersion', '')} answers at {context.server}")
    named = bool(environ.get("ENVCTL_CONTEXT"))
    advice = "" if context.local or named else f"name it: --context {context.name}, ENVCTL_CONTEXT, or `context` in envctl.toml"
    what = "named" if named else "of this machine" if context.local else "on another machine"
    yield _needed(named or context.local, f"the context {context.name} is {what}", advice)
    yield _rights(api, environ.get("ENVCTL_NAMESPACE") or None)


def _rights(api: Api, namespace: str | None) -> Finding:
    wanted = [*RIGHTS, *(() if namespace else NAMESPACES)]
    allowed = each(lambda right: _may(api, namespace or "default", *right), wanted)
    lacking = [right for right, ok in zip(wanted, allowed, strict=True) if not ok]
    if not namespace and lacking and ("create", "namespaces") not in lacking and _may(api, "default", "create", "rolebindings"):
        return _needed(True, "namespaces can be created, with the rights in them (`envctl cluster install`)")
    if not lacking:
        return _needed(True, f"the rights that `up` needs are there{f' in {namespace}' if namespace else ''}")
    advice = "an administrator can grant them with `envctl cluster install`"
    advice += "" if namespace else "; `--namespace NS` needs them in one namespace only"
    return _needed(False, f"rights are missing: {', '.join(_grouped(lacking))}", advice)


def _grouped(rights: Iterable[tuple[str, str]]) -> list[str]:
    verbs: dict[str, list[str]] = {}
    for verb, what in rights:
        verbs.setdefault(what, []).append(verb)
    return [f"{'/'.join(some)} {what}" for what, some in verbs.items()]


def _may(api: Api, namespace: str, verb: str, what: str) -> bool:
    """Return whether the user has this right, according to a SelfSubjectAccessReview."""
    resource, _, sub = what.partition("/")
    asked = {"namespace": namespace, "verb": verb, "resource": resource, "group": GROUPS.get(resource, "")}
    asked |= {"subresource": sub} if sub else {}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": asked}}
    answer = api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    return bool(answer.get("status", {}).get("allowed"))
