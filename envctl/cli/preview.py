"""The commands `preview`: manage the instance of a pull request on a cluster."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

import typer

from envctl.cli.arguments import Context, Environment, session_of
from envctl.cli.down import tell_removed
from envctl.cli.options import Running, expanded, up_options
from envctl.cli.printing import describe, endpoints
from envctl.cli.progress import listener
from envctl.errors import UsageError
from envctl.inspect.lookup import called
from envctl.inspect.status import document
from envctl.preview.collecting import collect
from envctl.preview.comment import markdown, marker
from envctl.preview.github import GitHub
from envctl.preview.preview import Place, State, look
from envctl.preview.preview import down as remove
from envctl.preview.preview import up as bring_up
from envctl.preview.pull_request import FORM, pull_request, repository_of
from envctl.process.terminal import give, show, tell
from envctl.session import Session

Key = Annotated[
    str | None, typer.Option("--key", metavar="TEXT", envvar="ENVCTL_KEY", show_default=False, help=f"The pull request: {FORM}.")
]
Name = Annotated[str | None, typer.Option("--name", metavar="N", show_default=False, help="The preview's name (default: pr-N).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
app = typer.Typer(help="Manage the preview of a pull request: its environment on a cluster.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
@expanded
def up(
    ctx: typer.Context,
    env: Environment,
    options: Running,
    trusted: Annotated[
        bool,
        typer.Option(
            "--trusted", help="Trust the definition, even if the pull request comes from another repository or its origin is unknown."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the preview up, or update the one that is up.

    It works from any runner; data, passwords and addresses stay.
    """
    session = session_of(ctx)
    if options.engine not in (None, "kubernetes") or options.namespace or options.local:
        raise UsageError("a preview has its own namespace on a cluster", hint="leave out --engine, --namespace and --local")
    request = pull_request(session.environ, options.key)
    wanted = up_options(env, options)
    if request.untrusted and not trusted:
        wanted = replace(wanted, untrusted=True)
        tell(f"envctl: {request.key} comes from another repository, so --untrusted applies")
    record = bring_up(
        session,
        Place.of(session, options.context),
        request,
        wanted,
        [listener(session)],
        told=lambda error: "\n".join(describe(error, session.mask)),
    )
    if as_json:
        give(json.dumps(document(record), ensure_ascii=False) + "\n")
    else:
        show(*endpoints(record, called(session, record)))


@app.command()
def status(ctx: typer.Context, env: Environment, key: Key = None, name: Name = None, context: Context = None, as_json: Json = False) -> int:
    """Show whether the preview is up, its commit and its expiry.

    The exit code is 1 if it is not up.
    """
    state = _state(session_of(ctx), key, name, context)
    lock, expires = state.lock, (state.document or {}).get("expires")
    if as_json:
        told = {"head": lock.head, "run": lock.url, "closed": lock.closed, "error": lock.error} if lock else {}
        give(json.dumps({"id": state.id, "key": state.request.key, "state": state.word, "expires": expires, **told}) + "\n")
    else:
        head = f", head {lock.head[:12]}" if lock and lock.head else ""
        show(f"{state.request.name} ({state.id}): {state.word}{head}{f', until {expires}' if expires else ''}")
        tell(*([lock.error] if lock and lock.error else []))
    return 0 if state.word == "up" else 1


@app.command()
def comment(
    ctx: typer.Context,
    env: Environment,
    key: Key = None,
    name: Name = None,
    context: Context = None,
    post: Annotated[
        bool, typer.Option("--post", help="Post it as a comment on the pull request, in place of the earlier one (needs GITHUB_TOKEN).")
    ] = False,
) -> None:
    """Print its state and addresses for reviewers, as Markdown."""
    session = session_of(ctx)
    state = _state(session, key, name, context)
    text = markdown(state)
    if not post:
        give(text)
        return
    github = GitHub.of(session.environ, state.request.repository)
    if github is None:
        message = "--post needs GITHUB_TOKEN, and GITHUB_API_URL if the server is not github.com"
        raise UsageError(message, hint="without --post, the text is printed")
    github.comment(state.request.number, marker(state), text)


@app.command()
def down(ctx: typer.Context, env: Environment, key: Key = None, name: Name = None, context: Context = None) -> int:
    """Remove the preview, and mark its pull request closed.

    A CI run that began earlier cannot bring it up again. The command may be called twice.
    """
    session = session_of(ctx)
    removed = remove(session, Place.of(session, context), pull_request(session.environ, key), name)
    return tell_removed([removed] if removed is not None else [], "nothing was up; the pull request is marked as closed")


@app.command()
def gc(
    ctx: typer.Context,
    env: Environment,
    open: Annotated[
        str | None,
        typer.Option("--open", metavar="N,N", show_default=False, help="The numbers of the open pull requests (default: ask GitHub)."),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="TEXT", show_default=False, help="The repository: host/owner/repository.")
    ] = None,
    context: Context = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it even if it removes more than 5.")] = False,
) -> int:
    """Remove the previews of pull requests that are no longer open."""
    session = session_of(ctx)
    repository = repository_of(session.environ, key)
    return tell_removed(list(collect(session, Place.of(session, context), repository, open, yes)), "nothing to remove")


def _state(session: Session, key: str | None, name: str | None, context: str | None) -> State:
    return look(Place.of(session, context), pull_request(session.environ, key), name)
