"""Generate a section for each kind from `templates/kinds/` and `docs/examples/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs_tools.markdown import code, sentence, table
from docs_tools.schema_page import kind_of
from envctl.definition.kinds import Kind, Several, load_kinds

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
GENERAL = ("api", "service", "job", "stub")
"""The kinds that come first on the page, because a team brings their programs itself."""
SHARED = {
    "http": "it answers HTTP on `{path}`",
    "tcp": "its port accepts a connection",
    "postgres": "it answers a query on the first database, with the instance's user and password, over TCP",
    "mysql": "it answers a query on the first database, with the instance's user and password, over TCP",
    "redis": "it answers `PING` after a login",
    "memcached": "it answers the command `version`",
    "amqp": "it accepts an AMQP connection with the instance's user and password to its virtual host",
    "nats": "it accepts `CONNECT` with the instance's user and password, then answers `PING`",
    "kafka": "it answers `ApiVersions`, and then a request for the broker's metadata",
    "mqtt": "it accepts `CONNECT` with the instance's user and password",
    "s3": "it answers a signed request for the list of buckets",
    "smtp": "it accepts an SMTP login, and its web page answers",
}
"""By the name of a probe: the condition under which the probe succeeds."""


def all_kinds() -> dict[str, Kind]:
    """Return each kind once, under its first name."""
    kinds = load_kinds()
    found = {name: kind for name in kinds if (kind := kinds[name]).kind == name}
    return {name: found[name] for name in (*GENERAL, *sorted(set(found) - set(GENERAL)))}


def overview() -> str:
    """Return the table of all kinds."""
    rows = [
        (f"[`{name}`](#{name})", kind.title, f"`{kind.image}:{kind.version}`" if kind.image else "yours", ", ".join(kind.seeds) or "")
        for name, kind in all_kinds().items()
    ]
    return table(("Kind", "What it is", "Image", "Seed formats, besides `command`"), rows)


def kinds() -> str:
    """Return a Markdown section for each kind."""
    return "\n\n".join("\n\n".join(_section(name, kind)) for name, kind in all_kinds().items())


def _section(name: str, kind: Kind) -> Iterator[str]:
    yield f"## {name}"
    also = f" Also called {', '.join(code(other) for other in kind.also)}." if kind.also else ""
    yield f"{kind.title}. {sentence(kind.description)}{also}"
    yield from _example(name)
    yield "\n".join(f"- **{what}:** {text}" for what, text in _facts(kind))
    if kind.parameters:
        yield "Parameters (`with:`):"
        yield table(("Name", "Type", "Default", "Description"), [_parameter(*item) for item in kind.parameters.items()])
    for key, several in kind.several.items():
        yield _several(key, several)


def _example(name: str) -> Iterator[str]:
    """Yield the files that the example's definition refers to, and then the definition."""
    folder = EXAMPLES / name
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    for path in files:
        yield f"`environments/{path.relative_to(folder)}`:"
        yield f"```{path.suffix.lstrip('.')}\n{path.read_text('utf-8').rstrip()}\n```"
    yield f"```yaml\n{(EXAMPLES / f'{name}.yaml').read_text('utf-8').rstrip()}\n```"


def _facts(kind: Kind) -> Iterator[tuple[str, str]]:
    if kind.image:
        versions = f"; known to work: {', '.join(kind.versions)}" if kind.versions else ""
        yield "Image", f"`{kind.image}`, version {kind.version}{versions}"
    if kind.ports:
        yield "Ports", ", ".join(f"`{name}` {number}{_when(kind, name)}" for name, number in kind.ports.items())
    if not kind.once:
        yield "Properties", ", ".join(code(name) for name in _properties(kind))
    if ready := _ready(kind):
        yield "Ready when", ready
    yield "Seed formats", ", ".join(code(name) for name in (*kind.seeds, "command"))
    if kind.shell:
        yield "`envctl shell`", f"`{kind.shell[0]}`"
    for loss in (
        *([f"the file that `render` writes has no health check for it: {kind.healthcheck_loss}"] if kind.healthcheck_loss else []),
        *kind.losses,
    ):
        yield "Note", loss


def _when(kind: Kind, port: str) -> str:
    return f" (with `{kind.ports_when[port]}: true`)" if port in kind.ports_when else ""


def _properties(kind: Kind) -> list[str]:
    """Return the names of the kind's own properties; the parameters and the properties that every service has can be referenced, too."""
    return list(dict.fromkeys(["host", "port", *kind.properties, *kind.credentials]))


def _ready(kind: Kind) -> str:
    if kind.once:
        return "it has exited with 0 (its state is then `done`)"
    probe = kind.ready.get("probe", "")
    return SHARED[probe].format(**{"path": "/", **kind.ready}) if probe else ""


def _parameter(name: str, schema: Mapping[str, Any]) -> tuple[str, str, str, str]:
    default = schema.get("default")
    return (f"`{name}`", _takes(schema), "" if default in (None, [], {}, "") else code(default), sentence(schema.get("description", "")))


def _takes(schema: Mapping[str, Any]) -> str:
    if "project-path" in str(schema):
        return "path, or list of paths"
    return kind_of(schema)


def _several(key: str, several: Several) -> str:
    """Describe a declaration that is a list of names or a map of names to options."""
    default = f" (default: {', '.join(code(name) for name in several.default)})" if several.default else ""
    lines = [f"`{key}` is a name, a list of names, or a map of names to options{default}."]
    if several.properties:
        shown = ", ".join(code(name) for name in dict.fromkeys(["name", *several.properties]))
        example = "url" if "url" in several.properties else next(iter(several.properties))
        lines.append(f"Each has {shown}: `${{service.{key}.NAME.{example}}}`.")
    options = "\n".join(f"- `{name}`: {_option(schema)}" for name, schema in several.options.items())
    return " ".join(lines) + (f" Options:\n\n{options}" if options else "")


def _option(schema: Mapping[str, Any]) -> str:
    says = schema.get("description", "").rstrip(".")
    default = f" (default {code(schema['default'])})" if "default" in schema else ""
    return f"{says[:1].lower()}{says[1:]}{default}" if says else f"{kind_of(schema)}{default}"
