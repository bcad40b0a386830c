"""The effects of an environment on the machine of the user who brings it up: shown by `validate`, refused with `--untrusted`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from envctl.definition.compose_paths import leaves
from envctl.definition.env_files import bare_names
from envctl.definition.expressions import ExpressionError, references
from envctl.definition.find import find_project
from envctl.definition.kinds import Kinds
from envctl.definition.load import Loaded
from envctl.definition.models import Build, Expose, Service
from envctl.definition.source import TreePath, displayed, dotted, inside
from envctl.errors import Problem, UsageError
from envctl.files.package_data import templates
from envctl.files.packed import open_unpacked, plain_name
from envctl.session.settings import Settings

CLIENT_COMMANDS = re.compile(
    rb"^\s*\\(?!connect\b|c\b|\.|restrict\b|unrestrict\b)|^\s*system\b|\b(?:from|to)\s+program\b", re.IGNORECASE | re.MULTILINE
)
"""Matches commands that a database client, or a server that is a process on this machine, would run in addition to SQL."""
LARGEST_SQL = 16_000_000
"""The maximum size, in bytes, of an SQL file that is searched."""
_COMPOSE_VARIABLE = re.compile(r"(?<!\$)\$\{?([A-Za-z_]\w*)(:?-)?")
KEPT = re.compile(r"PATH|HOME|DOCKER_\w*")
"""Matches the variables with which a stranger's environment is opened, because Docker's own programs need them."""
HOST = ("network_mode", "pid", "ipc", "userns_mode", "uts", "cgroup")
HARMLESS = frozenset([
    "annotations", "attach", "cap_drop", "command", "configs", "container_name", "cpu_count", "cpus", "depends_on", "deploy",
    "dns", "dns_opt", "dns_search", "domainname", "entrypoint", "environment", "expose", "extra_hosts", "group_add",
    "healthcheck", "hostname", "image", "init", "labels", "links", "mac_address", "mem_limit", "mem_reservation", "networks",
    "pids_limit", "platform", "ports", "profiles", "pull_policy", "read_only", "restart", "scale", "secrets", "shm_size",
    "stdin_open", "stop_grace_period", "stop_signal", "tmpfs", "tty", "ulimits", "user", "working_dir", "volumes", *HOST,
])  # fmt: skip
"""Keys of a Compose service that only affect its container; for the keys in `HOST` and for volumes, the values decide."""
OPEN_BUILD = ("privileged", "ssh", "entitlements", "secrets", "additional_contexts", "cache_to", "cache_from", "tags")


LOCALLY = ", with `--engine local` or `--local`"


class Power(NamedTuple):
    """One effect that a definition asks for, and its place."""

    at: TreePath
    text: str
    when: str = ""
    """The condition of the effect, if `--untrusted` already refuses that condition; otherwise empty."""


def powers(loaded: Loaded, kinds: Mapping[str, Any]) -> list[Problem]:
    """Return every effect that the definition asks for, as a line of the definition, in the order of the lines."""
    own = [loaded.source.problem(found.at, found.text + found.when) for found in _found(loaded, kinds)]
    return sorted([*own, *_variables(loaded)])


def refused(loaded: Loaded, kinds: Mapping[str, Any]) -> list[Problem]:
    """Return the same effects as mistakes, because a stranger's environment must not have them."""
    hint = "`--untrusted` refuses it"
    own = [loaded.source.problem(found.at, found.text, hint) for found in _found(loaded, kinds) if not found.when]
    return own + [problem._replace(hint=hint) for problem in _variables(loaded)]


def refuse_own_settings(settings: Settings, file: Path) -> None:
    """Raise UsageError if the file of *settings* is in the checkout of the stranger's definition *file*: the stranger wrote it, too."""
    found = Path(os.path.realpath(settings.file.parent))
    if settings.keys and found.is_relative_to(find_project(file)):
        obeyed = ", ".join(sorted(settings.keys))
        hint = "check it out in a separate folder, and run envctl in one of yours: `envctl up head/environments/shop.yaml --untrusted`"
        raise UsageError(f"--untrusted: {settings.file} is in the same checkout, and its {obeyed} would take effect", hint=hint)


