"""Start the web server: `python -m servers.web PORT FOLDER PROXIES HOSTS`, from a folder with copies of this package and `servers/http`.

PROXIES is a JSON object of path to URL, HOSTS is a JSON object of host name to an object of path to URL.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from ..http.server import listen, serve
from .site import Site


def main(port: str, folder: str, proxies: str, hosts: str = "{}") -> int:
    """Serve until the process is killed. Return 1 if the port is in use."""
    try:
        listener = listen("127.0.0.1", int(port))
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    serve(listener, Site(folder, json.loads(proxies), json.loads(hosts)))
    return 0


if __name__ == "__main__":
    # os._exit ends the process at once: daemon threads that still run during the interpreter's shutdown can crash it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    sys.exit(main(*sys.argv[1:]))
