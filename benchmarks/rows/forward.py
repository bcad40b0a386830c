"""Compare a download of 100 MB through the keeper's port forward with one through `kubectl port-forward`, from the same pod."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import cluster
from benchmarks.harness import Goal, Sides

WHAT = "100 MB down a port forward on Kubernetes"
GOAL = Goal(2.0, rival="`kubectl port-forward`")
SIZE = 100 * 2**20
SERVER = f"""
import http.server
class Blob(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "{SIZE}")
        self.end_headers()
        piece = bytes(range(256)) * 4096
        for _ in range({SIZE} // len(piece)):
            self.wfile.write(piece)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("", 8000), Blob).serve_forever()
"""
DEFINITION = """name: blob
services:
  s:
    kind: api
    image: python:3.13-slim
    run: python3 /srv/serve.py
    files: {/srv/serve.py: serve.py}
    port: 8000
    ready: {tcp: true}
outputs: {URL: "${s.url}"}
"""


@contextmanager
def sides(work: Path) -> Iterator[Sides]:
    (work / "serve.py").write_text(SERVER)
    (work / "blob.yaml").write_text(DEFINITION)
    with cluster.ours(work, str(work / "blob.yaml")) as ours:
        shown = ours.shown()
        url, namespace = shown["outputs"]["URL"], shown["id"]
        with _forwarded(namespace) as theirs:
            yield Sides(lambda: _taken(url), lambda: _taken(theirs))


@contextmanager
def _forwarded(namespace: str) -> Iterator[str]:
    command = ["kubectl", "port-forward", "-n", namespace, "service/s", ":8000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found is not None
        yield f"http://127.0.0.1:{found.group(1)}"
    finally:
        process.kill()
        process.wait()


def _taken(url: str) -> float:
    began, size = time.perf_counter(), 0
    with urllib.request.urlopen(url, timeout=120) as answer:
        while piece := answer.read(2**18):
            size += len(piece)
    if size != SIZE:
        raise RuntimeError(f"{size} bytes of {SIZE} arrived")
    return time.perf_counter() - began
