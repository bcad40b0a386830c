"""Tests of `init` with small projects in the style of real ones.

The fixture `sample` proves that each proposal is valid. These tests check the parts that a user would otherwise have to correct.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from envctl.init.code_variables import code_variables
from envctl.init.dockerfiles import built_services
from envctl.init.project_files import ProjectFiles
from tests.init.conftest import Files, Propose, Sample

needs_compose = pytest.mark.skipif(shutil.which("docker") is None, reason="Compose resolves the file")


def seeds(found: Sample) -> list[str]:
    return [step.get("command") or step["sql"] for service in found.services.values() for step in service.get("seed", [])]


def runs(found: Sample) -> dict[str, str]:
    return {name: test.run[2].partition("exec ")[2] for name, test in found.plan.tests.items()}


GITHUB = """\
name: tests
on: [push]
env: {DJANGO_SETTINGS_MODULE: parcels.settings.test}
jobs:
  lint:
    runs-on: ubuntu-latest
    steps: [{run: ruff check .}]
  test:
    runs-on: ubuntu-latest
    strategy: {matrix: {python: ["3.11", "3.12"], pg: ["15", "16"]}}
    services:
      pg:
        image: postgres:${{ matrix.pg }}-alpine
        env: {POSTGRES_USER: parcels, POSTGRES_PASSWORD: pw, POSTGRES_DB: parcels_test}
        ports: ["5432:5432"]
      redis: {image: "redis:7.2", ports: ["6379:6379"]}
    steps:
      - uses: actions/checkout@v4
      - run: pip install -r requirements.txt
      - run: |
          coverage run -m pytest \\
            tests/integration
          coverage report | tail -1
        env:
          PARCELS_DB_HOST: localhost
          PARCELS_DB_PORT: ${{ job.services.pg.ports[5432] }}
          CACHE_URL: redis://localhost:6379/3
          TOKEN: ${{ secrets.TOKEN }}