def _variables(loaded: Loaded) -> Iterator[Problem]:
    """Yield the caller's variables that the files read. A loaded definition only has their values, so the original texts are searched."""
    for source, path, text in (each for texts in loaded.written.values() for each in texts):
        for name in _read_by(path, text):
            yield source.problem(path, READS.format(name))
    for file, node in loaded.composed.items():
        for path, leaf in leaves(node):
            for name in _read_by_compose(leaf.text):
                yield Problem(displayed(file), leaf.line, dotted(path), READS.format(name))


READS = "reads the variable {} of your environment"


def _read_by_compose(text: str) -> list[str]:
    """Return the variables that *text* requires: those in `KEPT`, and those without a default, as the project works with its defaults."""
    found = ((match[1], text[match.start() + 1] == "{" and match[2]) for match in _COMPOSE_VARIABLE.finditer(text))
    return [name for name, default in found if not default or KEPT.fullmatch(name)]


def _read_by(path: TreePath, text: str) -> list[str]:
    if path[:1] == ("variables",) and path[2:] == ("from",):
        return [text]
    with suppress(ExpressionError):
        return [".".join(ref.path[:1]) or "(all)" for ref in references(text, ()) if ref.root == "env"]
    return []


def _found(loaded: Loaded, kinds: Mapping[str, Any]) -> Iterator[Power]:
    yield from _of_definition(loaded)
    yield from _of_kinds(loaded, kinds)


def _of_definition(loaded: Loaded) -> Iterator[Power]:
    assert loaded.definition is not None
    for name in loaded.definition.write:
        yield Power(("write", name), f"writes the file {name}")
    for name in loaded.definition.tests:
        yield Power(("tests", name), "runs a command on this machine", ", with `envctl test`")
    for what, name, given in ((what, name, given) for what, items in loaded.compose_extra.items() for name, given in items.items()):
        asked = [key for key in ("driver_opts", "external", "environment") if isinstance(given, Mapping) and given.get(key)]
        if asked:
            yield Power((what, name), f"{what}.{name} has `{asked[0]}`, and so uses something outside the instance")
    for name, service in loaded.definition.services.items():
        yield from _of_service(loaded, service, ("services", name))


def _of_service(loaded: Loaded, service: Service, at: TreePath) -> Iterator[Power]:
    if service.run is not None:
        yield Power((*at, "run"), "runs a program on this machine", LOCALLY)
    if service.publish is not None:
        yield Power((*at, "publish"), "uses a fixed port of this machine")
    if isinstance(service.expose, Expose) and service.expose.host:
        yield Power((*at, "expose"), f"asks for the host {service.expose.host}, which may belong to another program")
    for key, value in service.env.items():
        if value is None:
            yield Power((*at, "env", key), READS.format(key))
    for index, text in enumerate(service.env_file):
        yield from _of_files(loaded, text, (*at, "env_file", index), _bare_names)
    for index, step in enumerate(service.seed):
        where = (*at, "seed", index)
        if step.command is not None and step.in_ in (None, "host"):
            yield Power((*where, "command"), "runs a command on this machine, to seed")
        if step.restore is not None:
            yield Power((*where, "restore"), "restores a dump, which may run programs where its server runs", LOCALLY)
        if step.file is not None:
            yield from _of_files(loaded, step.file, (*where, step.format), _client_commands)
    for target, text in service.files.items():
        yield from _of_files(loaded, text, (*at, "files", target), _links)
    if service.build is not None:
        build = service.build if isinstance(service.build, Build) else Build(context=service.build)
        yield from _of_build(build, (*at, "build"))
    yield from _of_compose(service.compose, (*at, "compose") if not service.from_compose else at)
    if service.kubernetes and isinstance(service.kubernetes, Mapping):
        yield Power((*at, "kubernetes"), "changes its objects in the cluster")
    for index, item in enumerate(service.kubernetes if isinstance(service.kubernetes, list) else ()):
        yield Power((*at, "kubernetes", index), f"adds a {item['kind']}, {item['metadata']['name']}, to the cluster")


