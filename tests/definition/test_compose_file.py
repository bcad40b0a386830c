"""Tests of Compose files as an environment, and of definitions with `from:`, with a file that has everything such files have."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from envctl.definition.compose_file import ComposeReference, read_compose
from envctl.definition.expressions import evaluate
from envctl.definition.source import Source
from envctl.environment import Environment, open_environment
from envctl.errors import DefinitionError, EngineMissing
from envctl.files.reading import read_file
from tests.processes import running, until

HERE = Path(__file__).parent / "compose"


def has_compose() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0


needs_compose = pytest.mark.skipif(not has_compose(), reason="needs Docker Compose (no daemon)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(HERE, tmp_path, dirs_exist_ok=True)
    (tmp_path / ".env").write_text("PGUSER=shop\nPG=16\n")
    return tmp_path


def opened(folder: Path, env: str = "compose.yaml", **environ: str) -> Environment:
    return open_environment(env, cwd=folder, environ=environ)


@needs_compose
def test_a_folder_called_env_holds_no_variables(tmp_path: Path) -> None:
    """Some projects create their virtual environment with `python -m venv .env`; Compose ignores such a folder."""
    (tmp_path / ".env").mkdir()
    (tmp_path / "compose.yaml").write_text("services: {web: {image: 'nginx:1.26'}}\n")
    assert list(opened(tmp_path).definition.services) == ["web"]


@needs_compose
def test_the_variables_beside_it_are_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path, *given: Any, **more: Any) -> bytes:
        read.append(path)
        return read_file(path, *given, **more)

    monkeypatch.setattr("envctl.definition.compose_dotenv.read_file", counted)
    assert opened(folder).definition.name == "legacy-shop"
    assert read.count(folder / ".env") == 1


@needs_compose
class TestAGrownFile:
    def test_services_and_profiles(self, folder: Path) -> None:
        assert {"db", "cache", "broker", "migrate", "api", "worker", "mail", "minio", "cron", "search"} == set(
            opened(folder).definition.services
        )
        assert "web" in opened(folder, COMPOSE_PROFILES="front").definition.services
        assert opened(folder).definition.name == "legacy-shop"

    def test_kinds_are_recognised_with_the_credentials_as_written(self, folder: Path) -> None:
        services = opened(folder).definition.services
        assert {name: service.kind for name, service in services.items() if service.kind != "service"} == {
            "db": "postgres",
            "cache": "redis",
            "broker": "rabbitmq",
            "mail": "mail",
            "migrate": "job",
        }
        assert services["db"].with_ == {"username": "shop", "password": "secret", "databases": ["shop"]}
        assert services["broker"].with_ == {"username": "guest", "password": "guest", "virtual_hosts": ["/"]}
        assert all(service.from_compose for service in services.values())

    def test_env_file_and_interpolation(self, folder: Path) -> None:
        services = opened(folder, PGPASSWORD="p$w").definition.services
        assert services["db"].image == "postgres:16"
        env = {key: evaluate(value or "", {}) for key, value in services["api"].env.items()}
        assert env == {
            "LOG_LEVEL": "info",
            "DATABASE_URL": "postgres://shop:p$w@db:5432/shop",
            "PRICE": "$5 and ${HOME}",
            "TOKEN": "a$b",
        }

    def test_order(self, folder: Path) -> None:
        services = opened(folder).definition.services
        assert services["api"].needs == {"cache": "ready", "db": "ready", "migrate": "done"}
        assert "tracing" in opened(folder, COMPOSE_PROFILES="obs").definition.services["api"].needs

    def test_ports(self, folder: Path) -> None:
        services = opened(folder).definition.services
        assert services["api"].ports == {"p8000": 8000}
        assert list(services["broker"].ports.items()) == [("amqp", 5672), ("management", 15672)]
        assert services["cache"].ports == {"redis": 6379}
        assert services["search"].ports == {}
        assert services["mail"].ports == {"smtp": 1025, "web": 1080}

    def test_builds_and_the_rest(self, folder: Path) -> None:
        services = opened(folder).definition.services
        build = services["api"].build
        assert not isinstance(build, str)
        assert build is not None
        assert (build.context, build.target, build.args) == (str(folder / "api"), "prod", {"VERSION": "1"})
        assert services["worker"].replicas == 2
        assert services["migrate"].compose["command"] == ["./wait-for-it.sh", "db:5432", "--", "python", "migrate.py"]
        assert services["db"].compose["healthcheck"]["test"][1] == "pg_isready -U $${POSTGRES_USER}"
        managed = {"container_name", "depends_on", "image", "build", "environment", "profiles"}
        assert not [name for name, service in services.items() if managed & set(service.compose)]

    def test_the_rest_of_the_file(self, folder: Path) -> None:
        extra = opened(folder).loaded.compose_extra
        assert extra["volumes"] == {"dbdata": {}}
        assert extra["networks"]["outer"]["external"] is True
        assert extra["configs"] == {"appcfg": {"content": "a=$$b"}}
        assert extra["secrets"] == {"api_key": {"file": str(folder / "key.txt")}}

    def test_a_secret_of_a_variable_that_only_its_dotenv_file_has(self, tmp_path: Path) -> None:
        deep = "${NONE:-" * 9 + "x" + "}" * 9
        (tmp_path / ".env").write_text("A=x\nPW=${NONE:-a${A}$b}\nRAW='${A}'\nDEEP={deep}\n".replace("{deep}", deep))
        secrets = "secrets: {pw: {environment: PW}}\nconfigs: {c: {environment: RAW}, d: {environment: SHELLS}, e: {environment: DEEP}}\n"
        db = "{image: postgres, environment: {POSTGRES_PASSWORD_FILE: /run/secrets/pw}, secrets: [pw], configs: [c, d]}"
        (tmp_path / "compose.yaml").write_text(f"services: {{db: {db}}}\n{secrets}")
        found = opened(tmp_path, SHELLS="of the shell", b="b")
        assert found.definition.services["db"].with_["password"] == "axb"
        assert found.loaded.compose_variables == {"PW": "axb", "RAW": "${A}", "SHELLS": "of the shell"}
        assert "of the shell" not in repr(found.loaded)
        assert found.loaded.compose_unresolved == {"DEEP"}
        assert found.loaded.losses == []

    def test_losses(self, folder: Path) -> None:
        losses = opened(folder, COMPOSE_PROFILES="front").loaded.losses
        assert losses == [
            "broker: the udp port 9999 is not published",
            "cron: `container_name` is left out; the name stays as a network alias",
            "web: `network_mode: host` is left out: it reaches others by their names, not at `localhost`; its `ports:` are published",
        ]

    def test_a_container_name_stays_reachable(self, folder: Path) -> None:
        assert opened(folder).definition.services["cron"].compose["networks"] == {"outer": {"aliases": ["my-cron"]}}

    def test_services_stand_where_the_file_has_them(self, folder: Path) -> None:
        environment = opened(folder)
        file, line = environment.loaded.source.at(("services", "db", "env", "POSTGRES_DB"))
        assert (folder / "compose.yaml").read_text().splitlines()[line - 1] == "  db:"
        assert file.name == "compose.yaml"


@needs_compose
class TestBelowADefinition:
    def test_our_keys_lie_on_top(self, folder: Path) -> None:
        (folder / "shop.yaml").write_text(
            "name: shop\nfrom: compose.yaml\nservices:\n  mail: {with: {username: me}}\n"
            "  search: {port: 9200, ready: {http: /_cluster/health}}\n  cron: null\n"
            "  tests: {image: t, env: {A: '${db.url}', B: '${search.url}'}}\n"
        )
        environment = opened(folder, "shop.yaml")
        services = environment.definition.services
        assert environment.definition.name == "shop"
        assert services["mail"].with_ == {"username": "me", "password": ""}
        assert services["search"].ports == {"main": 9200}
        assert "cron" not in services
        assert (services["search"].from_compose, services["tests"].from_compose) == (True, False)

    def test_several_files_and_profiles(self, folder: Path) -> None:
        (folder / "more.yaml").write_text("services:\n  extra: {image: extra}\n")
        (folder / "shop.yaml").write_text("name: shop\nfrom: {file: [compose.yaml, more.yaml], profiles: [front]}\n")
        assert {"extra", "web", "db"} <= set(opened(folder, "shop.yaml").definition.services)

    def test_mistakes_in_ours_are_told_at_ours(self, folder: Path) -> None:
        (folder / "shop.yaml").write_text("name: shop\nfrom: compose.yaml\nservices:\n  mail: {kinnd: x}\n  w: {image: w, needs: [dbb]}\n")
        with pytest.raises(DefinitionError) as caught:
            opened(folder, "shop.yaml")
        assert [(problem.file.name, problem.line, problem.path) for problem in caught.value.problems] == [
            ("shop.yaml", 4, "services.mail.kinnd"),
            ("shop.yaml", 5, "services.w.needs.dbb"),
        ]

    @pytest.mark.parametrize("name", ["compose.override.yaml", "compose.override.yml"])
    def test_an_override_file_is_told_of(self, folder: Path, name: str) -> None:
        (folder / name).write_text("services: {}\n")
        assert f"{name} is not read; `from: [compose.yaml, {name}]` reads both" in opened(folder).loaded.losses


@needs_compose
def test_what_compose_refuses_without_its_override_is_told_of_it(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {php: {restart: always}}\n")
    (tmp_path / "compose.override.yaml").write_text("services: {php: {image: 'php:8'}}\n")
    with pytest.raises(DefinitionError, match=r"neither an image nor a build context") as caught:
        opened(tmp_path)
    assert "`from: [compose.yaml, compose.override.yaml]` reads both" in caught.value.problems[0].hint


@needs_compose
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services:\n  a: {imagee: x}\n", "imagee"),
        ("services:\n  a: {image: '${NOPE:?say what}'}\n", "say what"),
        ("services:\n  a: [\n", "not valid YAML"),
        ("services:\n  a: {image: x, depends_on: [b]}\n", "undefined service"),
        ("services: {a: {image: x}}\n".encode("utf-16").decode("latin-1"), "UTF-16"),
    ],
)
def test_a_file_that_compose_refuses(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "compose.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(DefinitionError) as caught:
        opened(tmp_path)
    (problem,) = caught.value.problems
    assert problem.message.startswith(("Docker Compose says: ", "not valid YAML", "the file is UTF-16"))
    assert message in problem.message
    assert (problem.file.name, problem.line, problem.path) == ("compose.yaml", {"not valid YAML": 3, "UTF-16": 1}.get(message, 2), "")


@needs_compose
def test_a_file_of_which_nothing_starts_says_why(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(
        "services:\n  b: {image: x, scale: 0}\n  a: {image: x, deploy: {replicas: 0}}\n  c: {image: x, profiles: [p]}\n"
    )
    with pytest.raises(DefinitionError) as caught:
        opened(tmp_path)
    (problem,) = caught.value.problems
    assert problem.message == "nothing starts: every service has `replicas: 0` (a, b)"
    assert (problem.file.name, problem.line) == ("compose.yaml", 3)
    assert set(opened(tmp_path, COMPOSE_PROFILES="p").definition.services) == {"c"}


@needs_compose
def test_warnings_of_compose_are_losses(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  a: {image: 'x:${NOT_SET}y'}\n")
    assert any("NOT_SET" in loss for loss in opened(tmp_path).loaded.losses)


def test_without_docker(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  a: {image: x}\n")
    with pytest.raises(EngineMissing, match="Docker Compose is needed to read") as caught:
        opened(tmp_path, PATH=str(tmp_path))
    assert caught.value.exit_code == 3


def test_without_the_compose_plugin(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho \"docker: 'compose' is not a docker command.\" >&2\nexit 1\n")
    docker.chmod(0o755)
    (tmp_path / "compose.yaml").write_text("services:\n  a: {image: x}\n")
    with pytest.raises(EngineMissing, match="no Compose plugin"):
        opened(tmp_path, PATH=f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ("nope.yaml", "from", "there is no file 'nope.yaml'"),
        ("../x.yaml", "from", "outside of the project"),
        (5, "from", "expected the path of a Compose file"),
        ([], "from", "no Compose file is named"),
        ({"fil": "x"}, "from.fil", "unknown key 'fil'; did you mean 'file'?"),
    ],
)
def test_a_wrong_from(tmp_path: Path, value: object, path: str, message: str) -> None:
    reference = ComposeReference(value, Source(Path("shop.yaml")), tmp_path, tmp_path, {}, lambda image: None)
    problems = read_compose(reference).problems
    assert any(problem.path == path and message in str(problem) for problem in problems)


@pytest.fixture
def slow_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `docker` in `bin/` whose Compose never ends; return the file that receives the process id of the Compose process."""
    monkeypatch.setattr("envctl.definition.compose_config.TIMEOUT", 1)
    noted = tmp_path / "plugin"
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {noted}.new; mv {noted}.new {noted}\nwait\n")
    docker.chmod(0o755)
    return noted


def test_compose_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path, slow_docker: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {a: {image: x}}\n")
    environ = {"PATH": f"{slow_docker.parent / 'bin'}:/usr/bin:/bin"}
    reference = ComposeReference("compose.yaml", Source(Path("shop.yaml")), tmp_path, tmp_path, environ, lambda image: None)

    with pytest.raises(DefinitionError, match=r"compose\.yaml:1: Docker Compose did not read this file within"):
        read_compose(reference)
    until(lambda: not running(int(slow_docker.read_text())))
