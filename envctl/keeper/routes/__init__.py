"""What the keeper can be asked, on 127.0.0.1 and the port of its address file, with `Authorization: Bearer TOKEN`; JSON both ways.

A file for each subject; its docstring says what it takes and answers, its ROUTES which scope that needs. A new subject is a file,
and its name in the list here.

What is not 2xx is {"error": words}: 400, 401 (no token that is known), 403 (another Host; a token that may not do that), 404, 405,
413 (16 MB), 503 (it is tearing down, or ending).
"""

from __future__ import annotations

from envctl.keeper.routes import checkpoints, keeper, lanes, leases, openapi, ports, processes

ROUTES = [*keeper.ROUTES, *processes.ROUTES, *ports.ROUTES, *leases.ROUTES, *lanes.ROUTES, *checkpoints.ROUTES, *openapi.ROUTES]
