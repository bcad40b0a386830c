"""Tests that services of a resolved Compose file become services of envctl; they do not need Docker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envctl.definition.compose_services import ComposeReading
from envctl.definition.compose_storage import without_addresses, without_folders
from envctl.definition.kinds import load_kinds, recogniser

RECOGNISE = recogniser(load_kinds())
PROJECT = Path(__file__).parent
NATS = 'port: 4333\nauthorization {\n user: me\n password: "p w"\n}'
RABBIT = "default_user = me\ndefault_pass = p#w # mine\nlisteners.tcp.default=5673"


def reading(folder: Path = PROJECT, environ: dict[str, str] | None = None, **services: Any) -> ComposeReading:
    extra = services.pop("top", {})
    return ComposeReading({"services": services, **extra}, RECOGNISE, folder, environ or {})


def one(folder: Path = PROJECT, environ: dict[str, str] | None = None, top: dict[str, Any] | None = None, **service: Any) -> dict[str, Any]:
    return reading(folder, environ, top=top or {}, x=service).services()["x"]


@pytest.mark.parametrize(
    ("image", "words", "kind"),
    [
        ("nats:2.10", ["-js", "--user", "nats", "--pass", "psql"], "nats"),
        ("redis:8", ["redis-server", "--requirepass", "curl"], "redis"),
        ("redis:8", ["sh", "-c", "echo sleep 5; exec redis-server --requirepass tail"], "redis"),
        ("redis:8", ["sh", "-c", "sleep 1 && redis-server"], "redis"),
        ("redis:8", ["redis-cli", "-h", "cache", "monitor"], "service"),
        ("postgres:17", ["timeout", "5", "psql"], "service"),
        ("postgres:17", ["tini", "--", "psql", "-c", "select 1"], "service"),
        ("postgres:17", ["sh", "-c", "A=1 B=2 pg_dump x"], "service"),
        ("postgres:17", ["bash", "-c", "while true; do\n  sleep 5\ndone"], "service"),
        ("postgres:17", ["sh", "-c", 'if psql -c "select 1"; then exit; fi'], "service"),
        ("postgres:17", ["bash", "-c", "psql 'unfinished"], "service"),
        ("postgres:17", ["postgres", "-c", "max_connections=50"], "postgres"),
    ],
)
def test_a_word_counts_as_a_client_where_it_is_run(image: str, words: list[str], kind: str) -> None:
    assert one(image=image, command=words)["kind"] == kind


@pytest.mark.parametrize(
    ("image", "kind", "told"),
    [
        ("mysql:8", "mariadb", True),
        ("docker.io/library/mysql", "mariadb", True),
        ("percona/percona-server:8.0", "mariadb", True),
        ("percona:8.0@sha256:" + "0" * 64, "mariadb", True),
        ("mariadb:11.8", "mariadb", False),
        ("prom/mysqld-exporter", "service", False),
    ],
)
def test_what_does_not_work_with_an_image_of_a_relative_is_told(image: str, kind: str, told: bool) -> None:
    read = reading(db={"image": image, "environment": {"MYSQL_ROOT_PASSWORD": "x"}})
    assert read.services()["db"]["kind"] == kind
    assert [line for line in read.losses.lines() if "client of MariaDB" in line and line.startswith("db: ")] == read.losses.lines()
    assert bool(read.losses.lines()) is told


@pytest.mark.parametrize(("image", "driver"), [("mysql:8", "mysql"), ("percona/percona-server:8.0", "mysql"), ("mariadb:11.8", None)])
def test_servers_of_mysql_have_a_jdbc_url_of_its_driver(image: str, driver: str | None) -> None:
    assert one(image=image, environment={"MYSQL_ROOT_PASSWORD": "x"})["with"].get("jdbc_driver") == driver


def test_an_image_that_another_service_builds_is_built_once_for_both() -> None:
    build = {"context": "/p", "dockerfile": "Dockerfile"}
    services = reading(
        web={"image": "shop/postgres", "build": build}, worker={"image": "shop/postgres", "command": ["work"]}, db={"image": "postgres:17"}
    ).services()
    assert services["worker"]["build"] == services["web"]["build"]
    assert [(each["kind"], each["image"]) for each in services.values()] == [
        ("service", "shop/postgres"),
        ("service", "shop/postgres"),
        ("postgres", "postgres:17"),
    ]


@pytest.mark.parametrize(
    ("text", "service", "kind", "given"),
    [
        ("FROM postgres:17", {"environment": {"POSTGRES_PASSWORD": "p$$w"}}, "postgres", {"username": "postgres", "password": "p$w"}),
        ("FROM postgres:17\nARG PW=hunter2\nENV POSTGRES_PASSWORD=$PW", {}, "postgres", {"username": "postgres", "password": "hunter2"}),
        ("FROM postgres:17\nENV POSTGRES_PASSWORD=a\\$b POSTGRES_USER=me", {"environment": {"POSTGRES_USER": "you"}}, "postgres",
         {"username": "you", "password": "a$b"}),
        ('FROM redis:8\nCMD redis-server --requirepass "x y"', {}, "redis", {"username": "", "password": "x y"}),
        ("FROM redis:8\nCMD redis-server --requirepass x", {"command": ["--requirepass", "y"]}, "redis", {"username": "", "password": "y"}),
        ("FROM redis:8\nCMD redis-cli monitor", {}, "service", None),
        ('FROM redis:8\nCMD ["/run-tests.sh"]', {}, "service", None),
        ('FROM redis:8\nENTRYPOINT ["/run-tests.sh"]', {}, "service", None),
        ("FROM redis:8\nCMD ./run-tests.sh", {}, "service", None),
        ('FROM redis:8\nENTRYPOINT ["docker-entrypoint.sh"]\nCMD ["/run-tests.sh"]', {}, "service", None),
        ("FROM redis:8", {"command": ["/run-tests.sh"]}, "service", None),
        ("FROM redis:8", {"entrypoint": ["/run-tests.sh"]}, "service", None),
        ('FROM redis:8\nCMD ["/run-tests.sh"]', {"command": ["--port", "1"]}, "redis", {"username": "", "password": ""}),
        ('FROM redis:8\nENTRYPOINT ["tini", "--", "/own-entrypoint.sh"]', {}, "redis", {"username": "", "password": ""}),
        ('FROM redis:8\nENTRYPOINT ["/own-entrypoint.sh"]\nCMD ["redis-server"]', {}, "redis", {"username": "", "password": ""}),
        ("FROM redis:8\nCMD redis-cli monitor", {"entrypoint": ["redis-server"]}, "redis", {"username": "", "password": ""}),
        ("FROM python:3.13\nCMD serve", {"image": "postgres:17"}, "service", None),
    ],
)  # fmt: skip
def test_what_is_built_is_of_the_kind_that_it_is_built_from(
    tmp_path: Path, text: str, service: dict[str, Any], kind: str, given: dict[str, Any] | None
) -> None:
    (tmp_path / "Dockerfile").write_text(text)
    found = one(tmp_path, build={"context": str(tmp_path), "dockerfile": "Dockerfile"}, **service)
    assert (found["kind"], {key: value for key, value in found.get("with", {}).items() if key in ("username", "password")} or None) == (
        kind,
        given,
    )


@pytest.mark.parametrize(
    ("text", "service", "password", "place"),
    [
        ("FROM postgres:17\nENV POSTGRES_PASSWORD=$PW", {}, "", "POSTGRES_PASSWORD"),
        ("FROM postgres:17\nENV POSTGRES_PASSWORD=$PW", {"environment": {"POSTGRES_PASSWORD": "own"}}, "own", ""),
        ("FROM redis:8\nENV PW=$X\nCMD redis-server --requirepass $PW", {}, "", "$(PW)"),
    ],
)
def test_a_value_of_a_dockerfile_that_nobody_can_tell_is_told(
    tmp_path: Path, text: str, service: dict[str, Any], password: str, place: str
) -> None:
    (tmp_path / "Dockerfile").write_text(text)
    read = reading(tmp_path, db={"build": {"context": str(tmp_path)}, **service})
    assert read.services()["db"]["with"]["password"] == password
    assert [line for line in read.losses.lines() if f"the password of `{place}` cannot be read here" in line] == (
        read.losses.lines() if place else []
    )
    assert bool(read.losses.lines()) is bool(place)


class TestCredentials:
    @pytest.mark.parametrize(
        "service",
        [
            {"image": "nats:2", "command": ["--user", "me", "--pass", "p"]},
            {"image": "nats:2", "command": ["-user=me", "-pass=p"]},
            {
                "image": "nats:2",
                "entrypoint": ["sh", "-c"],
                "command": ['exec nats-server --user $$N --pass "$${P:-p}"'],
                "environment": {"N": "me"},
            },
        ],
    )
    def test_arguments(self, service: dict[str, Any]) -> None:
        assert one(**service)["with"] == {"username": "me", "password": "p"}

    @pytest.mark.parametrize("service", [{"command": ["--auth", "tok"]}, {"environment": {"NATS_TOKEN": "tok"}}])
    def test_a_token_of_nats_is_a_name_without_a_password(self, service: dict[str, Any]) -> None:
        assert one(image="nats:2", **service)["with"] == {"username": "tok", "password": ""}

    def test_a_password_of_redis_among_its_arguments(self) -> None:
        assert one(image="redis:8", command=["redis-server", "--requirepass", "a$$b"])["with"] == {"username": "", "password": "a$b"}

    @pytest.mark.parametrize("source", [{"file": "{folder}/pw"}, {"environment": "PW"}, {"content": "p w\n"}])
    def test_a_file_that_a_variable_names(self, tmp_path: Path, source: dict[str, str]) -> None:
        (tmp_path / "pw").write_text("p w\n")
        secret = {key: value.replace("{folder}", str(tmp_path)) for key, value in source.items()}
        env = {"POSTGRES_PASSWORD_FILE": "/run/secrets/db"}
        given = one(tmp_path, {"PW": "p w"}, {"secrets": {"db": secret}}, image="postgres:17", environment=env, secrets=[{"source": "db"}])
        assert given["with"]["password"] == "p w"

    @pytest.mark.parametrize(
        ("image", "env", "expected"),
        [
            ("postgres:17", {"POSTGRES_DB": "", "POSTGRES_USER": "me"}, {"username": "me", "databases": ["me"]}),
            ("postgres:17", {"POSTGRES_DB": "", "POSTGRES_USER": ""}, {"username": "postgres", "databases": ["postgres"]}),
            ("mariadb:11.8", {"MYSQL_DATABASE": "", "MARIADB_USER": ""}, {"username": "root", "databases": ["mysql"]}),
        ],
    )
    def test_a_variable_that_is_empty_says_nothing(self, image: str, env: dict[str, str], expected: dict[str, Any]) -> None:
        given = one(image=image, environment=env)["with"]
        assert {key: given[key] for key in expected} == expected

    def test_a_file_of_a_bound_folder(self, tmp_path: Path) -> None:
        (tmp_path / "pw").write_text("secret")
        volume = {"type": "bind", "source": str(tmp_path), "target": "/etc/keys", "read_only": True}
        env = {"MARIADB_ROOT_PASSWORD_FILE": "/etc/keys/pw"}
        given = one(tmp_path, image="mariadb:11.8", environment=env, volumes=[volume])["with"]
        assert (given["username"], given["password"], given["root_password"]) == ("root", "secret", "secret")

    @pytest.mark.parametrize(
        ("service", "name", "text", "given", "port"),
        [
            ({"image": "nats:2", "command": ["-c", "/etc/n"]}, "n", NATS, ("me", "p w"), 4333),
            ({"image": "nats:2"}, "nats.conf", "authorization: {token: tok, timeout: 1}", ("tok", ""), 4222),
            ({"image": "rabbitmq:4.0"}, "20-own.conf", RABBIT, ("me", "p#w"), 5673),
            ({"image": "rabbitmq:4.0", "environment": {"RABBITMQ_DEFAULT_USER": "you"}}, "a.conf", RABBIT, ("you", "p#w"), 5673),
            ({"image": "mariadb:11.8"}, "my.cnf", "[client]\nport=1\n[mysqld]\nport = 3307\n[mysqldump]\nport=2", ("root", ""), 3307),
            ({"image": "postgres:17", "command": ["-c", "config_file=/etc/p"]}, "p", "port = 5433  # mine", ("postgres", ""), 5433),
            ({"image": "eclipse-mosquitto:2"}, "mosquitto.conf", "listener 1884 0.0.0.0\n", ("", ""), 1884),
            ({"image": "eclipse-mosquitto:2", "ports": [{"target": 1883}]}, "mosquitto.conf", "listener 9001\n", ("", ""), 1883),
            ({"image": "redis:8"}, "README", "requirepass x", ("", ""), 6379),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("folder", [False, True])
    def test_a_file_of_its_configuration(
        self, tmp_path: Path, service: dict[str, Any], name: str, text: str, given: tuple[str | None, ...], port: int, folder: bool
    ) -> None:
        (tmp_path / "conf").mkdir()
        (tmp_path / "conf" / name).write_text(text)
        below = "" if folder else f"/{name}"
        volume = {"type": "bind", "source": f"{tmp_path}/conf{below}", "target": f"/etc{below}", "read_only": True}
        found = one(tmp_path, volumes=[volume], **service)
        assert (found.get("with", {}).get("username"), found.get("with", {}).get("password")) == given
        assert next(iter(found["ports"].values())) == port

    @pytest.mark.parametrize(
        ("image", "target", "port"),
        [
            ("postgres:17", "/var/lib/postgresql/data", 5432),
            ("postgres:17", "/srv/pg/files", 5432),
            ("redis:8", "/var/lib/redis", 6379),
            ("postgres:17", "/etc/postgresql", 7000),
        ],
    )
    def test_what_a_server_has_written_into_its_data_is_no_configuration(self, tmp_path: Path, image: str, target: str, port: int) -> None:
        (tmp_path / "own").mkdir()
        (tmp_path / "own" / "server.conf").write_text("port = 7000\n")
        volume = {"type": "bind", "source": f"{tmp_path}/own", "target": target}
        found = one(tmp_path, image=image, environment={"PGDATA": "/srv/pg"}, volumes=[volume])
        assert next(iter(found["ports"].values())) == port

    @pytest.mark.parametrize("closed", ["iterdir", "stat"])
    @pytest.mark.parametrize("target", ["/etc/own", "/var/lib/postgresql/data", "/srv/data"])
    def test_a_folder_that_nobody_may_look_into_says_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str, target: str
    ) -> None:
        real = getattr(Path, closed)

        def refused(path: Path, **more: Any) -> Any:
            if tmp_path in path.parents:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, **more)

        (tmp_path / "own").mkdir()
        volume = {"type": "bind", "source": f"{tmp_path}/own", "target": target}
        monkeypatch.setattr(Path, closed, refused)
        found = one(tmp_path, image="postgres:17", volumes=[volume])
        assert (found["kind"], found["ports"]) == ("postgres", {"postgres": 5432})

    def test_one_that_cannot_be_read_is_told(self) -> None:
        found = reading(db={"image": "postgres:17", "environment": {"POSTGRES_PASSWORD_FILE": "/nowhere"}})
        assert found.services()["db"]["with"]["password"] == ""
        assert found.losses.lines() == [
            "db: the password of `POSTGRES_PASSWORD_FILE` cannot be read here, so its URL has no password; "
            "`with: {password: ...}` gives it one"
        ]

    @pytest.mark.parametrize(
        ("env", "told"),
        [
            ({"MYSQL_USER": "a", "MYSQL_PASSWORD": "b", "MYSQL_ROOT_PASSWORD_FILE": "/nowhere"}, []),
            ({"MYSQL_USER_FILE": "/x", "MYSQL_PASSWORD": "b"}, []),
            (
                {"MYSQL_USER": "a", "MYSQL_PASSWORD_FILE": "/x", "MYSQL_ROOT_PASSWORD_FILE": "/y"},
                ["the password of `MYSQL_PASSWORD_FILE` cannot", "the password of `MYSQL_ROOT_PASSWORD_FILE` cannot"],
            ),
        ],
    )
    def test_only_what_its_url_lacks_is_told(self, env: dict[str, str], told: list[str]) -> None:
        found = reading(db={"image": "mariadb:11.8", "environment": env})
        found.services()
        lines = found.losses.lines()
        assert len(lines) == len(told)
        assert all(line.startswith(f"db: {start}") for line, start in zip(lines, told, strict=True))

    def test_a_root_password_that_nobody_knows_is_not_invented(self) -> None:
        given = one(image="mysql:8", environment={"MYSQL_USER": "a", "MYSQL_PASSWORD": "b", "MYSQL_RANDOM_ROOT_PASSWORD": "1"})
        assert given["with"]["root_password"] == ""

    @pytest.mark.parametrize("script", ['redis-server --requirepass "$$(cat /run/secrets/pw)"', "redis-server --requirepass `cat $$F`"])
    def test_a_secret_that_a_shell_prints(self, tmp_path: Path, script: str) -> None:
        (tmp_path / "pw").write_text("p@ss\n")
        service: dict[str, Any] = {"command": ["sh", "-c", script], "environment": {"F": "/run/secrets/pw"}, "secrets": [{"source": "pw"}]}
        given = one(tmp_path, top={"secrets": {"pw": {"file": str(tmp_path / "pw")}}}, image="redis:8", **service)
        assert given["with"]["password"] == "p@ss"

    @pytest.mark.parametrize(
        ("service", "told"),
        [
            ({"image": "redis:8", "command": ["sh", "-c", 'redis-server --requirepass "$$(vault read it)"']}, "$(vault read it)"),
            ({"image": "mariadb:11.8", "environment": {"MARIADB_RANDOM_ROOT_PASSWORD": "1"}}, "MARIADB_RANDOM_ROOT_PASSWORD"),
        ],
    )
    def test_one_that_only_the_container_knows_is_told(self, service: dict[str, Any], told: str) -> None:
        found = reading(db=service)
        assert found.services()["db"]["with"]["password"] == ""
        assert found.losses.lines()[0].startswith(f"db: the password of `{told}` cannot be read here")

    def test_a_dollar_in_an_argument_that_no_shell_reads(self) -> None:
        assert one(image="redis:8", command=["--requirepass", "$$(x)"])["with"]["password"] == "$(x)"

    def test_arguments_in_a_variable_and_a_line_of_a_configuration_file(self, tmp_path: Path) -> None:
        (tmp_path / "redis.conf").write_text('# requirepass no\nport 6400\nrequirepass "a b"\n')
        volume = {"type": "bind", "source": str(tmp_path / "redis.conf"), "target": "/etc/redis.conf"}
        given = one(tmp_path, image="redis:8", command=["redis-server", "/etc/redis.conf"], volumes=[volume])
        assert (given["with"]["password"], given["ports"]) == ("a b", {"redis": 6400})
        flags = {"VALKEY_EXTRA_FLAGS": "--port 6500 --requirepass 'c d'"}
        given = one(image="valkey/valkey:8", environment=flags)
        assert (given["with"]["password"], given["ports"]) == ("c d", {"redis": 6500})


class TestPorts:
    @pytest.mark.parametrize(
        ("service", "found"),
        [
            ({"image": "postgres:17", "environment": {"PGPORT": "5433"}}, {"postgres": 5433}),
            ({"image": "postgres:17", "command": ["postgres", "-c", "port=5433"]}, {"postgres": 5433}),
            ({"image": "memcached:1", "command": ["memcached", "-p11311"]}, {"memcached": 11311}),
            ({"image": "mysql:8", "command": ["--port=3310"]}, {"mysql": 3310}),
            ({"image": "nats:2", "command": ["-p", "4333", "-m", "8222"], "ports": [{"target": 8222}]}, {"nats": 4333, "monitor": 8222}),
            ({"image": "redis:8", "command": ["redis-server", "--port", "0"]}, {"redis": 6379}),
            ({"image": "bitnami/postgresql:17", "environment": {"POSTGRESQL_PORT_NUMBER": "5434"}}, {"postgres": 5434}),
        ],
    )
    def test_the_one_that_the_server_is_told(self, service: dict[str, Any], found: dict[str, int]) -> None:
        assert one(**service)["ports"] == found

    @pytest.mark.parametrize(
        ("image", "ports", "expose", "found"),
        [
            ("redis:8", [6380], [], {"redis": 6380}),
            ("redis:8", [], ["6380"], {"redis": 6380}),
            ("redis:8", [], [], {"redis": 6379}),
            ("redis:8", [6379, 6380], [], {"redis": 6379, "p6380": 6380}),
            ("rabbitmq:4.0-management", [15672], [], {"amqp": 5672, "management": 15672}),
            ("postgres:17", [5433, 9187], [], {"postgres": 5433, "p9187": 9187}),
            ("unknown", [80, 9000], [], {"http": 80, "p9000": 9000}),
        ],
    )
    def test_published_ones_win(self, image: str, ports: list[int], expose: list[str], found: dict[str, int]) -> None:
        given = one(image=image, ports=[{"target": port} for port in ports], expose=expose)
        assert list(given["ports"].items()) == list(found.items())


@pytest.mark.parametrize("mode", ["none", "service:db", "container:else"])
def test_a_server_without_an_address_of_its_own_publishes_nothing(mode: str) -> None:
    found = reading(db={"image": "redis:8"}, x={"image": "redis:8", "network_mode": mode})
    assert found.services()["x"] == {"kind": "service", "image": "redis:8", "compose": {"network_mode": mode}}
    assert found.losses.lines() == [f"x: with `network_mode: {mode}` it has no address of its own, so it has no outputs"]


@pytest.mark.parametrize(("given", "found"), [({"test": ["NONE"]}, {"disable": True}), ({"interval": "1s"}, {"interval": "1s"})])
def test_a_health_check_of_none_is_switched_off(given: dict[str, Any], found: dict[str, Any]) -> None:
    assert one(image="x", healthcheck=given)["compose"] == {"healthcheck": found}


def test_a_fixed_address_is_told_with_the_command_that_keeps_it() -> None:
    found = reading(
        api={"image": "a", "environment": {"PAGES": "http://localhost:8080/x"}},
        web={"image": "b", "ports": [{"target": 80, "published": "8080"}]},
    )
    found.services()
    assert found.losses.lines() == ["api: PAGES names localhost:8080, but every instance has its own ports; `--port web=8080` fixes it"]


def test_a_broker_with_a_fixed_port_is_told_with_it() -> None:
    found = reading(kafka={"image": "apache/kafka:4.1.1", "ports": [{"target": 9092, "published": "9094"}]})
    found.services()
    assert "`--port kafka=9094` gives it that one" in found.losses.lines()[0]


def test_a_line_about_several_services_is_right_for_one_of_them_too() -> None:
    closed = {"image": "a", "ports": [{"target": 80}], "networks": {"back": None}, "container_name": "x"}
    found = reading(top={"networks": {"back": {"internal": True}}}, a=closed, b={**closed, "container_name": "y"})
    found.services()
    assert found.losses.lines() == [
        "a, b: `container_name` is left out; the name stays as a network alias",
        "a, b: it is only in `internal` networks, which tests cannot reach, so it has no outputs",
    ]


class TestOrder:
    def test_a_known_server_is_waited_for_and_others_as_the_file_has_it(self) -> None:
        needs = {name: {"condition": "service_started"} for name in ("db", "front", "own")}
        services: dict[str, Any] = {
            "db": {"image": "postgres"},
            "front": {"image": "nginx"},
            "own": {"image": "app"},
            "x": {"image": "x", "depends_on": needs},
        }
        assert reading(**services).services()["x"]["needs"] == {"db": "ready", "front": "started", "own": "started"}

    def test_what_does_not_run_is_not_waited_for(self) -> None:
        found = reading(off={"image": "a", "deploy": {"replicas": 0}}, x={"image": "x", "depends_on": {"off": {}}})
        assert found.services() == {"x": {"kind": "service", "image": "x"}}
        assert found.losses.lines() == ["off: `replicas: 0`, so it is left out"]

    def test_restart_stays_the_files(self) -> None:
        assert one(image="x", restart="on-failure")["compose"] == {"restart": "on-failure"}


class TestData:
    def bound(self, source: Path, target: str, **more: Any) -> dict[str, Any]:
        return {"type": "bind", "source": str(source), "target": target, **more}

    def test_a_servers_folder_becomes_a_volume_of_the_instance(self, tmp_path: Path) -> None:
        found = reading(tmp_path, db={"image": "postgres:17", "volumes": [self.bound(tmp_path / "pg", "/var/lib/postgresql/data")]})
        (volume,) = found.services()["db"]["compose"]["volumes"]
        assert (volume["type"], volume["target"]) == ("volume", "/var/lib/postgresql/data")
        assert list(found.volumes) == [volume["source"]]
        assert found.losses.lines()[0].startswith("db: ./pg is not used: /var/lib/postgresql/data is an empty volume")

    @pytest.mark.parametrize(
        ("target", "service"),
        [
            ("/own", {"image": "postgres:17", "environment": {"PGDATA": "/own"}}),
            ("/own", {"image": "nats:2", "command": ["-js", "-sd", "/own"]}),
            ("/own", {"image": "redis:8", "command": ["redis-server", "--dir", "/own"]}),
            ("/own", {"image": "mysql:8", "command": ["--datadir=/own"]}),
            ("/var/opt/mssql", {"image": "mssql"}),
            ("/opt/oracle/oradata", {"image": "oracle"}),
            ("/etcd-data", {"image": "etcd"}),
        ],
    )
    def test_where_the_service_says_that_its_data_is(self, tmp_path: Path, target: str, service: dict[str, Any]) -> None:
        found = reading(tmp_path, db={**service, "volumes": [self.bound(tmp_path / "d", target)]})
        assert [volume["type"] for volume in found.services()["db"]["compose"]["volumes"]] == ["volume"]

    def test_a_folder_above_the_data_becomes_one_volume(self, tmp_path: Path) -> None:
        found = reading(tmp_path, db={"image": "postgres:17", "volumes": [self.bound(tmp_path / "pg", "/var/lib/postgresql")]})
        (volume,) = found.services()["db"]["compose"]["volumes"]
        assert (volume["type"], volume["target"]) == ("volume", "/var/lib/postgresql")

    def test_data_in_a_part_of_a_folder_is_an_own_volume_inside(self, tmp_path: Path) -> None:
        volumes = [self.bound(tmp_path, "/work")]
        found = reading(tmp_path, db={"image": "postgres:17", "environment": {"PGDATA": "/work/pg"}, "volumes": volumes})
        volumes = found.services()["db"]["compose"]["volumes"]
        assert [(volume["type"], volume["target"]) for volume in volumes] == [("bind", "/work"), ("volume", "/work/pg")]
        assert set(found.volumes) == {volumes[1]["source"]}

    def test_an_empty_folder_for_the_data_of_another(self, tmp_path: Path) -> None:
        found = reading(tmp_path, db={"image": "mongo:8", "volumes": [self.bound(tmp_path / "db", "/data/db")]})
        assert found.services()["db"]["compose"]["volumes"][0]["type"] == "volume"
        assert found.losses.lines() == ["db: ./db stays empty: /data/db is a volume of the instance's own"]

    def test_a_folder_with_something_in_it_stays_and_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").touch()
        volume = self.bound(tmp_path, "/data")
        found = reading(tmp_path.parent, app={"image": "app", "volumes": [volume]})
        assert found.services()["app"]["compose"]["volumes"] == [volume]
        assert found.losses.lines() == [f"app: ./{tmp_path.name} is shared: every instance writes to it, and it is not removed"]

    def test_source_code_configuration_and_files_stay_and_are_no_loss(self, tmp_path: Path) -> None:
        (tmp_path / "redis.conf").touch()
        volumes = [
            self.bound(tmp_path, "/app"),
            self.bound(tmp_path / "redis.conf", "/data/redis.conf"),
            self.bound(tmp_path, "/var/lib/postgresql/data", read_only=True),
        ]
        found = reading(tmp_path, x={"image": "postgres", "volumes": volumes})
        assert found.services()["x"]["compose"]["volumes"] == volumes
        assert found.losses.lines() == []

    def test_a_volume_that_is_a_folder(self) -> None:
        lost: list[str] = []
        options = {"type": "none", "o": "bind", "device": "/srv/pg"}
        found = without_folders({"pg": {"driver_opts": options}, "other": {}}, lambda name, text: lost.append(f"{name}: {text}"))
        assert found == {"pg": {}, "other": {}}
        assert lost == ["volume pg: /srv/pg is not used: it is an empty volume of the instance's own"]

    def test_a_volume_in_memory_is_each_instances_own(self) -> None:
        lost: list[str] = []
        volumes = {"fast": {"driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=10m"}}}
        assert without_folders(volumes, lambda name, text: lost.append(text)) == volumes
        assert lost == []


class TestNetworks:
    def test_fixed_addresses_are_left_out_and_listed_once(self) -> None:
        fixed = {"back": {"ipv4_address": "10.1.0.2", "aliases": ["d"]}}
        found = reading(a={"image": "a", "networks": fixed}, b={"image": "b", "networks": {"back": {"ipv4_address": "10.1.0.3"}}})
        services = found.services()
        assert services["a"]["compose"]["networks"] == {"back": {"aliases": ["d"]}}
        assert services["b"]["compose"]["networks"] == {"back": None}
        assert found.losses.lines() == ["a, b: `ipv4_address` is left out: two instances cannot have the same address"]

    @pytest.mark.parametrize(
        ("external", "left"), [(False, []), (True, ["x: `mac_address` is left out: two instances cannot have the same address"])]
    )
    def test_an_address_of_hardware_is_each_networks_own(self, external: bool, left: list[str]) -> None:
        address = "02:42:ac:11:65:43"
        service = {"image": "a", "mac_address": address, "networks": {"lan": {"mac_address": address}}}
        found = reading(x=service, top={"networks": {"lan": {"external": external}}})
        kept = found.services()["x"]["compose"]
        assert (kept.get("mac_address"), kept["networks"]["lan"]) == ((None, None) if external else (address, {"mac_address": address}))
        assert found.losses.lines() == left

    def test_fixed_subnets(self) -> None:
        lost: list[str] = []
        given = {"ipam": {"config": [{"subnet": "10.1.0.0/24"}]}, "internal": True}
        found = without_addresses({"back": given, "outer": {"external": True, **given}}, lambda name, text: lost.append(name))
        assert found == {"back": {"internal": True}, "outer": {"external": True, **given}}
        assert lost == ["network back"]

    def test_ipv6_goes_with_its_subnet_which_docker_has_no_other_for(self) -> None:
        lost: list[str] = []
        given = {"enable_ipv6": True, "ipam": {"config": [{"subnet": "10.1.0.0/24"}, {"subnet": "fd4d::/64"}]}}
        assert without_addresses({"back": given, "auto": {"enable_ipv6": True}}, lambda name, text: lost.append(text)) == {
            "back": {},
            "auto": {"enable_ipv6": True},
        }
        assert lost == ["its subnets are left out, and `enable_ipv6` with them: two instances cannot have the same one"]


def test_names_that_expressions_cannot_have_are_taken() -> None:
    services: dict[str, Any] = {"api.v1": {"image": "a"}, "env": {"image": "b"}}
    found = reading(**services)
    assert set(found.services()) == {"api.v1", "env"}
    assert found.losses.lines() == ["api.v1, env: expressions cannot refer to it, but it has outputs"]
