"""The commands `cluster`: set up the rights, the reaper and the admission policies of a shared cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from envctl.cli.arguments import Context, session_of
from envctl.cli.printing import counted, table
from envctl.process.terminal import give, show, tell
from envctl.session import Session

STANDARD = "envctl-system"
Namespace = Annotated[str, typer.Option("--namespace", metavar="NS", help="The namespace of the accounts, the reaper and the locks.")]
Teams = Annotated[
    list[str] | None,
    typer.Option(
        "--team",
        metavar="NS",
        show_default=False,
        help="An existing namespace in which a team runs instances with `up --namespace NS` (repeatable).",
    ),
]
TeamsOnly = Annotated[
    bool, typer.Option("--teams-only", help="Apply only what is in the namespaces of --team, which needs no cluster-wide rights.")
]
app = typer.Typer(
    help="Set up a shared cluster: rights, admission policies and the reaper, which removes expired instances.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _api(session: Session, context: str | None):  # type: ignore[no-untyped-def]
    from envctl.engines.kubernetes.engine import open_engine
    from envctl.instance.record import Location

    return open_engine(Location("kubernetes", context or session.option("context")), session.host).api


@app.command()
def install(
    ctx: typer.Context,
    namespace: Namespace = STANDARD,
    team: Teams = None,
    teams_only: TeamsOnly = False,
    context: Context = None,
    print_: Annotated[bool, typer.Option("--print", help="Print the manifests; apply nothing.")] = False,
) -> None:
    """Apply the rights, the admission policies and the reaper.

    An administrator does this once, and again after each update of envctl.
    """
    from envctl.cluster.install import install as apply
    from envctl.cluster.manifests import cluster_objects
    from envctl.render.yaml_text import yaml_text

    if print_:
        give("".join(yaml_text(item, separated=True) for item in cluster_objects(namespace, team or (), teams_only)))
        return
    for name in apply(_api(session_of(ctx), context), namespace, team or (), teams_only):
        tell(f"applied {name}")


@app.command()
def status(
    ctx: typer.Context, namespace: Namespace = STANDARD, team: Teams = None, teams_only: TeamsOnly = False, context: Context = None
) -> int:
    """Show what is installed, missing or out of date.

    The exit code is 1 unless everything is installed exactly as this version would apply it.
    """
    from envctl.cluster.install import instances
    from envctl.cluster.install import status as look

    api = _api(session_of(ctx), context)
    found = look(api, namespace, team or (), teams_only)
    show(*table([(each.state, each.name) for each in found]), *([] if teams_only else [counted(len(instances(api)), "instance")]))
    return 0 if all(each.state == "there" for each in found) else 1


@app.command()
def uninstall(
    ctx: typer.Context,
    namespace: Namespace = STANDARD,
    team: Teams = None,
    teams_only: TeamsOnly = False,
    context: Context = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it even if instances are up.")] = False,
) -> None:
    """Remove what `install` applied, and the locks of previews."""
    from envctl.cluster.install import uninstall as remove

    for name in remove(_api(session_of(ctx), context), namespace, team or (), yes, teams_only):
        tell(f"removed {name}")
