"""What GitHub says of pull requests, where there is a token: one's state and head, which are open; and a comment that is kept current."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from envctl.errors import EnvctlError

PAGE = 100
PATIENCE = 20.0
PAUSES = (1.0, 3.0)
"""Seconds before a question is asked again that was not answered."""
PASSING = (429, 500, 502, 503, 504)


class State(NamedTuple):
    """Of one pull request now."""

    open: bool
    head: str


class GitHub(NamedTuple):
    """One repository, as one user."""

    api: str
    repository: str
    token: str

    @classmethod
    def of(cls, environ: Mapping[str, str], repository: str) -> GitHub | None:
        """That of *repository* (host/owner/repository); None without a token, or where it is not of the host that we are in."""
        token, api = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN"), environ.get("GITHUB_API_URL")
        host, _, name = repository.partition("/")
        if not token or (host != "github.com" and not api):
            return None
        return cls((api or "https://api.github.com").rstrip("/"), name, token)

    def state(self, number: int) -> State:
        """Raises EnvctlError: there is no answer, or not that of a pull request."""
        found = self._ask("GET", f"/pulls/{number}")
        try:
            return State(found["state"] == "open", str(found["head"]["sha"]))
        except (KeyError, TypeError):
            raise EnvctlError(f"GitHub gave no usable answer about #{number}") from None

    def open_numbers(self) -> list[int]:
        """Of all open pull requests. Raises EnvctlError: there is no whole answer."""
        try:
            return [int(each["number"]) for each in self._pages("/pulls?state=open")]
        except (KeyError, TypeError, ValueError):
            raise EnvctlError("GitHub gave no usable answer about open pull requests") from None

    def comment(self, number: int, marker: str, text: str) -> None:
        """Writes the comment that begins with *marker*: the one that is there, or a new one.

        Two runs may both have seen none, and both write a first one: each looks again, and the older one stays, with the later text.
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
        """The id of the first comment that begins with *marker* and is no stranger's, who could change it afterwards."""
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
        import requests  # a tenth of a second, which runs without a token need not spend

        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/vnd.github+json", "User-Agent": "envctl"}
        url = f"{self.api}/repos/{self.repository}{path}"
        for pause in (*(PAUSES if method == "GET" else ()), None):
            try:
                answer = requests.request(method, url, json=body, headers=headers, timeout=PATIENCE)
                if answer.status_code < 400:
                    return answer.json() if answer.content else None  # a DELETE is answered by nothing
                error = _refused(answer.status_code, answer.text)
                passing = answer.status_code in PASSING
            except (requests.RequestException, ValueError) as why:
                error, passing = EnvctlError(f"GitHub does not answer: {why}"), not isinstance(why, ValueError)
            if pause is None or not passing:
                break
            time.sleep(pause)
        raise error


def _refused(status: int, text: str) -> EnvctlError:
    """What GitHub says of it, in its own words."""
    try:
        words = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        words = "no reason is given"
    hint = "the token needs `pull-requests: read`, and `write` for comments; a fork's own run gets none that may write"
    return EnvctlError(f"GitHub answers {status}: {words}", hint=hint if status in (401, 403, 404) else "")


def _strange(comment: Mapping[str, Any]) -> bool:
    """Whether its author may not write to the repository; what a workflow writes is a bot's."""
    member = comment.get("author_association", "OWNER") in ("OWNER", "MEMBER", "COLLABORATOR")
    return not member and (comment.get("user") or {}).get("type") != "Bot"