"""


def test_github_says_images_credentials_names_and_commands(sample: Propose) -> None:
    files = {".github/workflows/ci.yml": GITHUB, "requirements.txt": "psycopg\n", "tests/integration/conftest.py": "", "pytest.ini": ""}
    found = sample(files)
    assert found.services["db"] == {
        "kind": "postgres", "version": "16-alpine", "with": {"username": "parcels", "password": "pw", "databases": ["parcels_test"]},
    }  # fmt: skip
    assert found.services["cache"] == {"kind": "redis", "version": "7.2"}
    assert found.tree["outputs"]["PARCELS_DB_HOST"] == "${db.host}"
    assert found.tree["outputs"]["PARCELS_DB_PORT"] == "${db.port}"
    assert found.plan.outputs["CACHE_URL"].endswith("/3")
    assert found.tree["outputs"]["DATABASE_URL"] == "${db.url}"
    assert "TOKEN" not in found.text
    assert runs(found) == {"integration": "coverage run -m pytest tests/integration"}


OTHER_CI: dict[str, tuple[Files, str]] = {
    "gitlab": (
        {
            ".gitlab-ci.yml": (
                "variables: {POSTGRES_DB: shop, POSTGRES_USER: ci, POSTGRES_PASSWORD: ci}\n"
                "test:\n  image: node:22\n  services:\n    - name: postgres:17\n      alias: db\n"
                "  variables: {SHOP_DATABASE_URL: 'postgres://ci:ci@db:5432/shop'}\n  script: [npm ci, npm run test:integration]\n"
            )
        },
        "npm run test:integration",
    ),
    "circleci": (
        {
            ".circleci/config.yml": (
                "version: 2.1\njobs:\n  build:\n    docker:\n      - image: cimg/node:22.0\n"
                "        environment: {SHOP_DATABASE_URL: 'postgres://ci:ci@localhost/shop'}\n"
                "      - image: cimg/postgres:17.0\n        environment: {POSTGRES_USER: ci, POSTGRES_PASSWORD: ci, POSTGRES_DB: shop}\n"
                "    steps: [checkout, {run: {name: Tests, command: yarn test:integration}}]\n"
            )
        },
        "yarn test:integration",
    ),
    "travis": (
        {
            ".travis.yml": (
                "language: node_js\nservices: [postgresql]\nenv: {global: ['SHOP_DATABASE_URL=postgres://ci:ci@localhost/shop']}\n"
                "script: npm test\n"
            )
        },
        "npm test",
    ),
    "bitbucket": (
        {
            "bitbucket-pipelines.yml": (
                "definitions:\n  services:\n    pg:\n      image: postgres:17\n"
                "      variables: {POSTGRES_USER: ci, POSTGRES_PASSWORD: ci, POSTGRES_DB: shop}\n"
                "pipelines: {default: [{step: {services: [pg], script: [npm test]}}]}\n"
            ),
            "config.js": 'module.exports = { url: process.env.SHOP_DATABASE_URL || "postgres://localhost/shop" }\n',
        },
        "npm test",
    ),
}


@pytest.mark.parametrize("name", OTHER_CI)
def test_every_ci_gives_the_server_the_name_and_the_command(sample: Propose, name: str) -> None:
    files, command = OTHER_CI[name]
    found = sample({"package.json": '{"dependencies": {"pg": "8"}}', **files})
    assert found.services["db"]["kind"] == "postgres"
    assert found.plan.outputs["SHOP_DATABASE_URL"].endswith("/shop")
    assert list(runs(found).values()) == [command]


SETTINGS: dict[str, tuple[str, str]] = {
    "os.environ": ("app/settings.py", 'import os\nurl = os.environ["ORDERS_DB_URL"]\n'),
    "os.getenv": ("app/settings.py", 'url = os.getenv("ORDERS_DB_URL", "postgresql://localhost/orders")\n'),
    "environ": ("app/settings.py", 'DATABASES = {"default": env.db("ORDERS_DB_URL")}\n'),
    "decouple": ("app/settings.py", 'url = config("ORDERS_DB_URL", default="")\n'),
    "pydantic": (
        "app/settings.py",
        'class Settings(BaseSettings):\n    model_config = Config(env_prefix="ORDERS_")\n    db_url: str = ""\n',
    ),
    "node": ("src/db.ts", "const url = process.env.ORDERS_DB_URL ?? ''\n"),
    "node by key": ("src/db.js", "const url = process.env['ORDERS_DB_URL']\n"),
    "nest": ("src/db.ts", "const url = this.configService.get('ORDERS_DB_URL')\n"),
    "prisma": ("src/x.prisma", 'datasource db {\n  url = env("ORDERS_DB_URL")\n}\n'),
    "java": ("src/Main.java", 'String url = System.getenv("ORDERS_DB_URL");\n'),
    "go": ("main.go", 'url := os.Getenv("ORDERS_DB_URL")\n'),
    "go, looked up": ("main.go", 'url, ok := os.LookupEnv("ORDERS_DB_URL")\n'),
    "go, tags": ("config.go", 'type C struct { URL string `env:"ORDERS_DB_URL"` }\n'),
    "ruby": ("config/database.yml.rb", 'url = ENV.fetch("ORDERS_DB_URL", "x")\n'),
    "php": ("config/database.php", "'url' => env('ORDERS_DB_URL'),\n"),
    "rust": ("src/main.rs", 'let url = std::env::var("ORDERS_DB_URL")?;\n'),
    "dotnet": ("Program.cs", 'var url = Environment.GetEnvironmentVariable("ORDERS_DB_URL");\n'),
    "elixir": ("config/runtime.exs", 'url = System.fetch_env!("ORDERS_DB_URL")\n'),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_an_output_has_the_name_that_the_code_reads(sample: Propose, name: str) -> None:
    path, text = SETTINGS[name]
    found = sample({"requirements.txt": "psycopg\n", path: text})
    assert found.plan.outputs["ORDERS_DB_URL"].startswith("postgresql://")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (
            "const { DB_HOST: HOST, DB_PORT = 5432, DB_USER = 'x', other, DB_NAME } = process.env;",
            {"DB_HOST", "DB_PORT", "DB_USER", "DB_NAME"},
        ),
        ("let {\n  DB_HOST,\n  DB_PASSWORD: { DB_USER },\n} = process.env", set()),
        ("const { DB_HOST } = settings; const { DB_PORT } = import.meta.env", {"DB_PORT"}),
    ],
)
def test_an_environment_that_is_taken_apart_is_read(project: Callable[[Files], Path], text: str, read: set[str]) -> None:
    found = code_variables(ProjectFiles.read(project({"src/db.js": text})))
    assert {variable.name for variable in found} == read


def test_the_driver_of_mysql_gets_a_url_that_it_takes(sample: Propose) -> None:
    properties = "spring.datasource.url=jdbc:mysql://localhost:3306/notes?useSSL=false\n"
    found = sample(
        {
            "pom.xml": "<dependency><artifactId>mysql-connector-j</artifactId></dependency>",
            "src/main/resources/application.properties": properties,
        }
    )
    assert found.plan.outputs["SPRING_DATASOURCE_URL"].startswith("jdbc:mysql://127.0.0.1:")
    assert found.plan.outputs["SPRING_DATASOURCE_URL"].endswith("?useSSL=false")


@pytest.mark.parametrize("name", ["MONGO_DB_URL", "CLICKHOUSE_DB_HOST", "REDIS_DB_NAME"])
def test_a_database_of_another_kind_is_not_the_sql_server(sample: Propose, name: str) -> None:
    found = sample({"requirements.txt": "psycopg", "app.py": f"import os\nos.environ['{name}']\nos.environ['ORDERS_DB_URL']\n"})
    assert found.tree["outputs"] == {"ORDERS_DB_URL": "${db.url}"}


def test_variables_of_docker_itself_are_not_the_applications(sample: Propose) -> None:
    env = "COMPOSE_PROFILES=web\nDOCKER_BUILDKIT=1\nDOCKER_REGISTRY=r\nMODE=x\n"
    found = sample({"Dockerfile": "FROM x\nEXPOSE 80\n", ".env.example": env})
    assert found.services["app"]["env"] == {"DOCKER_REGISTRY": "r", "MODE": "x"}


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["api/Dockerfile.dev", "api/Dockerfile.live"], ["api/Dockerfile.live"]),
        (["api/Dockerfile.dev", "api/Dockerfile.prod"], ["api/Dockerfile.prod"]),
        (["api/Dockerfile.dev"], ["api/Dockerfile.dev"]),
        (["docker/Dockerfile.worker", "docker/Dockerfile.prod"], ["docker/Dockerfile.prod", "docker/Dockerfile.worker"]),
    ],
)
def test_a_dockerfile_of_developers_is_no_second_service(project: Callable[[Files], Path], files: list[str], chosen: list[str]) -> None:
    found = built_services(ProjectFiles.read(project(dict.fromkeys(files, "FROM x\n"))))
    assert [str(service.dockerfile) for service in found] == chosen


def test_springs_properties_are_variables(sample: Propose) -> None:
    found = sample(
        {
            "pom.xml": "<artifactId>postgresql</artifactId><artifactId>spring-boot-starter-data-redis</artifactId>",
            "src/main/resources/application.yml": "spring:\n  datasource: {url: 'jdbc:postgresql://localhost:5432/shop', username: shop}\n"
            "  data: {redis: {host: '${CACHE_HOST:localhost}'}}\n",
            "src/main/resources/schema.sql": "create table a (id int);",
        }
    )
    assert found.plan.outputs["SPRING_DATASOURCE_URL"].startswith("jdbc:postgresql://")
    assert found.tree["outputs"]["SPRING_DATASOURCE_USERNAME"] == "${db.username}"
    assert seeds(found) == []


MIGRATIONS: dict[str, tuple[Files, str]] = {
    "Flask-Migrate": ({"migrations/alembic.ini": "", "migrations/env.py": "from flask import current_app", "shop.py": "app = create_app()"},
                      "cd .. && exec flask --app shop db upgrade"),
    "Alembic": ({"alembic.ini": "[alembic]"}, "cd .. && exec alembic upgrade head"),
    "Django": ({"manage.py": "import django"}, "cd .. && exec python manage.py migrate --noinput"),
    "Aerich": ({"pyproject.toml": "[tool.aerich]\n"}, "cd .. && exec aerich upgrade"),
    "Rails": ({"bin/rails": ""}, "cd .. && exec bin/rails db:prepare"),
    "Prisma": ({"prisma/schema.prisma": 'provider = "postgresql"', "prisma/migrations/1/m.sql": "x"},
               "cd .. && exec npx prisma migrate deploy"),
    "Knex": ({"knexfile.ts": ""}, "cd .. && exec npx knex migrate:latest"),
    "TypeORM": ({"package.json": '{"dependencies": {"typeorm": "0.3"}}', "src/data-source.ts": ""},
                "cd ../src && exec npx typeorm-ts-node-commonjs migration:run -d data-source.ts"),
    "Sequelize": ({".sequelizerc": ""}, "cd .. && exec npx sequelize-cli db:migrate"),
    "Drizzle": ({"drizzle.config.ts": ""}, "cd .. && exec npx drizzle-kit migrate"),
    "goose": ({"go.mod": "module x\nrequire github.com/pressly/goose/v3 v3.0.0\n", "db/migrations/1.sql": "-- +goose Up\nselect 1;\n"},
              'cd .. && exec go run github.com/pressly/goose/v3/cmd/goose -dir db/migrations postgres "$DATABASE_URL" up'),
    "dbmate": ({"db/migrations/1.sql": "-- migrate:up\nselect 1;\n"},
               'cd .. && exec dbmate --url "$DATABASE_URL" --migrations-dir db/migrations --no-dump-schema up'),
    "Liquibase": ({"liquibase.properties": ""}, "cd .. && exec liquibase update"),
    "Flyway": ({"flyway.toml": ""}, "cd .. && exec flyway migrate"),
    "Laravel": ({"artisan": ""}, "cd .. && exec php artisan migrate --force"),
    "Doctrine": ({"config/packages/doctrine_migrations.yaml": ""},
                 "cd .. && exec php bin/console doctrine:migrations:migrate --no-interaction"),
    "Ecto": ({"mix.exs": '{:ecto_sql, "~> 3.0"}'}, "cd .. && exec mix ecto.migrate"),
    "SeaORM": ({"migration/Cargo.toml": '[dependencies]\nsea-orm-migration = "1"\n'},
               "cd .. && exec cargo run --manifest-path migration/Cargo.toml -- up"),
    "golang-migrate": ({"db/1_a.up.sql": "", "migrations/1_a.up.sql": "select 1;", "migrations/1_a.down.sql": "x"},
                       "../migrations/1_a.up.sql"),
    "sqlx": ({"Cargo.toml": "[dependencies]\nsqlx = '0.8'\n", "migrations/1_a.sql": "select 1;"}, "../migrations"),
    "Diesel": ({"migrations/1_a/up.sql": "select 1;", "migrations/1_a/down.sql": "x"}, "../migrations/1_a/up.sql"),
}  # fmt: skip


@pytest.mark.parametrize("name", MIGRATIONS)
def test_the_migration_is_the_tools_own(sample: Propose, name: str) -> None:
    files, command = MIGRATIONS[name]
    found = sample({"requirements.txt": "psycopg\n", **files})
    assert seeds(found) == [command if command.startswith("../") else f"sh -c '{command}'"]


ALEMBIC: Files = {"requirements.txt": "psycopg\n", "alembic.ini": "", "Dockerfile": "FROM python\nCOPY . .\nEXPOSE 80\nCMD ./start.sh\n"}
AT_START: dict[str, Files] = {
    "a script": {**ALEMBIC, "start.sh": "#!/bin/sh\nalembic upgrade head\nexec uvicorn app:app\n"},
    "the command": {
        **ALEMBIC, "Dockerfile": 'FROM python\nCOPY . .\nCMD ["sh", "-c", "alembic -c a.ini upgrade head && uvicorn app:app"]\n',
    },
    "npm start": {
        "package.json": '{"scripts": {"start": "prisma migrate deploy && node ."}, "dependencies": {"pg": "8"}}',
        "prisma/schema.prisma": 'provider = "postgresql"', "Dockerfile": "FROM node\nCOPY . .\nCMD npm start\n",
    },
    "GORM": {"go.mod": "require github.com/lib/pq v1.0.0", "main.go": "db.AutoMigrate(&User{})", "migrations/1.sql": "select 1;"},
    "sqlx": {"Cargo.toml": "[dependencies]\nsqlx = {features = ['postgres']}\n", "src/main.rs": "sqlx::migrate!()",
             "migrations/1.sql": "x"},
    "TypeORM": {"package.json": '{"dependencies": {"typeorm": "1", "pg": "8"}}',
                "src/data-source.ts": "new DataSource({migrationsRun: true})"},
    "EF": {"a.csproj": '<PackageReference Include="Npgsql" />', "Program.cs": "await db.Database.MigrateAsync();", "schema.sql": "x"},
}  # fmt: skip


@pytest.mark.parametrize("name", AT_START)
def test_what_migrates_by_itself_is_not_migrated_before(sample: Propose, name: str) -> None:
    found = sample(AT_START[name])
    assert seeds(found) == []
    assert "The schema is made by" in found.text


def test_a_tool_that_the_image_lacks_runs_on_this_machine(sample: Propose) -> None:
    build = "FROM node AS build\nWORKDIR /app\nCOPY . .\nRUN npm run build\n"
    slim = f"{build}FROM node\nCOPY --from=build /app/dist ./dist\nEXPOSE 3000\nCMD node dist\n"
    whole = slim.replace("/app/dist ./dist", "/app ./")
    files = {"package.json": '{"dependencies": {"pg": "8"}}', "knexfile.js": ""}
    for dockerfile, where in ((slim, "host"), (whole, "app"), (whole.replace("CMD", "RUN npm prune --omit=dev\nCMD"), "host")):
        assert sample({**files, "Dockerfile": dockerfile}).services["db"]["seed"][0]["in"] == where


TOOLS: dict[str, tuple[Files, str]] = {
    "pytest": ({"tests/conftest.py": "", "uv.lock": "", "pyproject.toml": ""}, "uv run python -m pytest"),
    "unittest": ({"tests.py": "import unittest\n"}, "python -m unittest tests"),
    "Django": ({"manage.py": "import django", "shop/tests.py": "from django.test import TestCase"}, "python manage.py test"),
    "Jest": ({"package.json": '{"devDependencies": {"jest": "29"}}'}, "npx jest"),
    "Vitest": ({"package.json": '{"scripts": {"test": "vitest"}}'}, "npx vitest run"),
    "Maven": ({"pom.xml": "<project/>"}, "mvn --batch-mode verify"),
    "Gradle": ({"build.gradle": "", "gradlew": ""}, "./gradlew check"),
    "Karate": ({"pom.xml": "<artifactId>karate-junit5</artifactId>", "src/test/java/karate-config.js": "karate.properties['baseUrl']"},
               'mvn --batch-mode verify -DbaseUrl="$APP_URL"'),
    "Go": ({"go.mod": "module x", "a_test.go": ""}, "go test -count=1 ./..."),
    "Newman": ({"shop.postman_collection.json": '{"info": {"schema": "getpostman.com/json/collection/v2"}, "u": "{{baseUrl}}"}'},
               'newman run shop.postman_collection.json --env-var baseUrl="$APP_URL"'),
    "Hurl": ({"checks/a.hurl": "GET {{base_url}}/x\n"}, 'hurl --test *.hurl --variable base_url="$APP_URL"'),
    "k6": ({"load/a.js": "import http from 'k6/http'\nhttp.get(__ENV.BASE_URL)"}, 'k6 run a.js -e BASE_URL="$APP_URL"'),
    "Playwright": ({"playwright.config.ts": "use: { baseURL: process.env.SITE_URL }"}, "npx playwright test"),
    "Cypress": ({"cypress.config.js": ""}, "npx cypress run"),
    "Mix": ({"mix.exs": ""}, "mix test"),
    "dotnet": ({"a.sln": ""}, "dotnet test"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_gets_its_command(sample: Propose, name: str) -> None:
    files, command = TOOLS[name]
    found = sample({"Dockerfile": "FROM x\nEXPOSE 8080\n", **files})
    assert list(runs(found).values()) == [command]


def test_browsers_get_the_address_of_the_pages(sample: Propose) -> None:
    files = {"playwright.config.ts": "use: { baseURL: process.env.SITE_URL }", "cypress.config.ts": ""}
    found = sample({"api/Dockerfile": "FROM x\nEXPOSE 80\n", "web/Dockerfile": "FROM x\nEXPOSE 80\n", **files})
    assert found.tree["outputs"]["SITE_URL"] == "${web.url}"
    assert found.tree["outputs"]["CYPRESS_BASE_URL"] == "${web.url}"


@needs_compose
@pytest.mark.parametrize("folder", ["docker", "deploy", "scripts", "tests/docker"])
def test_a_compose_file_in_a_folder_is_found(sample: Propose, folder: str) -> None:
    found = sample(
        {f"{folder}/docker-compose.yml": "services: {q: {image: 'rabbitmq:4.0'}}\n", "package.json": '{"dependencies": {"amqplib": "1"}}'}
    )
    assert found.tree["from"] == f"../{folder}/docker-compose.yml"
    assert found.services == {}
    assert found.tree["outputs"] == {"AMQP_URL": "${q.url}"}


@needs_compose
def test_the_compose_file_for_tests_is_taken_where_no_plain_one_is(sample: Propose) -> None:
    names = ["docker-compose.prod.yml", "docker-compose.monitoring.yml", "docker-compose.test.yml"]
    found = sample(dict.fromkeys(names, "services: {db: {image: 'postgres:17'}}\n"))
    assert found.tree["from"] == "../docker-compose.test.yml"


@needs_compose
def test_two_servers_of_one_kind_have_an_output_each(sample: Propose) -> None:
    found = sample(
        {"compose.yaml": "services: {orders-db: {image: 'postgres:17'}, users-db: {image: 'postgres:17'}, cache: {image: 'redis:7.2'}}\n"}
    )
    assert found.tree["outputs"] == {"USERS_DB_URL": "${users-db.url}", "DATABASE_URL": "${orders-db.url}", "REDIS_URL": "${cache.url}"}


def test_the_servers_of_a_development_container_are_the_tests_too(sample: Propose) -> None:
    compose = (
        "services:\n  app: {build: ., command: sleep infinity}\n"
        "  db: {image: 'postgres:17', environment: [POSTGRES_USER=dev, POSTGRES_PASSWORD=dev, POSTGRES_DB=shop]}\n"
    )
    found = sample({".devcontainer/docker-compose.yml": compose})
    assert found.services == {
        "db": {"kind": "postgres", "version": "17", "with": {"username": "dev", "password": "dev", "databases": ["shop"]}},
    }  # fmt: skip


def test_drivers_in_extras_and_groups_count(sample: Propose) -> None:
    pyproject = '[project]\nname = "x"\n[project.optional-dependencies]\npg = ["psycopg>=3"]\n[dependency-groups]\ndev = ["redis"]\n'
    package = json.dumps({"peerDependencies": {"kafkajs": "2"}, "optionalDependencies": {"nats": "2"}})
    found = sample({"pyproject.toml": pyproject, "package.json": package})
    assert {service["kind"] for service in found.services.values()} == {"postgres", "valkey", "kafka", "nats"}


def test_two_sql_servers_never_share_a_name(sample: Propose) -> None:
    found = sample({"requirements.txt": "psycopg\npymysql\n", "Dockerfile": "FROM python\nEXPOSE 80\n"})
    assert found.tree["outputs"]["DATABASE_URL"] == "${db.url}"
    assert found.tree["outputs"]["MARIADB_URL"] == "${mariadb.url}"


def test_a_compiled_list_of_requirements_has_the_drivers_of_others(sample: Propose) -> None:
    found = sample({"requirements.in": "celery\npsycopg\n", "requirements.txt": "amqp==5\nkombu==5\nredis==5\npsycopg==3\n"})
    assert [service["kind"] for service in found.services.values()] == ["postgres"]


def test_the_port_is_the_default_of_the_variable_that_the_code_reads(sample: Propose) -> None:
    found = sample({"Dockerfile": "FROM node\nCOPY . .\nCMD node .\n", "index.js": "app.listen(process.env.PORT || 4001)\n"})
    assert found.services["app"]["port"] == 4001


def test_prisma_says_which_server(sample: Propose) -> None:
    found = sample({"prisma/schema.prisma": 'datasource db {\n  provider = "mysql"\n  url = env("SHOP_URL")\n}\n', "package.json": "{}"})
    assert found.services["db"]["kind"] == "mariadb"


def test_a_database_for_something_else_is_no_output(sample: Propose) -> None:
    code = 'import os\na = os.environ["SOURCE_DB_HOST"]\nb = app.config["REPORTS_DB_HOST"]\nc = os.environ["ORDERS_DB_HOST"]\n'
    assert list(sample({"requirements.txt": "psycopg\n", "x.py": code}).tree["outputs"]) == ["ORDERS_DB_HOST", "DATABASE_URL"]
