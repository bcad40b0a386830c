"""Tests of `init` in a project with a Compose file: services that the Compose file has are not proposed again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from envctl.init import gather, prove
from envctl.init.compose import compose_services, image_name
from envctl.init.project_files import ProjectFiles
from tests.init.conftest import Files, Propose

COMPOSE = """\
services:
  database:
    image: postgres:17
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: pw, POSTGRES_DB: shop}
    ports: ["5432:5432"]
  api:
    build: .
    ports: ["${API_PORT:-8000}:8000"]
    environment:
      DATABASE_URL: postgresql://shop:pw@database:5432/shop
      PAYMENTS_URL: https://pay.example.com
"""
PROJECT = {
    "docker-compose.yml": COMPOSE,
    "Dockerfile": "FROM python:3.13\nCOPY . .\nEXPOSE 8000\n",
    "requirements.txt": "psycopg\nredis\n",
    "alembic.ini": "",
    ".env.example": "DATABASE_URL=postgresql://shop:pw@localhost:5432/shop\nPAYMENTS_URL=https://pay.example.com\nAPI_URL=http://localhost:8000\n",
}
needs_compose = pytest.mark.skipif(shutil.which("docker") is None, reason="Compose resolves the file")


@needs_compose
def test_only_what_lies_on_top_is_proposed(sample: Propose) -> None:
    found = sample(PROJECT)
    assert found.tree["from"] == "../docker-compose.yml"
    assert list(found.services) == ["database"]
    assert found.services["database"] == {"seed": [{"command": "alembic upgrade head", "in": "api", "inputs": ["../alembic.ini"]}]}
    assert found.tree["outputs"]["DATABASE_URL"] == "${database.url}"
    assert found.tree["outputs"]["API_URL"] == "${api.url}"
    assert "REDIS_URL" not in found.tree["outputs"]
    assert "PAYMENTS_URL: a third party" in found.text
    assert found.plan.outputs["DATABASE_URL"].endswith("/shop")


@needs_compose
def test_a_service_that_migrates_already_is_left_to_it(sample: Propose) -> None:
    text = COMPOSE + "  migrate:\n    build: .\n    command: alembic upgrade head\n"
    found = sample({**PROJECT, "docker-compose.yml": text})
    assert "seed" not in found.text.split("outputs:")[0].replace("seeded", "")
    assert "migrate (docker-compose.yml)" in found.text


OVERRIDE = """\
services:
  api:
    ports: ["9000:8000"]
    environment: [SMTP_HOST=mail]
  mail:
    image: axllent/mailpit
    ports: ["1025:1025"]
