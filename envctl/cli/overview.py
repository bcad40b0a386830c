"""Print the overview of commands (`envctl`, `envctl help`), and suggest the right command for words that other tools use."""

from __future__ import annotations

from collections.abc import Iterator

from envctl.errors import UsageError, did_you_mean

GROUPS: dict[str, dict[str, str]] = {
    "Start": {
        "init": "Write a first environment from what it finds in your project",
        "validate": "Check definitions: each mistake with its line and a suggested fix",
        "doctor": "Show which engines work here, and what to do about the others",
    },
    "Test": {
        "run": "Bring an environment up, run a command with its outputs, remove it",
        "test": "The same, with the tests in the definition",
    },
    "Keep it up": {
        "up": "Bring an environment up, with its data, and leave it up",
        "env": "Print the outputs: addresses and credentials for tests and tools",
        "restart": "Restart one service, rebuilt with --build",
        "seed": "Run the seed steps that have not been run yet",
        "reset": "Go back to the seeded state: undo what tests have changed",
        "extend": "Set a new lifetime, counted from now",
        "down": "Remove an instance: containers, networks, data, state",
    },
    "Look inside": {
        "status": "Show the state of the services",
        "list": "Show the instances of this checkout",
        "logs": "Show the logs, also those of the last failed run",
        "exec": "Run a command inside a service",
        "shell": "Open a service's client, such as psql, or a shell",
    },
    "Share a cluster": {
        "preview": "Keep a pull request's environment up: up, status, comment, down, gc",
        "cluster": "Set up a shared cluster: install, status, uninstall",
    },
    "More": {
        "render": "Write the manifests that up would use; nothing is started",
        "schema": "Print the JSON Schema of definitions, for editors",
        "snapshots": "List, build or remove snapshots: data that the next up starts from",
        "report": "Sum up JUnit files: tests that failed, were slow or are flaky",
        "gc": "Remove instances that have expired or lost their owner",
    },
}
"""The commands by group, each with a description that fits a line of 80 columns."""

_REMOVE = "`envctl down NAME` removes an instance, `envctl down --all` all of this checkout"
LEADS = {
    "ps": "`envctl status` shows services, `envctl list` instances",
    "ls": "`envctl list` shows the instances of this checkout",
    "start": "`envctl up ENV` brings an environment up, `envctl restart NAME S` restarts one service",
    "create": "`envctl up ENV` brings an environment up",
    "build": "`envctl up ENV` builds what has changed, `envctl restart NAME S --build` one service",
    "log": "`envctl logs NAME` shows the logs",
    "check": "`envctl validate` checks definitions",
    "lint": "`envctl validate` checks definitions",
    "config": "`envctl render ENV` shows what would run, `envctl validate` checks definitions",
    "connect": "`envctl shell NAME S` opens the client of a service",
    "outputs": "`envctl env NAME` prints the outputs",
    "version": "`envctl --version` prints the version",
    "lease": "tests ask for leases over HTTP: `envctl env NAME` prints ENVCTL_URL and ENVCTL_TOKEN",
    "completion": "`envctl --install-completion` installs it for your shell",
    **dict.fromkeys(("stop", "rm", "remove", "delete", "destroy", "kill", "teardown"), _REMOVE),
    **dict.fromkeys(("clean", "prune", "cleanup"), "`envctl gc` removes what has expired, `envctl down --all` all of this checkout"),
}
"""Command names of other tools, each with the command of envctl for the same task."""


def overview() -> Iterator[str]:
    """Yield the lines of the overview."""
    yield "Usage: envctl COMMAND [ARGS]..."
    yield ""
    yield "Brings up the environments that integration tests need, and removes them again."
    for group, commands in GROUPS.items():
        yield ""
        yield f"{group}:"
        yield from (f"  {name:<10} {says}" for name, says in commands.items())
    yield ""
    yield "Options: --version, --help, --install-completion, --show-completion"
    yield ""
    yield "Example:  envctl run shop -- pytest      bring up, test, remove"
    yield "Details:  envctl help up                 Pages: docs/ in the repository"


def unknown_command(word: str) -> UsageError:
    """Return the error for an unknown command *word*, with a suggestion."""
    known = [name for commands in GROUPS.values() for name in commands]
    return UsageError(f"No such command '{word}'", hint=LEADS.get(word) or did_you_mean(word, known, limit=30))