def _of_build(build: Build, at: TreePath) -> Iterator[Power]:
    more = build.model_extra or {}
    yield from (Power(at, f"builds with `{key}`") for key in OPEN_BUILD if more.get(key))
    if str(more.get("network") or "none") not in ("none", "default"):
        yield Power(at, "builds in the network of this machine, or of another container")
    args = build.args.items() if isinstance(build.args, Mapping) else ((each, "" if "=" in each else None) for each in build.args)
    for name, value in args:
        if value is None:
            yield Power((*at, "args"), READS.format(name))


def _of_compose(given: Mapping[str, Any], at: TreePath) -> Iterator[Power]:
    for key in given:
        if key not in HARMLESS and not key.startswith("x-"):
            yield Power((*at, key), f"runs with `{key}`")
    for key in HOST:
        if str(given.get(key, "")).startswith(("host", "container:")):
            yield Power((*at, key), f"shares `{key}` with this machine")
    volumes = given.get("volumes")
    for volume in volumes if isinstance(volumes, list) else []:
        source = _bound(volume)
        if source:
            what = (
                "has Docker's socket, and so can control this machine"
                if source.endswith("docker.sock")
                else f"mounts {source} of this machine"
            )
            yield Power((*at, "volumes"), what)


def _bound(volume: object) -> str:
    """Return the source of a bind mount; empty for a volume of Docker."""
    if isinstance(volume, Mapping):
        return str(volume.get("source", "")) if volume.get("type") == "bind" else ""
    source, colon, _ = str(volume).partition(":")
    return source if colon and source.startswith(("/", ".", "~", "$")) else ""


def _of_files(loaded: Loaded, text: str, at: TreePath, look: Any) -> Iterator[Power]:
    found = inside(text, loaded.base(at), loaded.project, what=None)
    if isinstance(found, Path):
        paths = [found] if not found.is_dir() else sorted(found.rglob("*"))
        yield from look(loaded, paths, at)


def _links(loaded: Loaded, paths: list[Path], at: TreePath) -> Iterator[Power]:
    for path in paths:
        if _is_linked(path):
            yield Power(at, f"follows the link {path.name}")


def _bare_names(loaded: Loaded, paths: list[Path], at: TreePath) -> Iterator[Power]:
    for path in paths:
        yield from (Power(at, f"{READS.format(name)} (for {path.name})") for name in bare_names(path, loaded.project))


def _is_linked(path: Path) -> bool:
    """Return whether *path* is a link, or leads through one."""
    return os.path.realpath(path) != str(path)


def _client_commands(loaded: Loaded, paths: list[Path], at: TreePath) -> Iterator[Power]:
    yield from _links(loaded, paths, at)
    for path in paths:
        if (
            Path(plain_name(path)).suffix == ".sql"
            and not _is_linked(path)
            and path.is_file()
            and _has_client_commands(path, loaded.project)
        ):
            yield Power(at, f"{path.name} has commands for the database's client, which runs on this machine", LOCALLY)


def _has_client_commands(path: Path, root: Path) -> bool:
    """Return whether the SQL file, compressed or not, has commands for the client. True for a file that is too large to be searched."""
    with suppress(OSError), open_unpacked(path, root) as stream:
        content = stream.read(LARGEST_SQL + 1)
        return len(content) > LARGEST_SQL or CLIENT_COMMANDS.search(content) is not None
    return False  # damaged: no client can load it


def _of_kinds(loaded: Loaded, kinds: Mapping[str, Any]) -> Iterator[Power]:
    """Yield the kinds and templates of the project, which may render anything; the built-in ones are known."""
    assert loaded.definition is not None
    if not isinstance(kinds, Kinds):
        return
    for name, service in loaded.definition.services.items():
        files = kinds.files.get(kinds.also.get(service.kind, service.kind), [])
        if files and not files[0].is_relative_to(templates("kinds")):
            yield Power(("services", name, "kind"), f"has a kind of the project's own ({service.kind})")
    own = loaded.project / "templates" / "kubernetes"
    if own.resolve() != templates("kubernetes").resolve() and any(own.glob("*.j2")):
        yield Power((), "has templates of its own for manifests")
