"""Recognition of a Compose file by its keys, and the equivalents of Compose's keys in a definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from envctl.definition.compose_paths import entries, texts
from envctl.definition.yaml_parser import Branch, Leaf, Node, YamlError, parse_nodes
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

OUR_WORDS: Mapping[str, str] = {
    "environment": "here it is `env:`",
    "depends_on": "here it is `needs: [db]`; and `${db.url}` in `env` waits for db by itself",
    "healthcheck": "here it is `ready:`, e.g. `ready: {http: /healthz}`",
    "volumes": "`files: {/path/inside: file-of-the-project}` puts files in; data is the instance's own; `compose: {volumes: [...]}` mounts",
    "restart": "a service that ends is reported as a failure; `compose: {restart: always}` makes Docker start it again",
    "entrypoint": "here `run:` is the whole program, and `command:` its arguments",
    "container_name": "the service's own name is its host name, and instances run side by side",
    "networks": "all services of an instance reach each other; `compose: {networks: ...}` is for more than one",
    "links": "all services of an instance reach each other under their names",
    "deploy": "here it is `replicas:` and `resources: {cpu: 0.5, memory: 256M}`",
    "profiles": "`envctl up ENV --only SERVICE` brings up a part",
    "stop_grace_period": "here it is `stop: 10s`",
    "secrets": "here it is `files:`, or a variable: `variables: {key: {from: NAME, secret: true}}`",
    "configs": "here it is `files: {/path/inside: file-of-the-project}`",
    "working_dir": "`compose: {working_dir: ...}` passes it on",
    "user": "`compose: {user: ...}` passes it on",
}
"""Keys of a Compose service, each with its equivalent in a definition."""
_OUR_TOP = frozenset(["outputs", "tests", "write", "variables", "from", "ttl", "description"])
_OUR_KEYS = frozenset(
    ["kind", "with", "env", "needs", "ready", "seed", "run", "files", "port", "stop", "resources", "kubernetes", "compose"]
)
_COMPOSES_KEYS = frozenset(
    [*OUR_WORDS, "ports as a list", "extends", "hostname", "extra_hosts", "tty", "init", "privileged", "cap_add", "labels"]
)
_COMPOSES_TOP = frozenset(["version", "networks", "volumes", "configs", "secrets"])
_DEEPEST = 5
"""The most levels of includes that are searched."""


def reads_like_compose(file: Path, project: Path | None = None, chain: tuple[Path, ...] = ()) -> bool:
    """Return whether *file* has services with Compose's keys and without envctl's, or includes such files; False if it cannot be read.

    Args:
        project: the folder outside of which nothing is read (default: the folder of *file*).
        chain: the files that include *file*, the outermost first.
    """
    project = project or file.parent
    try:
        document = parse_nodes(read_file(file, project).decode("utf-8-sig"), any_tag=True)
    except (FileRefused, OSError, UnicodeDecodeError, YamlError):
        return False
    top = {key.text: value for key, value in entries(document)}
    services = [value for _, value in entries(top.get("services"))]
    keys = {key for service in services for key in _keys(service)}
    if _OUR_TOP & set(top) or keys & _OUR_KEYS or not (services or "include" in top):
        return False
    if (services and "name" not in top) or keys & _COMPOSES_KEYS or (services and _COMPOSES_TOP & set(top)):
        return True
    return _includes_compose(top.get("include"), project, (*chain, file))


def _includes_compose(include: Node | None, project: Path, chain: tuple[Path, ...]) -> bool:
    """Return whether *include* has Compose's long form, or names a Compose file."""
    if any(isinstance(item, Branch) and item.is_map for item in getattr(include, "items", [])):
        return True
    files = [chain[-1].parent / leaf.text for leaf in texts(include, "path")]
    return any(reads_like_compose(file, project, chain) for file in files if file not in chain and len(chain) < _DEEPEST)


def _keys(service: Node) -> Iterator[str]:
    for key, value in entries(service):
        as_list = key.text == "ports" and isinstance(value, Branch | Leaf) and not (isinstance(value, Branch) and value.is_map)
        yield "ports as a list" if as_list else key.text
