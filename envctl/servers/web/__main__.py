"""The web server: `python -m servers.web PORT FOLDER PROXIES HOSTS`, where its folder and `servers/http` were copied to.

PROXIES is a JSON object of path to URL, HOSTS one of host to path to URL.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from ..http.server import listen, serve
from .site import Site


def main(port: str, folder: str, proxies: str, hosts: str = "{}") -> int:
    """Serve until the process ends; 1 where the port is taken."""
    try:
        listener = listen("127.0.0.1", int(port))
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    serve(listener, Site(folder, json.loads(proxies), json.loads(hosts)))
    return 0


if __name__ == "__main__":
    # Abruptly: the daemon threads must not outlive the interpreter's own shutdown.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    sys.exit(main(*sys.argv[1:]))
