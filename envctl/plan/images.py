"""Names of images: rewritten for a mirror, and tags made of the content of what is built."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from envctl.definition.models import Build
from envctl.definition.patterns import BadPattern, Regexp, compiled
from envctl.files.reading import open_file, read_file
from envctl.plan.model import BuildPlan


def rewrite(image: str, prefixes: Mapping[str, str]) -> str:
    """*image* with the longest matching prefix of its full name replaced: `docker.io/library/postgres:17` is `postgres:17`."""
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


def build_plan(
    build: Build, context: Path, name: str | None, root: Path, *, as_named: bool = False, written: Collection[Path] = ()
) -> BuildPlan:
    """What is built from *context*; the tag is a hash of everything that makes the image.

    Args:
        name: of the image, as the definition says. A stranger's could be that of an image which others pull, so it is but a part of ours.
        as_named: it is trusted, and so are the further tags of *build*.
        written: files of `write:`, which are new after every `up` and no reason to build again.
    """
    if not as_named:
        build = build.model_copy(update={"tags": []}) if "tags" in (build.model_extra or {}) else build
    digest = hashlib.sha256(json.dumps(build.model_dump(mode="json"), sort_keys=True).encode())
    # The Dockerfile counts by itself: Docker reads it even if it is ignored, or stands elsewhere.
    dockerfile = context / (build.dockerfile or "Dockerfile")
    digest.update(_digest(dockerfile, root) if dockerfile.is_file() else b"")
    for path in context_files(context, _ignored(context, dockerfile, root)):
        if path not in written:
            digest.update(_entry(context, path, root))
    content = digest.hexdigest()[:16]
    ours = re.sub(r"[^a-z0-9]+", "-", (re.sub(r":[^/:]*$", "", name) if name else context.name).lower()).strip("-") or "image"
    stem = name if name and as_named else f"envctl/{ours}"
    return BuildPlan(build, context, f"{stem}:{content}" if ":" not in stem.rpartition("/")[2] else stem, content)


def _entry(context: Path, path: Path, root: Path) -> bytes:
    """Docker sends a link as a link; whatever it leads to is no part of the image."""
    mode = b"x" if os.access(path, os.X_OK) else b"-"
    content = hashlib.sha256(os.fsencode(os.readlink(path))).digest() if path.is_symlink() else _digest(path, root)
    return b"\0".join((os.fsencode(path.relative_to(context).as_posix()), mode, content))


def _digest(path: Path, root: Path) -> bytes:
    with open_file(path, root) as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def context_files(context: Path, ignored: Regexp | None) -> Iterator[Path]:
    for folder, folders, files in os.walk(context):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*files, *links]):
            path = Path(folder, name)
            kept = ignored is None or not ignored.search(os.fsencode(path.relative_to(context).as_posix()))
            if kept and (path.is_symlink() or path.is_file()):
                yield path


def _ignored(context: Path, dockerfile: Path, root: Path) -> Regexp | None:
    """The patterns of the ignore file as one expression; files that an exception (`!`) may bring back are kept."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")  # beside the Dockerfile, it wins
    try:
        lines = read_file(own if own.is_file() else context / ".dockerignore", root, largest=1_000_000).decode().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not patterns or any(line.startswith("!") for line in patterns):
        return None
    with suppress(BadPattern):  # too much of it: then more counts than has to
        return compiled("^(?:" + "|".join(f"(?:{_glob(p.strip('/'))})(?:/.*)?$" for p in patterns) + ")", lines=False)
    return None


def _glob(pattern: str) -> str:
    text = re.escape(pattern)
    return text.replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
