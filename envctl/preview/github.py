"""What GitHub says of pull requests, where there is a token: one's state and head, which are open; and a comment that is kept current."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from envctl.errors import EnvctlError

PAGE = 100
PATIENCE = 20.0


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
        """Writes the comment that begins with *marker*: the one that is there, or a new one."""
        there = next((each for each in self._pages(f"/issues/{number}/comments") if str(each.get("body", "")).startswith(marker)), None)
        where = ("PATCH", f"/issues/comments/{there['id']}") if there else ("POST", f"/issues/{number}/comments")
        self._ask(*where, {"body": text})

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
        try:
            answer = requests.request(method, url, json=body, headers=headers, timeout=PATIENCE)
            answer.raise_for_status()
            return answer.json()
        except (requests.RequestException, ValueError) as error:
            raise EnvctlError(f"GitHub does not answer: {error}", hint="comments need a token with `pull-requests: write`") from None
