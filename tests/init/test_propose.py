"""Tests of the proposals for small projects of many types; each result is parsed, checked and planned."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.init.conftest import Propose

FASTAPI = {
    "requirements.txt": "fastapi\nSQLAlchemy[asyncio]\nasyncpg==0.29 # driver\nredis>=5\npytest\n-r other.txt\n",
    "alembic.ini": "[alembic]\nscript_location = alembic\n",
    "alembic/versions/0001_first.py": "",
    "tests/conftest.py": "",
    "app/main.py": '@app.get("/healthz")\ndef healthz(): ...\n',
    "Dockerfile": "FROM python:3.13-slim\nCOPY requirements.txt alembic.ini ./\nCOPY app ./app\nEXPOSE 8000\nCMD uvicorn app.main:app\n",
    ".env.example": (
        "# settings\nDATABASE_URL=postgresql+asyncpg://user:pw@localhost:5432/shop\nexport REDIS_URL='redis://localhost:6379/1'\n"
        'STRIPE_API_URL="https://api.stripe.com/v1"\nSTRIPE_API_KEY=\nLOG_LEVEL=debug # or info\nPORT=8000\nADMIN_PASSWORD=admin\n'
    ),
}


def test_a_python_api_with_everything(sample: Propose) -> None:
    found = sample(FASTAPI)
    services = found.services
    assert list(services) == ["db", "cache", "stripe", "app"]
    assert services["db"]["with"] == {"databases": ["shop"]}
    assert services["db"]["seed"] == [
        {"command": "alembic upgrade head", "in": "app", "inputs": ["../alembic.ini", "../alembic/versions/*.py"]}
    ]
    app = services["app"]
    assert (app["kind"], app["build"], app["port"], app["ready"]) == ("api", "..", 8000, {"http": "/healthz"})
    assert app["env"]["DATABASE_URL"] == "${db.url|replace('postgresql://', 'postgresql+asyncpg://')}"
    assert app["env"]["STRIPE_API_URL"] == "${stripe.url}/v1"
    assert app["env"]["STRIPE_API_KEY"] == "${var.stripe_api_key}"
    assert app["env"]["LOG_LEVEL"] == "debug"
    assert app["env"]["PORT"] == "${self.port}"
    assert app["env"]["ADMIN_PASSWORD"] == "${var.admin_password}"
    assert found.tree["variables"]["admin_password"] == {"from": "ADMIN_PASSWORD", "default": "admin"}
    assert found.tree["outputs"]["APP_URL"] == "${app.url}"
    assert found.plan.outputs["DATABASE_URL"].startswith("postgresql+asyncpg://")
    assert found.plan.outputs["REDIS_URL"].endswith("/1")
    assert found.plan.tests["tests"].run == ("sh", "-c", "cd .. && exec python -m pytest")
    assert json.loads(found.proposal.files["stubs/stripe.json"])["mappings"]


def test_every_line_says_where_it_comes_from(sample: Propose) -> None:
    text = sample(FASTAPI).text
    assert "DATABASE_URL: ${db.url|replace('postgresql://', 'postgresql+asyncpg://')} # .env.example" in text
    assert "port: 8000 # Dockerfile: EXPOSE" in text
    assert "ready: {http: /healthz} # app/main.py" in text
    assert "command: alembic upgrade head # alembic.ini: Alembic" in text


def test_an_empty_project_gets_a_starter(sample: Propose) -> None:
    found = sample({})
    assert list(found.services) == ["db"]
    assert found.plan.outputs["DATABASE_URL"].startswith("postgresql://")
    assert "# payments:" in found.text


def test_a_starter_with_tests_does_not_say_how_to_write_them(sample: Propose) -> None:
    text = sample({"go.mod": "module x\n", "x_test.go": ""}).text
    assert "\ntests:\n" in text
    assert "# tests:" not in text


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"Gemfile": "gem 'sqlite3'\n"}, "SQLite (Gemfile: sqlite3)"),
        ({"go.mod": "module x\nrequire (\n\tgorm.io/driver/sqlite v1.5.0\n)\n"}, "SQLite (go.mod: gorm.io/driver/sqlite)"),
        ({"shop/settings.py": "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3'}}"}, "SQLite (shop/settings.py)"),
        ({"shop/settings.py": "DATABASES = {}"}, "Nothing in the project says"),
    ],
)
def test_a_project_on_sqlite_is_not_said_to_need_a_server(sample: Propose, files: dict[str, str], said: str) -> None:
    assert said in sample(files).text


@pytest.mark.parametrize(
    ("lock", "start"),
    [("uv.lock", "uv run "), ("poetry.lock", "poetry run "), ("pdm.lock", "pdm run "), ("Pipfile.lock", "pipenv run "), ("x", "")],
)
def test_programs_of_python_are_started_by_the_tool_of_the_lock_file(sample: Propose, lock: str, start: str) -> None:
    found = sample({lock: "", "api/alembic.ini": "", "api/requirements.txt": "psycopg", "api/tests/conftest.py": ""})
    assert found.services["db"]["seed"][0]["command"] == f"sh -c 'cd ../api && exec {start}alembic upgrade head'"
    assert found.tree["tests"]["tests"] == f"sh -c 'cd ../api && exec {start}python -m pytest'"


def test_node_with_prisma_vitest_and_playwright(sample: Propose) -> None:
    package = {
        "scripts": {"test": "vitest", "migrate": "prisma migrate deploy"},
        "dependencies": {"@prisma/client": "5", "pg": "8", "ioredis": "5", "amqplib": "0.10", "kafkajs": "2"},
        "devDependencies": {"vitest": "1"},
    }
    found = sample(
        {
            "package.json": json.dumps(package),
            "prisma/schema.prisma": 'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n',
            "prisma/migrations/1_init/migration.sql": "create table a (id int);",
            "playwright.config.ts": "",
            "Dockerfile": "FROM node:20\nCOPY . .\nENV PORT=3000\nEXPOSE ${PORT}\nHEALTHCHECK CMD curl -f http://localhost:3000/health\n",
        }
    )
    assert [service["kind"] for service in found.services.values()] == [
        "postgres",
        "valkey",
        "rabbitmq",
        "kafka",
        "api",
    ]
    assert found.services["db"]["seed"][0]["command"] == "npx prisma migrate deploy"
    assert found.services["app"]["ready"] == {"http": "/health"}
    assert found.services["app"]["port"] == 3000
    assert found.services["app"]["env"]["AMQP_URL"] == "${broker.url}"
    assert {name: test.run[2] for name, test in found.plan.tests.items()} == {
        "tests": "cd .. && exec npx vitest run",
        "e2e": "cd .. && exec npx playwright test",
    }


def test_go_with_golang_migrate_takes_the_way_up_only(sample: Propose) -> None:
    found = sample(
        {
            "go.mod": (
                "module shop\nrequire (\n\tgithub.com/jackc/pgx/v5 v5.6.0\n\tgithub.com/nats-io/nats.go v1.36.0\n"
                "\tgithub.com/redis/go-redis/v9 v9 // indirect\n)\n"
            ),
            "main_test.go": "package main",
            "migrations/000001_users.up.sql": "create table users (id int);",
            "migrations/000001_users.down.sql": "drop table users;",
            "migrations/000002_orders.up.sql": "create table orders (id int);",
            "migrations/000002_orders.down.sql": "drop table orders;",
        }
    )
    assert list(found.services) == ["db", "events"]
    assert [step["sql"] for step in found.services["db"]["seed"]] == [
        "../migrations/000001_users.up.sql",
        "../migrations/000002_orders.up.sql",
    ]
    assert found.plan.tests["tests"].run[2] == "cd .. && exec go test -count=1 ./..."


def test_plain_sql_files_are_one_step(sample: Propose) -> None:
    found = sample({"requirements.txt": "psycopg[binary]", "migrations/1.sql": "select 1;", "migrations/2.sql": "select 2;"})
    assert found.services["db"]["seed"] == [{"sql": "../migrations"}]


def test_formats_with_the_way_back_inside_are_run_by_their_tool(sample: Propose) -> None:
    found = sample({"go.mod": "require github.com/lib/pq v1.10.9", "migrations/1.sql": "-- +goose Up\nselect 1;\n-- +goose Down\n"})
    command = """sh -c 'cd .. && exec goose -dir migrations postgres "$DATABASE_URL" up'"""
    assert found.services["db"]["seed"] == [{"command": command, "in": "host", "inputs": ["../migrations/*.sql"]}]


def test_flyway_versions_are_in_the_order_of_numbers(sample: Propose) -> None:
    files = {f"db/migration/V{n}__step.sql": "select 1;" for n in (1, 2, 10)}
    found = sample({"requirements.txt": "pymysql", **files})
    assert found.services["db"]["kind"] == "mariadb"
    assert [step["sql"].rpartition("/")[2] for step in found.services["db"]["seed"]] == [
        "V1__step.sql",
        "V2__step.sql",
        "V10__step.sql",
    ]


def test_spring_migrates_by_itself(sample: Propose) -> None:
    pom = "".join(f"<artifactId>{name}</artifactId>" for name in ("postgresql", "flyway-core", "spring-kafka", "spring-boot-starter-mail"))
    found = sample({"pom.xml": pom, "mvnw": "", "src/main/resources/db/migration/V1__a.sql": "select 1;"})
    assert [service["kind"] for service in found.services.values()] == ["postgres", "kafka", "mail"]
    assert "seed" not in found.services["db"]
    assert "Flyway" in found.text
    assert found.plan.tests["tests"].run[2] == "cd .. && exec ./mvnw --batch-mode verify"


def test_gradle_rails_laravel_and_rust(sample: Propose) -> None:
    found = sample(
        {
            "build.gradle.kts": 'implementation("org.postgresql:postgresql:42.7")\nid("org.springframework.boot") version "3"',
            "billing/Gemfile": 'gem "rails"\ngem \'sidekiq\', "~> 7"\n',
            "billing/bin/rails": "#!/usr/bin/env ruby\n",
            "billing/db/migrate/1_a.rb": "",
            "billing/spec/a_spec.rb": "",
            "api/composer.json": '{"require": {"php": "8", "php-amqplib/php-amqplib": "3"}}',
            "core/Cargo.toml": '[package]\nname = "x"\n[dependencies]\nsqlx = {features = ["postgres"]}\nrumqttc = "0.24"\n',
        }
    )
    assert {service["kind"] for service in found.services.values()} == {"postgres", "valkey", "rabbitmq", "mqtt"}
    step = found.services["db"]["seed"][0]
    assert step["command"] == "sh -c 'cd ../billing && exec bin/rails db:prepare'"
    assert step["in"] == "host"
    assert "cd ../core && exec cargo test" in found.text


def test_django_with_split_variables(sample: Propose) -> None:
    found = sample(
        {
            "pyproject.toml": '[project]\ndependencies = ["django", "psycopg[c]>=3", "pymemcache", "boto3"]\n',
            "manage.py": "import django",
            "shop/migrations/0001_initial.py": "",
            "Dockerfile": "FROM python:3.13\nCOPY . .\nCMD gunicorn --bind 0.0.0.0:8080 shop.wsgi\n",
            ".env.sample": (
                "DB_HOST=localhost\nDB_PORT=5432\nDB_USER=shop\nDB_PASSWORD=shop\nDB_NAME=shop_dev\nSECRET_KEY=insecure-for-development\n"
                "AWS_S3_ENDPOINT_URL=http://localhost:9000\nAWS_ACCESS_KEY_ID=x\nAWS_STORAGE_BUCKET_NAME=uploads\nMEMCACHED_SERVERS=localhost:11211\n"
                "EMAIL_HOST=localhost\nEMAIL_PORT=25\nHOST=127.0.0.1\n"
            ),
        }
    )
    env = found.services["app"]["env"]
    assert env["DB_HOST"] == "${db.host}"
    assert env["DB_NAME"] == "${db.database}"
    assert env["HOST"] == "${self.bind}"
    assert env["AWS_STORAGE_BUCKET_NAME"] == '${files.buckets["uploads"].name}'
    assert env["MEMCACHED_SERVERS"] == "${memcached.host}:${memcached.port}"
    assert "EMAIL_HOST" not in env  # a variable's name alone is no reason to propose a mail server
    assert found.services["app"]["port"] == 8080
    assert found.services["db"]["with"]["databases"] == ["shop_dev"]
    assert found.services["db"]["seed"][0]["in"] == "app"
    assert found.plan.outputs["DB_NAME"] == "shop_dev"


def test_several_services_of_ones_own_never_wait_for_each_other(sample: Propose) -> None:
    found = sample(
        {
            "orders/Dockerfile": "FROM node:20\nCOPY package.json .\nEXPOSE 3001\n",
            "orders/package.json": '{"dependencies": {"pg": "8"}}',
            "users/Dockerfile": "FROM node:20\nEXPOSE 3002/tcp 9229\n",
            "worker/Dockerfile": "FROM node:20\n",
            "worker/Dockerfile.dev": "FROM node:20\n",
            "worker/Dockerfile.mailer": "FROM node:20\n",
            ".env.example": "USERS_URL=http://localhost:3002\nORDERS_URL=http://orders:3001/api\nPAYMENTS_URL=http://localhost:9000\n",
        }
    )
    assert [name for name in found.services if name not in ("db", "payments")] == [
        "orders",
        "users",
        "worker",
        "mailer",
    ]
    assert found.services["orders"]["env"]["USERS_URL"] == "${users.url}"
    assert found.services["orders"]["needs"] == {"users": "none"}
    assert found.services["users"]["env"]["ORDERS_URL"] == "${orders.url}/api"
    assert found.services["users"]["env"]["USERS_URL"] == "${self.url}"
    assert "kind" not in found.services["worker"]
    assert found.services["mailer"]["build"] == {"context": "../worker", "dockerfile": "Dockerfile.mailer"}
    assert found.services["payments"]["kind"] == "stub"
    assert not next(service for service in found.proposal.services if service.name == "payments").sure


def test_without_leaves_no_reference_behind(sample: Propose) -> None:
    found = sample({**FASTAPI}, without=("stripe", "cache"))
    assert list(found.services) == ["db", "app"]
    assert "stripe.url" not in found.text
    assert "cache." not in found.text


def test_a_docker_folder_is_built_from_where_its_copies_are(sample: Propose) -> None:
    found = sample(
        {
            "docker/api/Dockerfile": "FROM python:3.13\nCOPY requirements.txt .\nCOPY src/ src/\nEXPOSE 8000\n",
            "requirements.txt": "psycopg2-binary",
            "src/a.py": "",
        }
    )
    assert found.services["api"]["build"] == {"context": "..", "dockerfile": "docker/api/Dockerfile"}


def test_openapi_gives_readiness_and_the_answers_of_a_stub(sample: Propose) -> None:
    own = {"openapi": "3.1.0", "servers": [{"url": "/api/v1"}], "paths": {
        "/orders/{id}": {"get": {}}, "/orders": {"get": {"parameters": [{"name": "q", "required": True}]}}, "/version": {"get": {}},
    }}  # fmt: skip
    theirs = (
        "openapi: 3.0.0\ninfo: {title: Payments}\nservers: [{url: https://pay.example.com/v2}]\npaths:\n  /payments/{id}:\n    get:\n"
        "      responses:\n        '200': {content: {application/json: {example: {id: p1}}}}\n    delete: {responses: {'204': {}}}\n"
    )
    found = sample(
        {
            "Dockerfile": "FROM golang\nEXPOSE 8080\n",
            "openapi.json": json.dumps(own),
            "contracts/payments.yaml": theirs,
            ".env.example": "PAYMENTS_URL=https://pay.example.com/v2\n",
        }
    )
    assert found.services["app"]["ready"] == {"http": "/api/v1/version"}
    assert found.services["app"]["env"]["PAYMENTS_URL"] == "${payments.url}/v2"
    mappings = json.loads(found.proposal.files["stubs/payments.json"])["mappings"]
    assert mappings[0]["request"] == {"method": "GET", "urlPathPattern": "/v2/payments/[^/]+"}
    assert mappings[0]["response"]["jsonBody"] == {"id": "p1"}
    assert mappings[1]["response"] == {"status": 204}


def test_stub_files_are_mappings_that_the_stub_takes(sample: Propose, tmp_path: Path) -> None:
    from envctl.servers.stub.loading import load

    found = sample(FASTAPI)
    assert load([found.root / "environments" / "stubs" / "stripe.json"])


def test_servers_without_a_kind_are_plain_images(sample: Propose) -> None:
    found = sample(
        {
            "package.json": '{"dependencies": {"mongoose": "8"}}',
            ".env.example": "MONGO_URL=mongodb://localhost:27017/shop",
        }
    )
    assert found.services["mongo"] == {"image": "mongo:8", "port": 27017}
    assert found.tree["outputs"]["MONGO_URL"] == "mongodb://${mongo.host}:${mongo.port}/shop"


@pytest.mark.parametrize("name", ["self", "--", "größe", "a b/c"])
def test_any_folder_name_makes_a_name(tmp_path: Path, name: str) -> None:
    from envctl.init.model import environment_name, service_name

    assert environment_name(name)
    assert service_name(name, ["app"]) not in ("self", "app")


@pytest.mark.parametrize("folder", ["it's here", "a ${b}", 'x"y'])
def test_a_test_starts_in_a_folder_of_any_name(sample: Propose, folder: str) -> None:
    found = sample({f"{folder}/go.mod": "module x\n", f"{folder}/x_test.go": "package x\n", "requirements.txt": "psycopg"})
    (test,) = found.plan.tests.values()
    command = test.run[2].replace("exec go test -count=1 ./...", "pwd")
    done = subprocess.run(["sh", "-c", command], cwd=found.root / "environments", check=True, capture_output=True, text=True)
    assert done.stdout == f"{found.root / folder}\n"


def test_two_services_that_read_the_same_variable_both_get_it(sample: Propose) -> None:
    found = sample(
        {
            "api/Dockerfile": "FROM node:20\nEXPOSE 4000\n",
            "api/index.js": "connect(process.env.RABBITMQ_URL || 'amqp://localhost'); fetch(process.env.JOBS_MQ)",
            "api/package.json": '{"dependencies": {"amqplib": "1"}}',
            "worker/Dockerfile": "FROM python:3.13\n",
            "worker/main.py": 'pika.URLParameters(os.environ["RABBITMQ_URL"])',
            "worker/requirements.txt": "pika\n",
        }
    )
    assert found.services["api"]["env"] == found.services["worker"]["env"] == {"RABBITMQ_URL": "${broker.url}"}


def test_a_default_in_the_code_is_a_guess_at_a_server(sample: Propose) -> None:
    settings = (
        'BROKER = os.getenv("CELERY_BROKER_URL", "amqp://guest:guest@localhost:5672//")\n'
        'EMAIL_PORT = int(os.getenv("EMAIL_PORT", "1025"))\nOTHER = os.getenv("EVENTS_URL", "nats://nats.example.com:4222")\n'
    )
    found = sample({"shop/settings.py": settings, "tests/test_x.py": 'os.environ.get("CACHE", "redis://localhost")', "manage.py": ""})
    assert list(found.services) == ["broker", "mail"]
    assert found.tree["outputs"]["CELERY_BROKER_URL"] == "${broker.url}"
    assert found.tree["outputs"]["EMAIL_PORT"] == "${mail.port}"


@pytest.mark.parametrize(("value", "proposed"), [("mailpit", True), ("mailhog", True), ("smtp.example.com", False), ("127.0.0.1", False)])
def test_a_mailbox_for_tests_is_known_by_its_name(sample: Propose, value: str, proposed: bool) -> None:
    found = sample({".env.example": f"DB_CONNECTION=mysql\nMAIL_HOST={value}\n"})
    assert ("mail" in found.services) is proposed
    assert found.tree["outputs"].get("MAIL_HOST") == ("${mail.host}" if proposed else None)
