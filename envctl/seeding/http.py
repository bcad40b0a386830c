"""Send requests to the API of a service, one after the other; each answer must have the expected status.

The requests are written in YAML, JSON or JSONL, in the step itself, or in a `.http` file as editors run it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from envctl.definition.seed_entries import Request
from envctl.files.packed import plain_name
from envctl.plan.model import Step
from envctl.seeding import BadFile, Seeder, failed, texts
from envctl.seeding.entries import body, checked, is_json
from envctl.seeding.item_files import Item, items

TIMEOUT = 60
SHOWN = 2000
"""The number of characters shown of an answer with an unexpected status."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def load(step: Step, seeder: Seeder) -> None:
    import requests

    name = step.step.in_ or step.service
    base = seeder.plan.used.get(name) or "http://{0.host}:{0.port}".format(seeder.endpoint(name))
    try:
        with requests.Session() as session:
            # Ignore the machine's proxy and .netrc: the endpoint belongs to the instance.
            session.trust_env = False
            for where, request in checked(_found(step, seeder.plan.setting.project), Request):
                _send(step, session, base.rstrip("/"), request, where)
    except BadFile as error:
        raise failed(step, error.where(step.files[0]) if step.files else step.where, str(error)) from None


def _send(step: Step, session: Any, base: str, request: Request, where: str) -> None:
    import requests

    content = body(request, where)
    method = request.method or ("GET" if content is None else "POST")
    headers = {name: str(value) for name, value in request.headers.items()}
    if is_json(request) and "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = "application/json"
    try:
        answer = session.request(method, base + request.path, data=content, headers=_bytes(headers), timeout=TIMEOUT, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        raise failed(step, where, f"{method} {request.path}: {error}") from None
    if not _expected(request, answer.status_code):
        said = f"{method} {request.path} answered {answer.status_code}"
        raise failed(step, where, f"{said}\n{answer.text[:SHOWN]}", said=said)


def _bytes(headers: dict[str, str]) -> dict[str, bytes]:
    """Encode header values as UTF-8: `requests` would encode strings as Latin-1."""
    return {name: value.encode() for name, value in headers.items()}


def _expected(request: Request, status: int) -> bool:
    if request.expect is None:
        return 200 <= status < 300
    return status in (request.expect if isinstance(request.expect, list) else [request.expect])


def _found(step: Step, root: Path) -> Iterable[Item]:
    if step.files and Path(plain_name(step.files[0])).suffix in (".http", ".rest"):
        return _requests(step.files[0], root)
    return items(step, root, spread=False)


_REQUEST = re.compile(rf"(?:(?P<method>{'|'.join(METHODS)})\s+)?(?P<path>\S+)(?:\s+HTTP/[0-9.]+)?")
_EXPECT = re.compile(r"(?:#|//)\s*@?expect:?\s+(\d{3})\s*")


def _requests(path: Path, root: Path) -> Iterator[Item]:
    """Yield the requests of a `.http` file, which `###` separates; `# expect 201` sets the expected status."""
    try:
        lines = b"".join(texts(path, root)).decode().splitlines()
    except UnicodeDecodeError:
        raise BadFile("it is not valid UTF-8") from None
    begun: list[tuple[int, str]] = []
    for number, line in [*enumerate(lines, start=1), (len(lines) + 1, "###")]:
        if line.startswith("###"):
            yield from _request(path, begun)
            begun = []
        else:
            begun.append((number, line))


def _request(path: Path, lines: list[tuple[int, str]]) -> Iterator[Item]:
    expected = [int(found[1]) for _, line in lines if (found := _EXPECT.fullmatch(line))]
    rest = iter([(number, line) for number, line in lines if not line.startswith(("#", "//"))])
    first = next(((number, line) for number, line in rest if line.strip()), None)
    if first is None:
        return
    where, parts = f"{path}:{first[0]}", _REQUEST.fullmatch(first[1].strip())
    if parts is None or not parts["path"].startswith("/"):
        raise BadFile(f"'{first[1]}' is not a request, such as `POST /orders`; the host is known", place=where)
    headers = dict(_header(path, number, line) for number, line in takewhile(lambda each: each[1].strip(), rest))
    content = "\n".join(line for _, line in rest).rstrip("\n")
    if "{{" in "".join([first[1], content, *headers.values()]):
        raise BadFile("variables (`{{name}}`) are not supported here; a YAML file or the step itself may contain `${...}`", place=where)
    given = {"method": parts["method"] or "GET", "path": parts["path"], "headers": headers}
    yield Item(where, None, given | ({"body": content} if content else {}) | ({"expect": expected} if expected else {}))


def _header(path: Path, number: int, line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise BadFile(f"'{line}' is not a header, such as `Name: value`; the body follows after an empty line", place=f"{path}:{number}")
    return name.strip(), value.strip()
