"""Render a Proposal as the text of an environment file, with a comment on each line that says where the value comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import yaml

from envctl.init.model import KeyValue, ListOfMaps, OneLine, Proposal, ProposedService, Scalar, path_from_environments

TTL = "2h"
_UNPRINTABLE = re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_PLAIN = re.compile(r"[A-Za-z$/.][^\n\r\t]*")
NOTHING_SAID = """\
services:
  # Nothing in the project says what its tests need, so this is a start: an empty PostgreSQL. Its user and password are
  # random for each instance; ${db.url} has them.
"""
SQLITE_SAID = """\
services:
  # The project's database is SQLite (FILE), a file that needs no server. This is a start, should its tests need one:
  # an empty PostgreSQL. Its user and password are random for each instance; ${db.url} has them.
"""
STARTER = """\
  # Other kinds: mariadb, valkey, rabbitmq, nats, kafka, mqtt, s3, memcached, mail.
  db:
    kind: postgres
    # with:
    #   databases: [shop]
    # seed:                              # in this order, before anything that refers to `db` starts
    #   - sql: ../schema.sql
    #   - csv: ../seeds/products.csv     # a header line; empty is NULL
    #     into: products

  # A third party that no test should call: a stub answers in its place.
  # payments:
  #   kind: stub
  #   with: {routes: stubs/payments.json}      # WireMock mappings

  # The code under test.
  # app:
  #   kind: api
  #   build: ..                          # a folder with a Dockerfile
  #   port: 8000
  #   ready: {http: /healthz}
  #   env:
  #     DATABASE_URL: ${db.url}          # inside the environment; under `outputs` it is the address that tests use

# The environment variables that the tests receive.
outputs:
  DATABASE_URL: ${db.url}
"""
STARTER_TESTS = """\

