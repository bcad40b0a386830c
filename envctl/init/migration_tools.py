"""Migration tools that a file of the project gives away, and how each one brings an empty database up to date.

Another tool is another entry. Those that need more than a table are functions of `migrations.py`.
"""

from __future__ import annotations

from typing import NamedTuple


class MigrationTool(NamedTuple):
    """In `command`, FILE is the file that gave it away, APP what tells Flask which application is meant."""

    name: str
    files: tuple[str, ...]
    command: str
    inputs: tuple[str, ...]
    """The ends of the paths of what its result depends on."""
    content: str = ""
    """What one of the files must hold: a pattern."""
    dependencies: tuple[str, ...] = ()
    """One of them must be there."""
    inside: str = ""
    """The folder that the file lies in, where the tool starts above it."""


_KNEX = ("knexfile.js", "knexfile.ts", "knexfile.cjs", "knexfile.mjs")
TOOLS = (
    MigrationTool("Flask-Migrate", ("env.py",), "flask APPdb upgrade", ("migrations/versions/*.py",), r"current_app", (), "migrations"),
    MigrationTool("Alembic", ("alembic.ini",), "alembic upgrade head", ("alembic.ini", "versions/*.py")),
    MigrationTool("Django", ("manage.py",), "python manage.py migrate --noinput", ("migrations/*.py",), r"django"),
    MigrationTool("Aerich", ("pyproject.toml", "aerich.ini"), "aerich upgrade", ("migrations/models/*.py",), r"\[(?:tool\.)?aerich\]"),
    MigrationTool("yoyo", ("yoyo.ini",), "yoyo apply --batch", ("migrations/*",)),
    MigrationTool("Knex", _KNEX, "npx knex migrate:latest", ("migrations/*",)),
    MigrationTool("Sequelize", (".sequelizerc",), "npx sequelize-cli db:migrate", ("migrations/*",)),
    MigrationTool("Drizzle", ("drizzle.config.ts", "drizzle.config.js"), "npx drizzle-kit migrate", ("drizzle/*.sql",)),
    MigrationTool("MikroORM", ("mikro-orm.config.ts", "mikro-orm.config.js"), "npx mikro-orm migration:up", ("migrations/*",)),
    MigrationTool(
        "TypeORM", ("data-source.ts", "ormconfig.ts"), "npx typeorm-ts-node-commonjs migration:run -d FILE", ("migrations/*",),
        dependencies=("typeorm",),
    ),
    MigrationTool("TypeORM", ("data-source.js", "ormconfig.js"), "npx typeorm migration:run -d FILE", ("migrations/*",), "", ("typeorm",)),
    MigrationTool("Laravel", ("artisan",), "php artisan migrate --force", ("database/migrations/*",)),
    MigrationTool(
        "Doctrine", ("doctrine_migrations.yaml",), "php bin/console doctrine:migrations:migrate --no-interaction", ("migrations/*.php",),
        inside="config/packages",
    ),
    MigrationTool("Phinx", ("phinx.php", "phinx.yml"), "vendor/bin/phinx migrate", ("db/migrations/*.php",)),
    MigrationTool("Ecto", ("mix.exs",), "mix ecto.migrate", ("priv/repo/migrations/*.exs",), r":ecto_sql|:ecto\b"),
    MigrationTool("SeaORM", ("Cargo.toml",), "cargo run --manifest-path FILE -- up", ("src/m*.rs",), r"sea-orm-migration", (), "migration"),
    MigrationTool("Liquibase", ("liquibase.properties",), "liquibase update", ("changelog*/*",)),
    MigrationTool("Flyway", ("flyway.toml", "flyway.conf"), "flyway migrate", ("V*__*.sql",)),
)  # fmt: skip
