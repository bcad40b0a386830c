"""The comment under a pull request: Markdown that begins with a marker, by which a later comment replaces it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from envctl.errors.printable import harmless
from envctl.preview.preview import State

LONGEST = 8000
"""The number of characters that are shown of an error; the beginning is cut off, because the end is more informative."""


def marker(state: State) -> str:
    """Return the first line of the comment, which is invisible and identifies the preview."""
    return f"<!-- envctl preview {state.request.key} {state.id} -->"


def markdown(state: State) -> str:
    """Return the whole comment. Secrets are masked in the error; the rest contains no passwords."""
    lines = [marker(state), f"### Preview `{state.request.name}`: {state.word}", ""]
    if state.document is not None and state.word != "closed":
        lines += [*_services(state.document), "", *_reach(state), ""]
    lines += _facts(state)
    if state.lock is not None and state.lock.error:
        lines += ["", *_failure(state)]
    return "\n".join(lines).rstrip() + "\n"


def _services(document: Mapping[str, Any]) -> Iterable[str]:
    yield "| Service | Kind | State | Address |"
    yield "| --- | --- | --- | --- |"
    for name, service in document.get("services", {}).items():
        url, fault = _cell(service.get("public_url") or ""), service.get("public_fault")
        address = f"{url} (does not answer yet: {_cell(fault)})" if url and fault else url
        yield f"| {_cell(name)} | {_cell(service.get('kind', ''))} | {_cell(service.get('state', ''))} | {address} |"


def _cell(text: object) -> str:
    return re.sub(r"([\\|`<>\[\]*_])", r"\\\1", harmless(str(text)).replace("\n", " ")) if not str(text).startswith("http") else str(text)


def _reach(state: State) -> Iterable[str]:
    yield "With the cluster's kubeconfig, any machine can reach its databases, at its own local ports:"
    yield ""
    yield "```sh"
    yield f"ENVCTL_ENGINE=kubernetes envctl env {state.id}"
    yield "```"


def _facts(state: State) -> list[str]:
    found = []
    if state.lock is not None and state.lock.head:
        found.append(f"Head `{state.lock.head[:12]}`")
    if state.lock is not None and state.lock.url.startswith(("http://", "https://")):
        found.append(f"[run]({state.lock.url})")
    if state.document is not None and state.document.get("expires"):
        found.append(f"until {state.document['expires']}")
    return [" · ".join(found)] if found else []


def _failure(state: State) -> Iterable[str]:
    """Yield the error in a fence of more backticks than it contains, so that it is shown as plain text."""
    assert state.lock is not None
    text = state.lock.error
    for secret in sorted(map(str, (state.document or {}).get("secrets", ())), key=len, reverse=True):
        text = text.replace(secret, "***") if secret else text
    text = harmless(text)[-LONGEST:]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    yield from ("<details open><summary>What failed</summary>", "", f"{fence}text", text, fence, "", "</details>")
