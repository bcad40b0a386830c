"""Proposal -> the text of an environment file, each line with a word on where it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import yaml

from envctl.init.model import Entry, Flow, Proposal, Proposed, Scalar, Steps, Value
from envctl.init.starter import STARTER

TTL = "2h"
_UNPRINTABLE = re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_PLAIN = re.compile(r"[A-Za-z$/.][^\n\r\t]*")


def proposal_text(proposal: Proposal, schema: str = "") -> str:
    """The definition; *schema* is the path of a JSON Schema beside it."""
    if not proposal.services and not proposal.compose:
        return "\n".join([*_head(proposal, schema), *STARTER.splitlines(), *_tests(proposal)]) + "\n"
    parts = [part(proposal) for part in (_compose, _variables, _services, _outputs, _tests, _notes)]
    return "\n".join([*_head(proposal, schema), *(line for part in parts for line in part)]).rstrip() + "\n"


def _head(proposal: Proposal, schema: str) -> Iterator[str]:
    if schema:
        yield f"# yaml-language-server: $schema={schema}"
    else:
        yield "# For completion in an editor: `envctl schema > environments/envctl.definition.json_schema.json`, and here, first,"
        yield "# `# yaml-language-server: $schema=envctl.definition.json_schema.json`; `envctl init --schema` does both."
    yield "#"
    yield "# Proposed by `envctl init` from what the project shows. Only ${...} is special. A reference is a dependency"
    yield "# too: a service that mentions ${db.url} starts when `db` is up and seeded. Paths are relative to this file."
    yield "#"
    yield f"#     envctl validate {proposal.name}     check it"
    yield f"#     envctl up {proposal.name}           up, and left running; prints the addresses"
    if proposal.tests:
        yield f"#     envctl test {proposal.name}         up, run the tests below, down"
    yield f"name: {scalar(proposal.name)}"
    yield f"ttl: {TTL} # gone after this, even if everybody ephemeral it"
    yield ""


def _compose(proposal: Proposal) -> Iterator[str]:
    if proposal.compose:
        yield "# Every service of the Compose file as it stands there; what follows lies on top of it."
        yield f"from: {scalar(f'../{proposal.compose}')}"
        yield ""


def _variables(proposal: Proposal) -> Iterator[str]:
    if proposal.variables:
        yield "# What may differ from one run to the next: `--set NAME=VALUE`, or the shell's variable after `from`."
        yield from _section("variables", proposal.variables)


def _services(proposal: Proposal) -> Iterator[str]:
    if not proposal.services:
        return
    yield "services:"
    for service in proposal.services:
        yield from _service(service)
        yield ""


def _service(service: Proposed) -> Iterator[str]:
    yield f"  # {comment(service.title)}"
    yield f"  {scalar(service.name)}:{_because(service.because)}"
    if service.kind:
        yield f"    kind: {service.kind}"
    for entry in service.body:
        yield from lines(entry, 4)


def _outputs(proposal: Proposal) -> Iterator[str]:
    if proposal.outputs:
        yield "# What the tests find in their environment: the addresses as they are from outside."
        yield from _section("outputs", proposal.outputs)


def _tests(proposal: Proposal) -> Iterator[str]:
    if proposal.tests:
        yield f"# `envctl test {proposal.name}` runs all of them. They start in this file's folder, hence the `cd`."
        yield from _section("tests", proposal.tests)


def _notes(proposal: Proposal) -> Iterator[str]:
    for note in proposal.notes:
        yield f"# {comment(note)}"


def _section(key: str, entries: tuple[Entry, ...]) -> Iterator[str]:
    yield f"{key}:"
    for entry in entries:
        yield from lines(entry, 2)
    yield ""


def lines(entry: Entry, indent: int) -> Iterator[str]:
    """The lines of an entry and of what is below it."""
    yield from _lines(" " * indent, entry.key, entry.value, entry.because, indent)


def _lines(start: str, key: str, value: Value, because: str, indent: int) -> Iterator[str]:
    head = f"{start}{scalar(key)}:"
    if isinstance(value, Steps):
        yield f"{head}{_because(because)}"
        for item in value.items:
            yield from _item(item, indent + 2)
    elif isinstance(value, tuple):
        yield f"{head}{_because(because)}"
        for below in value:
            yield from lines(below, indent + 2)
    else:
        shown = flow(value) if isinstance(value, Flow) else scalar(value)
        yield f"{head} {shown}{_because(because)}"


def _item(item: tuple[Entry, ...], indent: int) -> Iterator[str]:
    for number, entry in enumerate(item):
        start = " " * indent + ("- " if number == 0 else "  ")
        yield from _lines(start, entry.key, entry.value, entry.because, indent + 2)


def flow(value: Flow) -> str:
    """`{a: 1}` or `[a, b]`."""
    if isinstance(value.value, tuple):
        return f"[{', '.join(_inside_flow(item) for item in value.value)}]"
    return f"{{{', '.join(f'{_inside_flow(key)}: {_inside_flow(item)}' for key, item in value.value.items())}}}"


def _inside_flow(value: Scalar) -> str:
    text = scalar(value)
    return _quoted(value) if isinstance(value, str) and text[0] != '"' and re.search(r"[\[\]{},]", text) else text


def scalar(value: Scalar) -> str:
    """A value as YAML reads it again, whatever it contains; without quotes where they are not needed."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and _reads_as_itself(value):
        return value
    return _quoted(value)


def _quoted(text: str) -> str:
    """JSON's quoting, with YAML's escapes for what YAML allows nowhere (JSON's surrogate pairs would be two)."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))


def _reads_as_itself(text: str) -> bool:
    try:
        return bool(yaml.safe_load(f"key: {text}") == {"key": text} and yaml.safe_load(f"{text}: 1") == {text: 1})
    except yaml.YAMLError:
        return False


def _because(text: str) -> str:
    return f" # {comment(text)}" if text else ""


def comment(text: str) -> str:
    """*text* on one line, without what no YAML may hold."""
    return _UNPRINTABLE.sub(" ", text).strip()
