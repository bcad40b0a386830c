"""The answers: a file, or what another server says."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from urllib.parse import quote, unquote

from ..http.message import Request, Response, text_response
from ..http.server import say
from ..http.wire import Refused
from .proxy import ask


class Site:
    """Answers for a folder.

    Args:
        folder: its files are served, `index.html` for a folder in it.
        proxies: path to URL: what begins with the path is asked there, with the rest of its path.
        hosts: host to path to URL: what is asked of that host at the path or below it is asked there, with all of its path.
    """

    def __init__(self, folder: str, proxies: Mapping[str, str] = {}, hosts: Mapping[str, Mapping[str, str]] = {}) -> None:
        self._hosts = {host: _longest_first(paths) for host, paths in hosts.items()}
        self._folder = os.path.abspath(folder)
        self._proxies = _longest_first(proxies)

    def admit(self, request: Request) -> None:
        """Every body is read."""

    def refusal(self, status: int, words: str) -> Response:
        """The answer to a request that is refused, or that made `answer` fail."""
        return text_response(status, f"{words}\n")

    def answer(self, request: Request) -> Response:
        """The response to a request.

        Raises:
            Refused: there is no such file, or the server behind does not answer.
        """
        response = self._answer(request)
        say(f'"{request.method} {request.url}" {response.status}')
        return response

    def _answer(self, request: Request) -> Response:
        host = "".join(request.header("Host")[:1]).partition(":")[0].lower()
        if host in self._hosts:
            return self._behind(request, self._hosts[host])
        for path, url in self._proxies:
            if request.path.startswith(path):
                return ask(request, url.rstrip("/") + "/" + request.url[len(path) :].lstrip("/"))
        if request.method not in ("GET", "HEAD"):
            raise Refused(405, "files can be read only")
        return self._file(unquote(request.path))

    def _behind(self, request: Request, paths: Sequence[tuple[str, str]]) -> Response:
        for path, url in paths:
            if f"{request.path}/".startswith(f"{path.rstrip('/')}/"):
                return ask(request, url.rstrip("/") + request.url)
        raise Refused(404, "there is no such path")

    def _file(self, path: str) -> Response:
        name = os.path.normpath(self._folder + path)
        if os.path.commonpath([name, self._folder]) != self._folder or "\0" in path:
            raise Refused(404, "there is no such file")
        if path.endswith("/"):
            name = os.path.join(name, "index.html")
        elif os.path.isdir(name):
            return Response(301, headers=(("Location", f"{quote(os.path.basename(name))}/"),))
        try:
            with open(name, "rb") as file:
                changed = formatdate(os.fstat(file.fileno()).st_mtime, usegmt=True)
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                return Response(200, headers=(("Content-Type", kind), ("Last-Modified", changed)), body=file.read())
        except OSError:
            raise Refused(404, "there is no such file") from None


def _longest_first(paths: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """As nginx chooses."""
    return sorted(paths.items(), key=lambda item: -len(item[0]))