"""


@needs_compose
@pytest.mark.parametrize("name", ["docker-compose.override.yml", "docker-compose.override.yaml", "compose.override.yaml"])
def test_an_override_file_belongs_to_it_as_for_compose(sample: Propose, name: str) -> None:
    env = PROJECT[".env.example"] + "SMTP_URL=smtp://localhost:1025\nADMIN_URL=http://localhost:9000\n"
    found = sample({**PROJECT, name: OVERRIDE, ".env.example": env})
    assert found.tree["from"] == ["../docker-compose.yml", f"../{name}"]
    assert list(found.services) == ["database"]
    assert set(found.plan.services) == {"database", "api", "mail"}
    outputs = found.tree["outputs"]
    assert (outputs["SMTP_URL"], outputs["ADMIN_URL"], outputs["API_URL"]) == ("${mail.url}", "${api.url}", "${api.url}")


@needs_compose
def test_an_override_that_its_file_needs_makes_it_whole(sample: Propose) -> None:
    found = sample(
        {
            "compose.yaml": "services: {php: {restart: always}}\n",
            "compose.override.yaml": "services: {php: {image: 'php:8', ports: ['80']}}\n",
        }
    )
    assert (found.tree["from"], list(found.plan.services)) == (["../compose.yaml", "../compose.override.yaml"], ["php"])


@needs_compose
def test_an_override_that_compose_refuses_is_left_out_and_its_file_stays(project: Callable[[Files], Path]) -> None:
    root = project({**PROJECT, "docker-compose.override.yml": "services: {api: {env_file: gone.env}}\n"})
    proved = prove(gather(root), root, dict(os.environ))
    assert (str(proved.proposal.compose_file), proved.proposal.compose_override) == ("docker-compose.yml", None)
    assert proved.left_out[0].startswith("docker-compose.override.yml, which is not read with docker-compose.yml: ")


@needs_compose
def test_whatever_publishes_a_port_has_its_address_in_an_output(sample: Propose) -> None:
    inside = "inside: {image: 'x:1', expose: ['80']}, dns: {image: 'd:1', ports: ['53:53/udp']}"
    compose = f"services: {{shop: {{image: 'shop:1', ports: ['8080:80']}}, {inside}}}"
    assert sample({"compose.yaml": compose}).tree["outputs"] == {"SHOP_URL": "${shop.url}"}


@needs_compose
def test_a_variable_with_a_services_name_is_its_address(sample: Propose) -> None:
    compose = "services: {live: {image: 'l:1', ports: ['3100:80']}, playwright: {image: 'p:1', ports: ['9323:9323']}}"
    env = "LIVE_BASE_URL=http://localhost:4000/live\nPLAYWRIGHT_BASE_URL=http://localhost:5000\nOTHER_BASE_URL=http://localhost:5000\n"
    outputs = sample({"compose.yaml": compose, ".env.example": env}).tree["outputs"]
    assert outputs == {"LIVE_BASE_URL": "${live.url}/live", "PLAYWRIGHT_URL": "${playwright.url}"}


@needs_compose
def test_images_without_a_kind_stand_for_one(sample: Propose) -> None:
    compose = "services:\n  minio:\n    image: minio/minio:latest\n    ports: ['9000:9000']\n"
    found = sample({"compose.yaml": compose, "requirements.txt": "boto3", ".env.example": "S3_ENDPOINT_URL=http://localhost:9000"})
    assert found.services == {}
    assert found.tree["outputs"]["S3_ENDPOINT_URL"] == "http://${minio.host}:${minio.port}"


@needs_compose
@pytest.mark.parametrize(("image", "web"), [("axllent/mailpit", 8025), ("mailhog/mailhog:v1.0.1", 8025), ("maildev/maildev:2.2.1", 1080)])
def test_mail_servers_of_every_make_are_mail(sample: Propose, image: str, web: int) -> None:
    compose = f"services:\n  inbox:\n    image: {image}\n    ports: ['1025:1025', '8025:{web}']\n"
    env = "SMTP_URL=smtp://localhost:1025\n"
    found = sample({"compose.yaml": compose, "package.json": '{"dependencies": {"nodemailer": "7"}}', ".env.example": env})
    assert found.services == {}
    assert found.plan.services["inbox"].kind == "mail"
    assert found.plan.services["inbox"].image == image
    assert found.tree["outputs"] == {"SMTP_URL": "${inbox.url}"}
    assert found.plan.services["inbox"].inside["web_url"] == f"http://inbox:{web}"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("postgres:17", "postgres"),
        ("docker.io/library/postgres:17@sha256:abc", "postgres"),
        ("valkey/valkey", "valkey/valkey"),
        ("registry:5000/x/y:1", "registry:5000/x/y"),
        ("redis:7", "redis"),
    ],
)
def test_image_names(image: str, name: str) -> None:
    assert image_name(image) == name


@pytest.mark.parametrize(
    "text", ["", "services: 3", "services: [a]", "services:\n  a: 1\n  b: {ports: 3, build: 7}\n", "\0", "a: [" * 9000]
)
def test_strange_files_give_nothing_or_little(tmp_path: Path, text: str) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    found = compose_services(ProjectFiles.read(tmp_path), PurePosixPath("compose.yaml"))
    assert all(not service.kind for service in found)


def test_an_image_of_a_mirror_is_recognised_as_up_does(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  db: {image: registry.example.com/library/postgres:17}\n")
    (service,) = compose_services(ProjectFiles.read(tmp_path), PurePosixPath("compose.yaml"))
    assert (service.kind, service.recognised) == ("postgres", True)


@needs_compose
def test_an_address_of_a_server_without_a_kind_keeps_everything_but_its_place(sample: Propose) -> None:
    """Credentials, database and query stay as the project has them; the host and each port become expressions."""
    compose = """
