"""Tests of untrusted projects: no path in them makes envctl read a file outside the project or fetch anything."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from envctl.definition.compose_paths import ComposePaths
from envctl.environment import open_environment
from envctl.errors import DefinitionError
from tests.builders import plan_of, write

SECRET = "root:x:0:0"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path, {"shadow": SECRET, "project/envctl.toml": "", "project/environments/.keep": ""})
    return tmp_path / "project"


def mistakes(project: Path, definition: str) -> list[str]:
    write(project, {"environments/e.yaml": definition})
    with pytest.raises(DefinitionError) as caught:
        plan_of_file(project)
    assert SECRET not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


def plan_of_file(project: Path) -> None:
    from envctl.plan.make import make_plan
    from envctl.plan.render_setting import render_setting
    from envctl.plan.traits import UNDECIDED

    environment = open_environment("e", cwd=project, environ=dict(os.environ))
    make_plan(environment, render_setting(environment, "e", UNDECIDED, {}))


@pytest.mark.parametrize(
    "service",
    [
        'kind: web, with: {root: "../../${self.name}"}',
        'kind: web, with: {root: "/etc/${self.name}"}',
        "kind: web, with: {root: site}",
        "image: x, port: 1, files: {/x: link}",
        "image: x, port: 1, files: {/x: site}",
        "image: x, port: 1, env_file: link",
        "port: 1, build: outside",
        "kind: postgres, seed: [{sql: link.sql}]",
        "kind: postgres, seed: [{command: x, inputs: [site/*]}]",
        "kind: stub, with: {routes: routes}",
    ],
)
def test_links_and_references_lead_nowhere_outside(project: Path, service: str) -> None:
    folder = project / "environments"
    (folder / "site").mkdir()
    (folder / "site/index.html").symlink_to("../../../shadow")
    (folder / "link").symlink_to("../../shadow")
    (folder / "link.sql").symlink_to("../../shadow")
    (folder / "outside").symlink_to("../..")
    (folder / "routes/__files").mkdir(parents=True)
    (folder / "routes/__files/body").symlink_to("../../../../shadow")
    write(folder, {"routes/a.json": json.dumps({"request": {}, "response": {"bodyFileName": "body"}})})
    found = mistakes(project, f"name: e\nservices:\n  x: {{{service}}}\n")
    assert all("environments/e.yaml:3: " in line for line in found)
    assert any("outside" in line for line in found), found


@pytest.mark.parametrize("target", ["/dev/zero", "../../shadow"])
def test_a_definition_that_is_a_link_outside(project: Path, target: str) -> None:
    (project / "environments/e.yaml").symlink_to(target)
    with pytest.raises(DefinitionError, match="is outside of") as caught:
        plan_of_file(project)
    assert SECRET not in str(caught.value)


def test_a_definition_that_is_a_pipe(project: Path) -> None:
    os.mkfifo(project / "environments/e.yaml")
    with pytest.raises(DefinitionError, match="not a regular file"):
        plan_of_file(project)


@pytest.mark.parametrize("mount", ["envctl:../../etc", "envctl:cli"])
def test_folders_of_the_package_are_for_its_own_kinds(project: Path, mount: str) -> None:
    write(project, {"templates/kinds/own.yaml": f"kind: own\nimage: x\nports: {{main: 1}}\nmounts: {{/x: '{mount}'}}\n"})
    found = mistakes(project, "name: e\nservices: {x: {kind: own}}\n")
    assert any("own.yaml:4: mounts: `envctl:` is for the kinds that ship" in line for line in found)


def test_a_value_that_looks_like_a_folder_of_the_package_is_a_path(project: Path) -> None:
    assert mistakes(project, "name: e\nservices: {x: {kind: web, with: {root: 'envctl:../pyproject.toml'}}}\n")


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/schema.json", "file:///etc/passwd"])
def test_schemas_are_not_fetched(project: Path, reference: str) -> None:
    kind = {"kind": "own", "image": "x", "ports": {"main": 1}, "parameters": {"a": {"$ref": reference}}}
    write(project, {"templates/kinds/own.yaml": json.dumps(kind)})
    found = mistakes(project, "name: e\nservices: {x: {kind: own, with: {a: 1}}}\n")
    assert any("the kind's schema for this is wrong" in line for line in found)


def test_texts_of_a_kind_stay_in_the_project(project: Path, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="outside"):
        plan_of(project, "name: e\nservices:\n  web: {kind: web, with: {root: \"${'..'}/..\"}}\n")


# Compose files


@pytest.mark.parametrize(
    "text",
    [
        "services: {a: {image: x, env_file: ../shadow}}",
        "services: {a: {image: x, env_file: [{path: /etc/passwd}]}}",
        "services: {a: {image: x, env_file: '${HOME}/.netrc'}}",
        "services: {a: {image: x, env_file: link}}",
        "services: {a: {extends: {file: ../../other.yaml, service: b}}}",
        "services: {a: {build: ..}}",
        "services: {a: {build: {context: ../..}}}",
        "include: [../other.yaml]",
        "include: [{path: [inside.yaml], env_file: ../shadow}]",
        "include: ['https://github.com/o/r.git']",
        "include: ['oci://registry/x']",
        "include: [inside.yaml]",
        "services: {a: {image: x}}\nsecrets: {s: {file: ../shadow}}",
        "services: {a: {image: x}}\nconfigs: {c: {file: /etc/shadow}}",
        "x: &x {env_file: ../shadow}\nservices: {a: {<<: *x, image: x}}",
        "services: {a: {image: x, env_file: '${DOES_NOT_EXIST:-../shadow}'}}",
        "services: {a: {image: x, env_file: '${A:-${B}}'}}",
        "services: {a: {image: x, env_file: '~/secret.env'}}",
        "x-s: &s {a: {image: x, env_file: ../shadow}}\nservices: {<<: *s}",
        "x-b: &b {services: {a: {image: x, env_file: ../shadow}}}\n<<: *b",
        "services: {a: {image: x}}\n---\nservices: {a: {env_file: ../shadow}}",
        "include: [{path: plain.yaml, project_directory: ..}]",
        "include: [{path: [sub/above.yaml, plain.yaml], project_directory: .}]",
        "include: [{path: [plain.yaml, sub/above.yaml]}]",
        "include: [{path: variable.yaml, env_file: evil.env}]",
    ],
)
def test_what_a_compose_file_would_read_outside(project: Path, text: str) -> None:
    (project / "link").symlink_to("../shadow")
    write(project, {"compose.yaml": text, "inside.yaml": "services: {b: {image: x, env_file: ../shadow}}"})
    write(project, {"sub/above.yaml": "services: {b: {image: x, env_file: ../shadow}}"})
    write(project, {"plain.yaml": "services: {}", "variable.yaml": "services: {b: {env_file: '${P:-ok.env}'}}", "evil.env": "P=../shadow"})
    found = ComposePaths(project, {"HOME": "/root"}).read([project / "compose.yaml"]).problems
    assert found
    assert all(problem.line >= 1 and problem.file.suffix == ".yaml" for problem in found)


@pytest.mark.parametrize(
    "text",
    [
        "services: {a: {image: x, env_file: [one.env, {path: two.env, required: false}]}}",
        "services: {a: {build: {context: app}, extends: {file: inside.yaml, service: b}}}",
        "services: {a: {build: '${CONTEXT:-app}'}}\ninclude: [inside.yaml]",
        "services: {a: {image: x, env_file: '${ENV_FILE:?say which}'}}",
        "services: {a: {image: x, volumes: ['/etc:/x']}}\nsecrets: {s: {environment: TOKEN}}",
        "include: [{path: above.yaml, project_directory: sub}]",
        "include: [{path: [sub/plain.yaml, above.yaml]}, inside.yaml]",
        "include: [{path: plain.yaml, env_file: one.env}, inside.yaml]",
    ],
)
def test_what_lies_inside_is_read(project: Path, text: str) -> None:
    write(project, {"compose.yaml": text, "inside.yaml": "services: {b: {image: x, env_file: one.env}}", "one.env": "A=1"})
    write(project, {"above.yaml": "services: {b: {env_file: ../one.env}}", "sub/plain.yaml": "services: {}", "plain.yaml": "services: {}"})
    assert ComposePaths(project, {"ENV_FILE": "one.env"}).read([project / "compose.yaml"]).problems == []


@pytest.mark.parametrize(
    "tagged", ["env_file: !!binary Li4vc2hhZG93", "!!binary ZW52X2ZpbGU=: ../shadow", "!<tag:yaml.org,2002:binary> ZW52X2ZpbGU=: x"]
)
def test_no_tag_hides_what_a_compose_file_says(project: Path, tagged: str) -> None:
    write(project, {"compose.yaml": f"services: {{a: {{image: x, {tagged}}}}}"})
    found = ComposePaths(project, {}).read([project / "compose.yaml"]).problems
    assert ["the tag `!!binary` has no meaning here" in problem.message for problem in found] == [True]
