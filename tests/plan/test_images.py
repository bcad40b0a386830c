from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.definition.models import Build
from envctl.plan.images import build_plan, full_name, rewrite
from tests.builders import write

MIRROR = {
    "docker.io": "registry.corp/hub",
    "docker.io/library": "registry.corp/official/",
    "docker.io/library/nats": "registry.corp/nats-of-ours",
    "quay.io/": "registry.corp/quay",
}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("postgres:17", "docker.io/library/postgres:17"),
        ("axllent/mailpit:v1", "docker.io/axllent/mailpit:v1"),
        ("ghcr.io/a/b", "ghcr.io/a/b"),
        ("localhost/a", "localhost/a"),
        ("host:5000/a:1", "host:5000/a:1"),
        ("docker.io/library/postgres:17", "docker.io/library/postgres:17"),
    ],
)
def test_full_names(image: str, expected: str) -> None:
    assert full_name(image) == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("postgres:17", "registry.corp/official/postgres:17"),
        ("docker.io/library/postgres:17", "registry.corp/official/postgres:17"),
        ("postgres@sha256:abc", "registry.corp/official/postgres@sha256:abc"),
        ("axllent/mailpit:v1.33.1", "registry.corp/hub/axllent/mailpit:v1.33.1"),
        ("quay.io/a/b:1", "registry.corp/quay/a/b:1"),
        ("docker.io/library/nats", "registry.corp/nats-of-ours"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ("docker.iox/a", "docker.iox/a"),
    ],
)
def test_the_longest_prefix_is_replaced(image: str, expected: str) -> None:
    assert rewrite(image, MIRROR) == expected


REFERENCES = st.from_regex(r"([a-z]{1,4}(\.[a-z]{2}|:[0-9]{4})?/){0,2}[a-z]{1,5}(:[a-z0-9.]{1,4})?", fullmatch=True)


@given(REFERENCES)
def test_without_prefixes_a_name_stays(image: str) -> None:
    assert rewrite(image, {}) == image
    assert full_name(full_name(image)) == full_name(image)


@given(REFERENCES)
def test_a_rewritten_name_ends_as_it_did(image: str) -> None:
    found = rewrite(image, {"docker.io": "mirror.corp"})
    assert found == image or full_name(image).removeprefix("docker.io") == found.removeprefix("mirror.corp")


# Images that are built


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "My App!"
    write(folder, {"Dockerfile": "FROM scratch\n", "src/main.py": "1\n", "docs/notes.md": "x\n", "run.sh": "#!/bin/sh\n"})
    return folder


def tag(context: Path, name: str | None = None, **build: object) -> str:
    return build_plan(Build.model_validate(build), context, name, context.parent, as_named=True).tag


def test_a_tag_is_made_of_folder_and_content(context: Path) -> None:
    stem, _, digest = tag(context).partition(":")
    assert stem == "envctl/my-app"
    assert len(digest) == 16
    assert tag(context) == tag(context)


@pytest.mark.parametrize(
    ("name", "expected"), [("me/app:1", "me/app:1"), ("host:5000/app:x", "host:5000/app:x"), ("me/app", None), ("host:5000/app", None)]
)
def test_a_name_without_a_tag_gets_one(context: Path, name: str, expected: str | None) -> None:
    found = tag(context, name)
    assert found == expected if expected else found == f"{name}:{tag(context).partition(':')[2]}"


def test_what_write_writes_is_no_reason_to_build_again(context: Path) -> None:
    """The file changes with every `up`, because it contains ports."""
    file = context / ".env.test"
    before = build_plan(Build(), context, None, context.parent, written={file}).tag
    file.write_text("URL=http://127.0.0.1:20000\n")
    assert build_plan(Build(), context, None, context.parent, written={file}).tag == before
    assert tag(context) != before


@pytest.mark.parametrize(
    ("name", "stem"),
    [("postgres:17", "envctl/postgres"), ("host:5000/me/app", "envctl/host-5000-me-app"), ("envctl/x:1", "envctl/envctl-x")],
)
def test_without_leave_nothing_is_built_under_a_name_of_others(context: Path, name: str, stem: str) -> None:
    """Otherwise all later projects on this machine would run the untrusted image under the name `postgres:17`."""
    build = Build.model_validate({"tags": ["redis:8"]})
    found = build_plan(build, context, name, context.parent)
    assert found.tag == f"{stem}:{found.content}"
    assert (found.build.model_extra or {})["tags"] == []
    assert build_plan(build, context, name, context.parent, as_named=True).build == build


def test_a_given_tag_does_not_hide_the_content(context: Path) -> None:
    first = build_plan(Build.model_validate({}), context, "me/app:1", context.parent, as_named=True)
    (context / "src/main.py").write_text("2\n")
    second = build_plan(Build.model_validate({}), context, "me/app:1", context.parent, as_named=True)
    assert first.tag == second.tag == "me/app:1"
    assert first.content != second.content