services:
  mongo: {image: "mongo:7", ports: ["27018:27017"], environment: {MONGO_INITDB_ROOT_USERNAME: root, MONGO_INITDB_ROOT_PASSWORD: pw}}
  graph: {image: "neo4j:5", ports: ["7474:7474", "7687:7687"]}
  db: {image: "postgres:17", ports: ["5432:5432"], environment: {POSTGRES_PASSWORD: pw}}
"""
    example = """
MONGO_URL=mongodb://root:pw@localhost:27018/app?authSource=admin
OTHER_MONGO_URL=mongodb://root:pw@mongo:27017/app
NEO4J_URI=bolt://localhost:7687
SOMEWHERE=bolt://localhost:9999
DATABASE_URL=postgresql://postgres:pw@localhost:5432/postgres
"""
    outputs = sample({"compose.yaml": compose, "package.json": "{}", ".env.example": example}).tree["outputs"]
    assert outputs["MONGO_URL"] == "mongodb://root:pw@${mongo.host}:${mongo.ports.p27017}/app?authSource=admin"
    assert outputs["OTHER_MONGO_URL"] == "mongodb://root:pw@${mongo.host}:${mongo.ports.p27017}/app"
    assert outputs["NEO4J_URI"] == "bolt://${graph.host}:${graph.ports.p7687}"
    assert outputs["DATABASE_URL"] == "${db.url}"
    assert "SOMEWHERE" not in outputs


@needs_compose
@pytest.mark.parametrize("build", ["./db", "{context: db, dockerfile: ./Dockerfile}"])
def test_a_server_that_is_built_is_one_as_for_up(sample: Propose, build: str) -> None:
    files = {**PROJECT, "docker-compose.yml": COMPOSE.replace("image: postgres:17", f"build: {build}"), "db/Dockerfile": "FROM postgres:17"}
    found = sample(files)
    assert found.tree["outputs"]["DATABASE_URL"] == "${database.url}"
    assert found.services["database"] == {"seed": [{"command": "alembic upgrade head", "in": "api", "inputs": ["../alembic.ini"]}]}
    assert "eft out" not in found.text


@pytest.mark.parametrize(
    ("service", "kind", "image"),
    [
        ("{build: ./db}", "postgres", "postgres:17"),
        ("{build: {context: ., dockerfile: db/Dockerfile, args: [V=16]}, image: shop/db}", "postgres", "postgres:16"),
        ("{build: {context: ., dockerfile_inline: 'FROM redis:8'}}", "redis", "redis:8"),
        ("{build: {context: ./db, additional_contexts: ['postgres:17=../x']}}", "", ""),
        ("{build: ./db, command: /run-tests.sh --all}", "", ""),
        ("{build: ./db, command: [postgres, -c, fsync=off]}", "postgres", "postgres:17"),
        ("{build: ./none}", "", ""),
        ("{image: 'postgres:17', command: psql -c 1}", "", "postgres:17"),
    ],
)
def test_what_is_built_is_of_the_kind_that_it_is_built_from(tmp_path: Path, service: str, kind: str, image: str) -> None:
    (tmp_path / "compose.yml").write_text(f"services: {{x: {service}}}")
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "Dockerfile").write_text("ARG V=17\nFROM postgres:$V\nENV POSTGRES_USER=me")
    found = compose_services(ProjectFiles.read(tmp_path), PurePosixPath("compose.yml"))[0]
    assert (found.kind, found.image, found.recognised) == (kind, image, bool(kind))
    assert dict(found.environment) == ({"POSTGRES_USER": "me"} if kind == "postgres" else {})
    assert (found.build_folder is None) is (found.recognised or not service.startswith("{build"))


def test_here_documents_say_nothing_of_an_image(sample: Propose) -> None:
    text = "FROM python:3.13\nCOPY . .\nRUN <<END\nEXPOSE 9999\nEND\nEXPOSE 8000\n"
    services = sample({"Dockerfile": text, "requirements.txt": "flask"}).services
    assert [service["port"] for service in services.values() if "port" in service] == [8000]
