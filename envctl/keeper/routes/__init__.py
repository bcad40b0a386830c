"""The routes of the keeper, on 127.0.0.1 at the port in its address file, with `Authorization: Bearer TOKEN`. Bodies are JSON.

Each module has the routes of one subject: its docstring describes requests and responses, its ROUTES name the required scopes. To add
a subject, add a module and its name in the list below.

An error response is {"error": text} with one of these statuses: 400, 401 (unknown token), 403 (another Host, or a scope that the token
lacks), 404, 405, 413 (body larger than 16 MB), 503 (the instance is being removed, or the keeper is ending).
"""

from __future__ import annotations

from envctl.keeper.routes import checkpoints, keeper, lanes, leases, openapi, ports, processes

ROUTES = [*keeper.ROUTES, *processes.ROUTES, *ports.ROUTES, *leases.ROUTES, *lanes.ROUTES, *checkpoints.ROUTES, *openapi.ROUTES]
