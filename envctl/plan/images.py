"""Names of images: rewritten for a mirror, and tagged with a hash of the content of a build."""

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
    """Return *image* with the longest matching prefix replaced. `postgres:17` has the full name `docker.io/library/postgres:17` here."""
    full = full_name(image)
    for prefix in sorted(prefixes, key=len, reverse=True):
        rest = full.removeprefix(prefix.rstrip("/"))
        if rest != full and rest[:1] in ("", "/", ":", "@"):
            return prefixes[prefix].rstrip("/") + rest
    return image


def full_name(image: str) -> str:
    """Return the name of *image* with its registry, by Docker's own rule for what the first part of a name is."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"


def build_plan(
    build: Build, context: Path, name: str | None, root: Path, *, as_named: bool = False, written: Collection[Path] = ()
) -> BuildPlan:
    """Return the plan of the image that is built from *context*. The tag is a hash of everything that makes the image.

    Args:
        name: the image's name in the definition. By default it becomes part of the tag only, since it could be the name of an image
            that other people pull.
        as_named: whether *name* and the further tags of *build* are used as they are.
        written: the files of `write:`, which change with every `up` and must not cause a new build.

    Raises:
        FileRefused: a file is outside *root*, or is not a regular file.
        OSError: a file cannot be read.
    """
    if not as_named:
        build = build.model_copy(update={"tags": []}) if "tags" in (build.model_extra or {}) else build
    digest = hashlib.sha256(json.dumps(build.model_dump(mode="json"), sort_keys=True).encode())
    # The Dockerfile is always hashed: Docker reads it even if it is ignored, or is outside the context.
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
    """Return the part of the hash for one file. A link counts as a link, because Docker sends it as one."""
    mode = b"x" if os.access(path, os.X_OK) else b"-"
    content = hashlib.sha256(os.fsencode(os.readlink(path))).digest() if path.is_symlink() else _digest(path, root)
    return b"\0".join((os.fsencode(path.relative_to(context).as_posix()), mode, content))


def _digest(path: Path, root: Path) -> bytes:
    with open_file(path, root) as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def context_files(context: Path, ignored: Regexp | None) -> Iterator[Path]:
    """Yield the files and links of the build context *context*, sorted in each folder, without those that *ignored* matches."""
    for folder, folders, files in os.walk(context):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*files, *links]):
            path = Path(folder, name)
            kept = ignored is None or not ignored.search(os.fsencode(path.relative_to(context).as_posix()))
            if kept and (path.is_symlink() or path.is_file()):
                yield path


def _ignored(context: Path, dockerfile: Path, root: Path) -> Regexp | None:
    """Return the patterns of the ignore file as one expression; None if it has exceptions (`!`), so that the hash misses no file."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")  # Docker prefers a file beside the Dockerfile
    try:
        lines = read_file(own if own.is_file() else context / ".dockerignore", root, largest=1_000_000).decode().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not patterns or any(line.startswith("!") for line in patterns):
        return None
    with suppress(BadPattern):  # too many patterns: then ignored files are hashed as well
        return compiled("^(?:" + "|".join(f"(?:{_glob(p.strip('/'))})(?:/.*)?$" for p in patterns) + ")", lines=False)
    return None


def _glob(pattern: str) -> str:
    text = re.escape(pattern)
    return text.replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
