"""Delete instances that have expired, and runs whose owner no longer reports. Uses only the standard library.

With NAMESPACE, it handles that namespace, which contains several instances: it deletes their records, and the cluster deletes the objects
that belong to them.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

INSTANCE, EXPIRES, OWNER, ALIVE, HOLD = "envctl.instance", "envctl.expires", "envctl.owner", "envctl.alive-until", "envctl.hold"
RECORD = "envctl.record"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def passed(text: str, now: datetime) -> bool:
    """Return whether the time *text* has passed; False if *text* is not a time."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)) <= now  # noqa: UP017


def reason(item: dict[str, Any], now: datetime, suffix: str = "") -> str:
    """Return why the object must be deleted; empty if it must stay.

    Args:
        suffix: The part of the object's name after the id of its instance.
    """
    meta = item["metadata"]
    told = {**(meta.get("annotations") or {}), **(meta.get("labels") or {})}
    if f"{told.get(INSTANCE)}{suffix}" != meta["name"] or meta.get("deletionTimestamp") or HOLD in told:
        return ""
    if passed(told.get(EXPIRES, ""), now):
        return f"expired {told[EXPIRES]}"
    if told.get(OWNER) and passed(told.get(ALIVE, ""), now):
        return f"its owner has not reported since {told[ALIVE]}"
    return ""


def sweep(ask: Any, now: datetime, at_most: int, namespace: str = "") -> tuple[int, int, int]:
    """Run one sweep, and return how many objects were deleted, how many could not be deleted, and how many are left for the next sweep.

    Args:
        ask: `ask(method, path, body)` returns the document with which the API server answers.
    """
    path, label, suffix = "/api/v1/namespaces", INSTANCE, ""
    if namespace:
        path, label, suffix = f"/api/v1/namespaces/{namespace}/secrets", RECORD, "-instance"
    found = ask("GET", f"{path}?labelSelector={label}", None)["items"]
    due = [(each, why) for each in found if (why := reason(each, now, suffix))]
    deleted = refused = 0
    for each, why in due:
        if deleted == at_most:
            break
        gone = removed(ask, path, each["metadata"], why)
        deleted, refused = deleted + (gone is True), refused + (gone is False)
    return deleted, refused, len(due) - deleted - refused


def removed(ask: Any, path: str, meta: dict[str, Any], why: str) -> bool | None:
    """Delete an object, and return whether it was deleted, or None if it has changed since it was listed.

    A failure is only printed: an object that cannot be deleted must not prevent the deletion of the others.
    """
    wanted = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    try:
        ask("DELETE", f"{path}/{meta['name']}", {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": wanted})
    except OSError as error:  # includes HTTPError and every error of a connection
        changed = getattr(error, "code", None) in (404, 409)
        what = "it has changed in the meantime" if changed else f"it cannot be deleted: {error}{words(error)}"
        print(f"{meta['name']}: {why}, but {what}", flush=True)
        return None if changed else False
    print(f"{meta['name']}: {why}", flush=True)
    return True


def words(error: OSError) -> str:
    """Return the message of a refusal by the API server."""
    try:
        return f" ({json.loads(error.read())['message']})" if isinstance(error, urllib.error.HTTPError) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def ask(method: str, path: str, body: Any) -> Any:
    """Send a request to the API server with the account of this pod, and return the answer's document."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    request = urllib.request.Request(
        f"https://{f'[{host}]' if ':' in host else host}:{port}{path}",
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": "application/json"},
        method=method,
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    # Requests within a cluster must not use a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(request, timeout=30) as answer:
        return json.load(answer)


def main() -> int:
    at_most, namespace = int(os.environ.get("AT_MOST", "20")), os.environ.get("NAMESPACE", "")
    deleted, refused, left = sweep(ask, datetime.now(timezone.utc), at_most, namespace)  # noqa: UP017
    print(f"{deleted} deleted, {refused} refused, {left} left for the next sweep", flush=True)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
