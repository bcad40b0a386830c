"""The commands `validate`, `schema` and `render`, which need no engine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from envctl.cli import options as opt
from envctl.cli.arguments import Environment, session_of
from envctl.cli.options import Chosen, expanded
from envctl.cli.printing import counted, print_problems
from envctl.definition.find import compose_files, environments
from envctl.engines.registry import traits
from envctl.environment import open_environment
from envctl.environment.permissions import powers, refuse_own_settings
from envctl.errors import DefinitionError, EnvctlError, Problem, UsageError
from envctl.lifecycle.claiming import instance_name
from envctl.plan import transforms
from envctl.plan.exposing import Exposure, OnDocker
from envctl.plan.make import make_plan
from envctl.plan.render_setting import render_setting
from envctl.plan.traits import UNDECIDED
from envctl.process.limits import limit_this_process
from envctl.process.terminal import give, show, tell
from envctl.render import write_manifests


def validate(
    ctx: typer.Context,
    env: Annotated[
        list[str] | None, typer.Argument(metavar="[ENV]...", help="Environments (default: all in environments/).", show_default=False)
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Set a variable of the definition (repeatable).", show_default=False)
    ] = None,
    untrusted: Annotated[bool, typer.Option("--untrusted", envvar="ENVCTL_UNTRUSTED", help=opt.UNTRUSTED)] = False,
) -> int:
    """Check definitions: each mistake with its line and a suggested fix, as `file:line: path: what is wrong; what to do`."""
    session = session_of(ctx)
    if untrusted:
        limit_this_process()
    names = env or environments(session.cwd)
    if not names:
        composed = [f"`envctl validate {name}` checks the Compose file" for name in compose_files(session.cwd)[:1]]
        raise UsageError("there are no environments here", hint="; ".join([*composed, "`envctl init` writes a first one"]))
    overrides, broken = opt.pairs("--set", set or [], "K=V"), 0
    for name in names:
        try:
            environment = open_environment(
                name, cwd=session.cwd, overrides=overrides, environ=session.environ, untrusted=untrusted, answers=session.answers
            )
            plan = make_plan(environment, render_setting(environment, environment.definition.name, UNDECIDED, {}))
            show(f"{name}: {len(plan.services)} service{'s' if len(plan.services) != 1 else ''}, no mistakes")
            _tell_powers(name, powers(environment.loaded, environment.kinds))
        except DefinitionError as error:
            broken += len(error.problems)
            print_problems(error, session.mask, session.environ)
    if broken:
        tell(f"envctl: {broken} mistake{'s' if broken != 1 else ''}")
    return DefinitionError.exit_code if broken else 0


def _tell_powers(name: str, found: list[Problem]) -> None:
    """Print what the definition may do on this machine, for users who are about to bring up a definition that others wrote."""
    if found:
        show(f"{name} may do this on your machine:")
    for problem in found:
        show(f"  {problem}")


def schema(ctx: typer.Context) -> None:
    """Print the JSON Schema of definitions, the kinds of this project included."""
    from envctl.definition.find import project_of
    from envctl.definition.json_schema import json_schema
    from envctl.definition.kinds import load_kinds

    give(json.dumps(json_schema(load_kinds(project_of(session_of(ctx).cwd))), indent=2, ensure_ascii=False) + "\n")


@expanded
def render(
    ctx: typer.Context,
    env: Environment,
    options: Chosen,
    engine: Annotated[
        str, typer.Option("--engine", metavar="E", envvar="ENVCTL_ENGINE", help="docker (the default) or kubernetes.", show_default=False)
    ] = "docker",
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="DIR", help="Write to this folder (default: stdout).", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail when something is not supported here.")] = False,
    registry: Annotated[
        str | None,
        typer.Option(
            "--registry", metavar="R", envvar="ENVCTL_REGISTRY", help="The registry from which the cluster pulls images built here."
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", metavar="NS", envvar="ENVCTL_NAMESPACE", help="Use this existing namespace instead of a new one."),
    ] = None,
    existing_secret: Annotated[
        str | None,
        typer.Option("--existing-secret", metavar="NAME", help="Refer to this Secret for the passwords, instead of writing them."),
    ] = None,
    random: Annotated[bool, typer.Option("--random", help="Write random passwords, new ones each time.")] = False,
    untrusted: Annotated[bool, typer.Option("--untrusted", envvar="ENVCTL_UNTRUSTED", help=opt.UNTRUSTED)] = False,
) -> int:
    """Write the manifests that `up` would use; nothing is started."""
    session = session_of(ctx)
    overrides = opt.pairs("--set", options.set, "K=V")
    if untrusted:
        limit_this_process()
    opened = open_environment(
        env, cwd=session.cwd, overrides=overrides, environ=session.environ, untrusted=untrusted, answers=session.answers
    )
    if untrusted:
        refuse_own_settings(session.settings, opened.loaded.file)
    environment = transforms.apply(opened, opt.selection(options))
    name = instance_name(options.name or environment.definition.name)
    target = traits(engine)
    setting = render_setting(
        environment,
        name,
        target,
        session.settings.images(),
        opt.ports(options),
        session.environ,
        shared=bool(namespace and target.shares_namespaces),
        random=random,
    )
    wanted = opt.cluster_options(session, setting, registry, namespace, existing_secret, untrusted) if target.shares_namespaces else None
    told = wanted.cluster.expose if wanted is not None else session.settings.table("docker", OnDocker).get("expose", {})
    setting = replace(setting, expose=Exposure.of(told))
    rendered = write_manifests(make_plan(environment, setting), Path(output) if output else None, wanted)
    if not output:
        give(rendered.text)
    for note in rendered.notes:
        tell(f"note: {note}")
    for loss in rendered.losses:
        tell(f"not supported here: {loss}")
    if rendered.losses and strict:
        raise EnvctlError(f"{counted(len(rendered.losses), 'thing')} not supported here (--strict)")
    return 0
