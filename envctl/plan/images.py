"""Names of images: rewritten for a mirror, and tags made of the content of what is built."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from envctl.definition.models import Build
from envctl.plan.model import BuildPlan


def rewrite(image: str, prefixes: Mapping[str, str]) -> str:
    """*image* with the longest matching prefix of its full name replaced: `docker.io/library/postgres:17` is `postgres:17`."""
    if not prefixes:
        return image
    full = full_name(image)
    for prefix in sorted(prefixes, key=len, reverse=True):
        rest = full.removeprefix(prefix.rstrip("/"))
        if rest != full and rest[:1] in ("", "/", ":", "@"):
            return prefixes[prefix].rstrip("/") + rest
    return image


def full_name(image: str) -> str:
    """The name with its registry: Docker's own rule for what the first part is."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"


def build_plan(build: Build, context: Path, name: str | None) -> BuildPlan:
    """What is built from *context*; the tag is a hash of everything that makes the image."""
    digest = hashlib.sha256(json.dumps(build.model_dump(mode="json"), sort_keys=True).encode())
    # The Dockerfile counts by itself: Docker reads it even if it is ignored, or stands elsewhere.
    dockerfile = context / (build.dockerfile or "Dockerfile")
    digest.update(_digest(dockerfile) if dockerfile.is_file() else b"")
    for path in context_files(context, _ignored(context, dockerfile)):
        digest.update(_entry(context, path))
    content = digest.hexdigest()[:16]
    stem = name or f"envctl/{_safe(context.name)}"
    return BuildPlan(build, context, f"{stem}:{content}" if ":" not in stem.rpartition("/")[2] else stem, content)


def _entry(context: Path, path: Path) -> bytes:
    mode = b"x" if os.access(path, os.X_OK) else b"-"
    content = hashlib.sha256(os.fsencode(os.readlink(path))).digest() if path.is_symlink() else _digest(path)
    return b"\0".join((os.fsencode(path.relative_to(context).as_posix()), mode, content))


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def context_files(context: Path, ignored: Callable[[str], object] | None) -> Iterator[Path]:
    for folder, folders, files in os.walk(context):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*files, *links]):
            path = Path(folder, name)
            kept = ignored is None or not ignored(path.relative_to(context).as_posix())
            if kept and (path.is_symlink() or path.is_file()):
                yield path


def _ignored(context: Path, dockerfile: Path) -> Callable[[str], object] | None:
    """Whether a path matches the ignore file; files that an exception (`!`) may bring back are kept, and all where it is no usual one.

    With RE2, as `**a**a**a` would keep `re` busy for hours.
    """
    import re2

    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")  # beside the Dockerfile, it wins
    try:
        lines = (own if own.is_file() else context / ".dockerignore").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not patterns or any(line.startswith("!") for line in patterns):
        return None
    try:
        found = re2.compile("|".join(f"(?:{_glob(p.strip('/'))})(?:/.*)?$" for p in patterns))
    except re2.error:
        return None
    return lambda path: found.match(path.encode(errors="replace").decode())


def _glob(pattern: str) -> str:
    text = re.escape(pattern)
    return text.replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _safe(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "image"
