"""Find the services that Dockerfiles build: the build context, the port, and the path that answers when the service is ready."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from envctl.definition.dockerfile_syntax import Instruction, instructions
from envctl.init.image_contents import contents, copied_sources
from envctl.init.model import ROOT, BuiltService, service_name
from envctl.init.project_files import ProjectFiles

VARIANTS = frozenset([
    "dev", "development", "local", "debug", "test", "tests", "ci", "prod", "production", "release", "base", "build", "builder", "docs",
    "lint", "alpine", "slim",
])  # fmt: skip
"""Endings of the names of Dockerfiles that are variants: they build the same service in another way."""
OF_DEVELOPERS = ("dev", "development", "local", "debug", "test", "tests", "ci")
"""Variants for development. They are only used if the folder has no other Dockerfile."""
BASE_PORTS = {"nginx": 80, "httpd": 80, "caddy": 80, "nginxinc/nginx-unprivileged": 8080}
"""Base images, each with the port that its server listens on without an EXPOSE."""
BESIDES = (25, 465, 587, 1025, 1110, 5005, 9229)
"""Ports of mail servers and debuggers, which tests rarely connect to."""
FOR_OTHERS = frozenset([
    "tools", "tool", "bench", "benchmark", "benchmarks", "loadtest", "load-test", "loadtests", "docs", "hack", "ci", ".github",
    ".devcontainer",
    ".circleci", "e2e", "test", "tests", "fixtures", "samples",
])  # fmt: skip
"""Folders whose Dockerfiles do not build a part of the system under test."""
MAX_SERVICES = 20
MAX_SOURCES = 200
_CODE = frozenset([".py", ".js", ".ts", ".mjs", ".go", ".rb", ".java", ".kt", ".php", ".rs", ".cs"])
_HEALTH = re.compile(r"""["'](/(?:api/)?(?:healthz|health|readyz|ready|livez|health_check|healthcheck|_health))/?["']""")
_CHECK_URL = re.compile(r"https?://[\w.\-\[\]${}]+(?::[\w${}]+)?(/[\w./-]*)?")
_PORT_ARGUMENT = re.compile(
    r"""--port["',=\s]+(\d{2,5})|(?:-b|--bind|--addr|--http)["',=\s]+[\w.]*:(\d{2,5})|runserver["',\s]+[\w.]*:?(\d{2,5})|\s-p["',\s]+(\d{2,5})"""
)
USUAL_PORTS = {
    "uvicorn": 8000, "gunicorn": 8000, "fastapi": 8000, "runserver": 8000, "flask": 5000, "rails": 3000, "puma": 9292, "streamlit": 8501,
    "hypercorn": 8000, "daphne": 8000,
}  # fmt: skip
"""Servers that a command starts, each with its default port."""


def built_services(project: ProjectFiles) -> list[BuiltService]:
    """Return a service for each Dockerfile that is not a variant of another one."""
    found: list[BuiltService] = []
    for path in _chosen(project):
        taken = [service.name for service in found]
        found.append(_built_service(project, path, service_name(_stem(path), taken)))
    return found[:MAX_SERVICES]


def _chosen(project: ProjectFiles) -> Iterator[PurePosixPath]:
    named = project.named("Dockerfile", "Containerfile", "Dockerfile.*", "*.Dockerfile", "*.dockerfile")
    plain = {path.parent for path in named if path.name in ("Dockerfile", "Containerfile")}
    chosen: set[PurePosixPath] = set()
    for path in sorted(named, key=lambda path: (len(path.parts), _suffix(path) != "", _suffix(path) in OF_DEVELOPERS, path)):
        suffix = _suffix(path)
        if suffix in VARIANTS and path.parent in (chosen if suffix in OF_DEVELOPERS else plain):
            continue
        if FOR_OTHERS & set(path.parts) or VARIANTS & set(re.split(r"[._-]", suffix)) - {suffix} or suffix == "e2e":
            continue
        if any(step.name == "FROM" for step in instructions(project.text(path))):
            plain |= {path.parent} if suffix in VARIANTS else set()
            chosen.add(path.parent)
            yield path


def _suffix(path: PurePosixPath) -> str:
    if path.name in ("Dockerfile", "Containerfile"):
        return ""
    return path.name.removeprefix("Dockerfile.") if path.name.startswith("Dockerfile.") else path.stem


def _stem(path: PurePosixPath) -> str:
    suffix = _suffix(path)
    if suffix and suffix not in VARIANTS:
        return suffix
    folder = path.parent
    while folder.name in ("docker", "build", "deploy", "container", "containers", "src", "scripts", ".docker", "dockerfiles"):
        folder = folder.parent
    return folder.name or "app"


def _built_service(project: ProjectFiles, path: PurePosixPath, name: str) -> BuiltService:
    steps = list(instructions(project.text(path)))
    context = _context(project, path, steps)
    port, port_because = _port(steps)
    ready, ready_because = _ready(project, context, path, steps)
    return BuiltService(name, context, path, port, f"{path}: {port_because}" if port else "", ready, ready_because, contents(steps))


def _context(project: ProjectFiles, path: PurePosixPath, steps: Iterable[Instruction]) -> PurePosixPath:
    """Return the nearest folder that contains all files that the Dockerfile copies.

    `docker/api/Dockerfile`, for example, is often built from the project's root.
    """
    sources = [source for step in steps for source in copied_sources(step)]
    folders = [path.parent, *path.parent.parents]
    for folder in folders:
        if all(_exists(project, folder, source) for source in sources):
            return folder
    return path.parent


def _exists(project: ProjectFiles, folder: PurePosixPath, source: str) -> bool:
    source = source.strip("/") or "."
    if "*" in source or "?" in source:
        return True  # A pattern is often used for an optional file: it may match nothing.
    return ".." not in source.split("/") and project.has(folder / source)


def _port(steps: Iterable[Instruction]) -> tuple[int | None, str]:
    """Return the first port in the Dockerfile and the instruction that contains it; None and an empty text if there is no port."""
    known: dict[str, str] = {}
    base = ""
    for step in steps:
        if step.name in ("ENV", "ARG"):
            known |= dict(re.findall(r"(\w+)[=\s]\"?(\d+)", step.rest))
        elif step.name == "FROM":
            base = re.split(r"[:@\s]", re.sub(r"^--\S+\s+", "", step.rest))[0]
        elif port := _port_of(step, known):
            return port, step.name
    return (BASE_PORTS[base], f"FROM {base}") if base in BASE_PORTS else (None, "")


def _port_of(step: Instruction, known: Mapping[str, str]) -> int:
    if step.name in ("CMD", "ENTRYPOINT"):
        match = _PORT_ARGUMENT.search(step.rest)
        if match:
            return int(next(filter(None, match.groups())))
        return next((port for word in re.findall(r"[\w.-]+", step.rest) if (port := USUAL_PORTS.get(word.rpartition("/")[2]))), 0)
    if step.name != "EXPOSE":
        return 0
    words = [word.removesuffix("/tcp").strip("${}") for word in step.rest.split()]
    numbers = [known.get(word, word) for word in words]
    ports = [int(text) for text in numbers if re.fullmatch(r"\d{1,5}", text) and 0 < int(text) < 65536]
    return next((port for port in ports if port not in BESIDES), ports[0] if ports else 0)


def _ready(project: ProjectFiles, context: PurePosixPath, path: PurePosixPath, steps: Iterable[Instruction]) -> tuple[str, str]:
    for step in steps:
        if step.name == "HEALTHCHECK" and (match := _CHECK_URL.search(step.rest)):
            return match[1] or "/", f"{path}: HEALTHCHECK"
    sources = [file for file in project.below(path.parent if path.parent != ROOT else context) if file.suffix in _CODE]
    for file in sources[:MAX_SOURCES]:
        if "test" not in str(file).lower() and (match := _HEALTH.search(project.text(file))):
            return match[1], str(file)
    return "", ""
