"""Requests to GitHub, if there is a token: the state of a pull request, the open pull requests, and a comment that is kept current."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from envctl.errors import EnvctlError

PAGE = 100
"""The number of entries in a page of a list."""
PATIENCE = 20.0
"""The seconds that GitHub may take to answer."""
PAUSES = (1.0, 3.0)
"""The seconds before the first and the second repetition of a failed read."""
PASSING = (429, 500, 502, 503, 504)
"""The HTTP statuses after which a read is repeated."""


class State(NamedTuple):
    """The current state of a pull request; *head* is the hash of its last commit."""

    open: bool
    head: str


class GitHub(NamedTuple):
    """One repository, accessed as one user."""

    api: str
    repository: str
    token: str

    @classmethod
    def of(cls, environ: Mapping[str, str], repository: str) -> GitHub | None:
        """Return the access to *repository* (host/owner/repository); None if there is no token, or the API of its host is not known."""
        token, api = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN"), environ.get("GITHUB_API_URL")
        host, _, name = repository.partition("/")
        if not token or (host != "github.com" and not api):
            return None
        return cls((api or "https://api.github.com").rstrip("/"), name, token)

    def state(self, number: int) -> State:
        """Return the state of a pull request.

        Raises:
            EnvctlError: GitHub gives no usable answer.
        """
        found = self._ask("GET", f"/pulls/{number}")
        try:
            return State(found["state"] == "open", str(found["head"]["sha"]))
        except (KeyError, TypeError):
            raise EnvctlError(f"GitHub gave no usable answer about #{number}") from None

    def open_numbers(self) -> list[int]:
        """Return the numbers of all open pull requests.

        Raises:
            EnvctlError: GitHub gives no complete, usable answer.
        """
        try:
            return [int(each["number"]) for each in self._pages("/pulls?state=open")]
        except (KeyError, TypeError, ValueError):
            raise EnvctlError("GitHub gave no usable answer about open pull requests") from None

    def comment(self, number: int, marker: str, text: str) -> None:
        """Write the comment that begins with *marker*: change the existing comment, or add a new one.

        If two runs find no comment and both add one, each looks again: the older comment stays, with the text that is written last.

        Raises:
            EnvctlError: GitHub refuses a request, or gives no usable answer.
        """
        there = self._oldest(number, marker)
        if there is None:
            ours = (self._ask("POST", f"/issues/{number}/comments", {"body": text}) or {}).get("id")
            there = self._oldest(number, marker) if ours else None
            if there is None or there == ours:
                return
            self._ask("DELETE", f"/issues/comments/{ours}")
        self._ask("PATCH", f"/issues/comments/{there}", {"body": text})

    def _oldest(self, number: int, marker: str) -> int | None:
        """Return the id of the first comment that begins with *marker*, or None. Ignore comments of strangers, who could change them."""
        found = self._pages(f"/issues/{number}/comments")
        try:
            return min(
                (int(each["id"]) for each in found if str(each.get("body", "")).startswith(marker) and not _strange(each)), default=None
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise EnvctlError(f"GitHub gave no usable answer about the comments of #{number}") from None

    def _pages(self, path: str) -> Iterator[Any]:
        page = 1
        while True:
            found = self._ask("GET", f"{path}{'&' if '?' in path else '?'}per_page={PAGE}&page={page}")
            if not isinstance(found, list):
                raise EnvctlError(f"GitHub's answer to {path} is not a list")
            yield from found
            if len(found) < PAGE:
                return
            page += 1

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        import requests  # takes a tenth of a second, which is only needed with a token

        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/vnd.github+json", "User-Agent": "envctl"}
        url = f"{self.api}/repos/{self.repository}{path}"
        for pause in (*(PAUSES if method == "GET" else ()), None):
            try:
                answer = requests.request(method, url, json=body, headers=headers, timeout=PATIENCE)
                if answer.status_code < 400:
                    return answer.json() if answer.content else None  # the answer to a DELETE is empty
                error = _refused(answer.status_code, answer.text)
                passing = answer.status_code in PASSING
            except (requests.RequestException, ValueError) as why:
                error, passing = EnvctlError(f"GitHub does not answer: {why}"), not isinstance(why, ValueError)
            if pause is None or not passing:
                break
            time.sleep(pause)
        raise error


def _refused(status: int, text: str) -> EnvctlError:
    """Return the error for a refusal, with GitHub's own message."""
    try:
        words = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        words = "no reason is given"
    hint = "the token needs `pull-requests: read`, and `write` for comments; a workflow run of a fork gets no token that may write"
    return EnvctlError(f"GitHub answers {status}: {words}", hint=hint if status in (401, 403, 404) else "")


def _strange(comment: Mapping[str, Any]) -> bool:
    """Return whether the author has no write access to the repository. Comments of workflows are those of a bot, which is no stranger."""
    member = comment.get("author_association", "OWNER") in ("OWNER", "MEMBER", "COLLABORATOR")
    return not member and (comment.get("user") or {}).get("type") != "Bot"