def test_a_folder_without_a_usable_name_is_called_image(tmp_path: Path) -> None:
    (tmp_path / "ü").mkdir()
    assert tag(tmp_path / "ü").startswith("envctl/image:")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file's content": lambda c: (c / "src/main.py").write_text("2\n"),
    "a file's name": lambda c: (c / "src/main.py").rename(c / "src/other.py"),
    "a new file": lambda c: (c / "new").write_text(""),
    "a missing file": lambda c: (c / "src/main.py").unlink(),
    "a file's mode": lambda c: (c / "run.sh").chmod(0o755),
    "a link": lambda c: (c / "link").symlink_to("src"),
    "the Dockerfile": lambda c: (c / "Dockerfile").write_text("FROM other\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_makes_the_image_changes_the_tag(context: Path, change: str) -> None:
    before = tag(context)
    CHANGES[change](context)
    assert tag(context) != before


def test_where_a_link_leads_changes_the_tag(context: Path) -> None:
    (context / "link").symlink_to("src")
    before = tag(context)
    (context / "link").unlink()
    (context / "link").symlink_to("docs")
    assert tag(context) != before


@pytest.mark.parametrize("build", [{"target": "test"}, {"args": {"A": "1"}}, {"dockerfile": "Dockerfile"}, {"dockerfile_inline": "FROM x"}])
def test_keys_of_build_change_the_tag(context: Path, build: dict[str, Any]) -> None:
    assert tag(context, **build) != tag(context)


def test_times_do_not_change_the_tag(context: Path) -> None:
    before = tag(context)
    os.utime(context / "src/main.py", (1, 1))
    assert tag(context) == before


@pytest.mark.parametrize(
    ("ignored", "file", "counts"),
    [
        ("docs", "docs/notes.md", False),
        ("/docs/", "docs/notes.md", False),
        ("docs/*.md", "docs/notes.md", False),
        ("**/*.md", "docs/notes.md", False),
        ("**/notes.md", "docs/notes.md", False),
        ("docs/**", "docs/notes.md", False),
        ("do?s", "docs/notes.md", False),
        ("**a**" * 40 + "\nmy do-c\\#s~", "docs/" + "a" * 39, True),
        ("my do-c#s~é", "my do-c#s~é", False),
        ("# docs\n\n  src  ", "src/main.py", False),
        ("*.md", "docs/notes.md", True),
        ("notes.md", "docs/notes.md", True),
        ("doc", "docs/notes.md", True),
        ("#docs", "docs/notes.md", True),
        ("docs\n!docs/notes.md", "docs/notes.md", True),
        ("", "docs/notes.md", True),
    ],
)
def test_what_dockerignore_leaves_out_does_not_count(context: Path, ignored: str, file: str, counts: bool) -> None:
    (context / ".dockerignore").write_text(ignored)
    before = tag(context)
    (context / file).write_text("changed")
    assert (tag(context) != before) is counts


def test_the_ignore_file_of_a_dockerfile_wins(context: Path) -> None:
    (context / ".dockerignore").write_text("src\n")
    (context / "Dockerfile.dockerignore").write_text("docs\n")
    before = tag(context)
    (context / "docs/notes.md").write_text("changed")
    assert tag(context) == before
    (context / "src/main.py").write_text("changed")
    assert tag(context) != before


def test_the_ignore_file_of_another_dockerfile_does_not(context: Path) -> None:
    (context / "Dockerfile.dockerignore").write_text("docs\n")
    (context / "Dockerfile.other").write_text("FROM scratch\n")
    before = tag(context, dockerfile="Dockerfile.other")
    (context / "docs/notes.md").write_text("changed")
    assert tag(context, dockerfile="Dockerfile.other") != before


def test_a_dockerfile_counts_even_if_it_is_ignored(context: Path) -> None:
    """Docker reads the Dockerfile in spite of .dockerignore."""
    (context / ".dockerignore").write_text("Dockerfile\n.dockerignore\n")
    before = tag(context)
    (context / "Dockerfile").write_text("FROM other\n")
    assert tag(context) != before


def test_a_dockerfile_outside_the_folder_counts(context: Path) -> None:
    dockerfile = context.parent / "Dockerfile.app"
    dockerfile.write_text("FROM scratch\n")
    before = tag(context, dockerfile="../Dockerfile.app")
    dockerfile.write_text("FROM other\n")
    assert tag(context, dockerfile="../Dockerfile.app") != before


def test_an_ignore_file_with_many_stars_is_no_work(tmp_path: Path) -> None:
    write(tmp_path, {"Dockerfile": "FROM scratch", ".dockerignore": "**a" * 20 + "b", "a" * 200 + "c": "1"})
    before = build_plan(Build(context="."), tmp_path, None, tmp_path).content
    write(tmp_path, {"a" * 200 + "b": "ignored"})
    assert build_plan(Build(context="."), tmp_path, None, tmp_path).content == before


def test_a_large_file_is_hashed_in_pieces(tmp_path: Path) -> None:
    write(tmp_path, {"Dockerfile": "FROM scratch"})
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(64 << 20)
    tracemalloc.start()
    try:
        assert build_plan(Build(context="."), tmp_path, None, tmp_path).content
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
