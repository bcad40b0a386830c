"""What `doctor` says of the cluster: does it answer, may it be acted on, and which rights are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from envctl.engines.kubernetes.api import Api, connect
from envctl.engines.kubernetes.contexts import find_context
from envctl.engines.kubernetes.instance import may
from envctl.errors import EnvctlError
from envctl.process.threads import each

Told = tuple[bool, str, str]
"""Whether it is well, what was found, what to do."""
APPLIED = ("deployments", "jobs", "services", "configmaps", "secrets", "networkpolicies", "serviceaccounts")
RIGHTS = (
    *(("patch", what) for what in APPLIED), ("patch", "pods"), ("delete", "pods"), ("watch", "pods"), ("watch", "events"),
    ("get", "pods/log"), ("get", "pods/portforward"), ("create", "pods/portforward"),
)  # fmt: skip
"""What `up` does in a namespace."""
GROUPS = {"deployments": "apps", "jobs": "batch", "networkpolicies": "networking.k8s.io"}


def examine(environ: Mapping[str, str]) -> Iterator[Told]:
    """Asks the cluster that would be used now."""
    try:
        context = find_context(environ.get("ENVCTL_CONTEXT") or None, environ)
        api = connect(context, environ)
        version = api.request("GET", "/version")
    except EnvctlError as error:
        yield False, error.message, error.hint
        return
    yield True, f"Kubernetes {version.get('gitVersion', '')} answers at {context.server}", ""
    named = bool(environ.get("ENVCTL_CONTEXT"))
    advice = "" if context.local or named else f"name it: --context {context.name}, ENVCTL_CONTEXT, or `context` in envctl.toml"
    yield (
        bool(context.local or named),
        f"the context {context.name} is {'named' if named else 'of this machine' if context.local else 'of somewhere else'}",
        advice,
    )
    yield _rights(api, environ.get("ENVCTL_NAMESPACE") or None)


def _rights(api: Api, namespace: str | None) -> Told:
    wanted = [*RIGHTS, *([] if namespace else [("create", "namespaces"), ("delete", "namespaces")])]
    allowed = each(lambda right: _may(api, namespace or "default", *right), wanted)
    lacking = [f"{verb} {what}" for (verb, what), ok in zip(wanted, allowed, strict=True) if not ok]
    if not lacking:
        return True, f"the rights that `up` needs are there{f' in {namespace}' if namespace else ''}", ""
    advice = "templates/kubernetes/rbac.yaml has them all" + ("" if namespace else "; `--namespace NS` needs them in one namespace only")
    return False, f"rights are missing: {', '.join(lacking)}", advice


def _may(api: Api, namespace: str, verb: str, what: str) -> bool:
    resource, _, sub = what.partition("/")
    return may(api, namespace, verb, resource, sub, GROUPS.get(resource, ""))
