"""List the migration tools that are recognised by a file, and the command with which each tool migrates an empty database.

To support another tool, add an entry. Tools that need more than a table entry are functions in `migrations.py`.
"""

from __future__ import annotations

from typing import NamedTuple


class MigrationTool(NamedTuple):
    """A migration tool. In `command`, FILE stands for the file that shows its use, and APP for the option that names the Flask app."""

    name: str
    files: tuple[str, ...]
    command: str
    inputs: tuple[str, ...]
    """Patterns for the ends of the paths of files that the result depends on."""
    content: str = ""
    """A regular expression that must match in the file that shows the tool's use."""
    dependencies: tuple[str, ...] = ()
    """Names of dependencies, one of which the project must have; none is needed if this is empty."""
    inside: str = ""
    """The folder that must contain the file; the tool starts in that folder's parent. Empty if the tool starts beside its file."""


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
