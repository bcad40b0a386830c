"""A fake of GitHub's API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from envctl.instance.identity import instance_id


def preview_id(repository: str, number: int = 17) -> str:
    """Return the id of a pull request's preview. It depends only on the repository owner/name on github.com and the number."""
    return instance_id(f"pr-{number}", Path(), f"github.com/{repository}#{number}")


class Api:
    """One repository with its pull requests and the comments on them.

    Attributes:
        pulls: The state and the head commit of each pull request, by number.
        asked: A function that is called with the number when a client reads a pull request.
        looked: A function that is called when a client lists the comments, before it gets the answer.
    """

    def __init__(self) -> None:
        self.pulls: dict[int, tuple[str, str]] = {}
        self.comments: list[dict[str, Any]] = []
        self.asked: Callable[[int], object] = lambda number: None
        self.looked: Callable[[], object] = lambda: None
        self._lock = threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                number = self.path.rpartition("/")[2]
                if number.isdecimal():
                    state, head = api.pulls[int(number)]
                    api.asked(int(number))
                    self.answer({"state": state, "head": {"sha": head}})
                elif "/comments" in self.path:
                    seen = [dict(each) for each in api.comments]
                    api.looked()
                    self.answer(seen)
                else:
                    self.answer([{"number": number} for number, (state, _) in api.pulls.items() if state == "open"])

            def do_POST(self) -> None:
                with api._lock:
                    made = {"id": api.comments[-1]["id"] + 1 if api.comments else 1, **self.body()}
                    api.comments.append(made)
                self.answer(made)

            def do_PATCH(self) -> None:
                self.one().update(self.body())
                self.answer({})

            def do_DELETE(self) -> None:
                api.comments.remove(self.one())
                self.send_response(204)
                self.end_headers()

            def one(self) -> dict[str, Any]:
                return next(each for each in api.comments if each["id"] == int(self.path.rpartition("/")[2]))

            def body(self) -> dict[str, Any]:
                return dict(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def answer(self, what: Any) -> None:
                text = json.dumps(what).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