# `envctl test NAME` brings the environment up, runs these tests and removes it.
# tests:
#   api: sh -c 'cd .. && exec python -m pytest'
"""
"""The sample definition for an empty project: one database, and further services as comments."""


def proposal_yaml(proposal: Proposal, schema: str = "") -> str:
    """Return the YAML text of the definition. *schema* is the path of a JSON Schema beside the file; empty if there is none."""
    if not proposal.services and not proposal.compose_file:
        said = SQLITE_SAID.replace("FILE", comment(proposal.sqlite)) if proposal.sqlite else NOTHING_SAID
        tests = ["", *_tests(proposal)] if proposal.tests else STARTER_TESTS.splitlines()
        return "\n".join([*_head(proposal, schema), *f"{said}{STARTER}".splitlines(), *tests]) + "\n"
    return "\n".join([*_head(proposal, schema), *_parts(proposal)]).rstrip() + "\n"


def _head(proposal: Proposal, schema: str) -> Iterator[str]:
    if schema:
        yield f"# yaml-language-server: $schema={schema}"
    else:
        yield "# For completion in an editor, run `envctl schema > environments/envctl.schema.json`, and begin this file with"
        yield "# `# yaml-language-server: $schema=envctl.schema.json`. (`envctl init --schema` does both.)"
    yield "#"
    yield "# Written by `envctl init` from what it found in the project. Only ${...} is special. A reference is a dependency"
    yield "# too: a service that mentions ${db.url} starts when `db` is up and seeded. Paths are relative to this file."
    yield "#"
    yield f"#     envctl validate {proposal.name}     check it"
    yield f"#     envctl up {proposal.name}           bring it up, leave it running, print the addresses"
    if proposal.tests:
        yield f"#     envctl test {proposal.name}         bring it up, run the tests below, remove it"
    yield f"name: {scalar(proposal.name)}"
    yield f"ttl: {TTL} # removed after this time, even if everybody forgets it"
    yield ""


def _parts(proposal: Proposal) -> Iterator[str]:
    if proposal.compose_file:
        yield "# All services of the Compose file, unchanged; what follows is added to them."
        files = [path_from_environments(file) for file in (proposal.compose_file, proposal.compose_override) if file]
        yield f"from: {scalar(files[0]) if len(files) == 1 else _one_line(OneLine(tuple(files)))}"
        yield ""
    if proposal.variables:
        yield "# What may differ from one run to the next: `--set NAME=VALUE`, or the shell's variable after `from`."
        yield from _section("variables", proposal.variables)
    if proposal.services:
        yield "services:"
    for service in proposal.services:
        yield from _service(service)
    if proposal.outputs:
        yield "# What the tests receive as environment variables: addresses as seen from outside."
        yield from _section("outputs", proposal.outputs)
    yield from _tests(proposal)
    yield from (f"# {comment(note)}" for note in proposal.notes)


def _service(service: ProposedService) -> Iterator[str]:
    yield f"  # {comment(service.title)}"
    yield f"  {scalar(service.name)}:{_because(service.because)}"
    if service.kind:
        yield f"    kind: {service.kind}"
    for entry in service.body:
        yield from lines(entry, 4)
    yield ""


def _tests(proposal: Proposal) -> Iterator[str]:
    if proposal.tests:
        yield f"# `envctl test {proposal.name}` runs all of them. They start in this file's folder, hence the `cd`."
        yield from _section("tests", proposal.tests)


def _section(key: str, entries: tuple[KeyValue, ...]) -> Iterator[str]:
    yield f"{key}:"
    for entry in entries:
        yield from lines(entry, 2)
    yield ""


def lines(entry: KeyValue, indent: int) -> Iterator[str]:
    """Return the YAML lines of *entry* and of the entries nested in it, indented by *indent* spaces."""
    value = entry.value
    head, because = f"{' ' * indent}{scalar(entry.key)}:", _because(entry.because)
    if isinstance(value, OneLine):
        yield f"{head} {_one_line(value)}{because}"
    elif isinstance(value, ListOfMaps):
        yield f"{head}{because}"
        for item in value.items:
            first, *others = [line for part in item for line in lines(part, indent + 4)]
            yield f"{' ' * (indent + 2)}- {first[indent + 4 :]}"
            yield from others
    elif isinstance(value, tuple):
        yield f"{head}{because}"
        for below in value:
            yield from lines(below, indent + 2)
    else:
        yield f"{head} {scalar(value)}{because}"


def _one_line(value: OneLine) -> str:
    """Return *value* in YAML's flow style: `{a: 1}` or `[a, b]`."""
    if isinstance(value.value, tuple):
        return f"[{', '.join(_inside_one_line(item) for item in value.value)}]"
    return f"{{{', '.join(f'{_inside_one_line(key)}: {_inside_one_line(item)}' for key, item in value.value.items())}}}"


def _inside_one_line(value: Scalar) -> str:
    text = scalar(value)
    return text if text != value or _reads_as(f"[{text}, {{{text}: {text}}}]", [text, {text: text}]) else _quoted(text)


def scalar(value: Scalar) -> str:
    """Return *value* as a YAML scalar that parses to the same value. Quote it only if necessary."""
    if not isinstance(value, str):
        return json.dumps(value)
    is_plain = _PLAIN.fullmatch(value) and _reads_as(f"key: {value}", {"key": value}) and _reads_as(f"{value}: 1", {value: 1})
    return value if is_plain else _quoted(value)


def _quoted(text: str) -> str:
    """Return *text* in JSON's quotes, with YAML escapes for characters that YAML does not allow.

    JSON's own escapes would be wrong: YAML reads a surrogate pair as two characters.
    """
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))


def _reads_as(text: str, value: object) -> bool:
    try:
        return bool(yaml.safe_load(text) == value)
    except yaml.YAMLError:
        return False


def _because(text: str) -> str:
    return f" # {comment(text)}" if text else ""


def comment(text: str) -> str:
    """Return *text* on one line, without characters that YAML does not allow."""
    return _UNPRINTABLE.sub(" ", text).strip()
