"""The application of the web server: respond with a file or forward the request to another server."""

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
    """The application for one folder.

    Args:
        folder: the folder with the files; for a subfolder, the response is its `index.html`.
        proxies: path to URL. A request whose path begins with the path is forwarded to the URL, followed by the rest of its path.
        hosts: host name to path to URL. A request for that host, at that path or below it, is forwarded to the URL with its whole path.
    """

    def __init__(self, folder: str, proxies: Mapping[str, str] = {}, hosts: Mapping[str, Mapping[str, str]] = {}) -> None:
        self._hosts = {host: _longest_first(paths) for host, paths in hosts.items()}
        self._folder = os.path.abspath(folder)
        self._proxies = _longest_first(proxies)

    def admit(self, request: Request) -> None:
        """Admit every request."""

    def refusal(self, status: int, words: str) -> Response:
        """Return the response to a request that is refused, or for which `answer` has failed."""
        return text_response(status, f"{words}\n")

    def answer(self, request: Request) -> Response:
        """Return the response to a request, and log it.

        Raises:
            Refused: there is no such file or path (404), the method is not allowed (405), or the other server does not answer (502).
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
            raise Refused(405, "files can only be read")
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
    """Sort paths so that the longest matching prefix is found first, as in nginx."""
    return sorted(paths.items(), key=lambda item: -len(item[0]))
