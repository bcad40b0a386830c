"""Messages about services of a Compose file that an expression cannot name, because the name is reserved or cannot be parsed."""

from __future__ import annotations

from collections.abc import Collection

from envctl.definition.expression_error import ExpressionError
from envctl.definition.expression_syntax import Expression, split
from envctl.definition.models import expressible
from envctl.definition.source import TreePath

_MEANS = {
    "env": "the environment variables of envctl", "var": "the variables of the definition", "self": "the service in which it stands",
    "instance": "the instance itself", "lane": "the lane in which it is evaluated", "tester": "the machine on which the tests run",
}  # fmt: skip


def hidden(text: str, names: Collection[str], path: TreePath) -> tuple[str, str] | None:
    """Return a message and a hint if an expression of *text* begins with a service name that expressions cannot use; otherwise None.

    Args:
        text: a text whose expressions cannot be evaluated.
        names: the names of the services.
        path: the place of *text* in the tree.
    """
    try:
        sources = [part.source.strip() for part in split(text) if isinstance(part, Expression)]
    except ExpressionError:  # a brace is not closed, which the caller reports
        return None
    unnameable = [name for name in names if not expressible(name) and not (name == "self" and path[:1] == ("services",))]
    for source in sources:
        if name := max((name for name in unnameable if source.startswith((f"{name}.", f"{name}["))), key=len, default=""):
            return f"`${{{source}}}`: {_said(name)}", f"rename the service in its Compose file, or {_way(name, path)}"
    return None


def _said(name: str) -> str:
    return f"`{name}` stands for {_MEANS[name]}, not for the service '{name}'" if name in _MEANS else f"it cannot name the service '{name}'"


def _way(name: str, path: TreePath) -> str:
    if path[:1] == ("services",):
        return f"write its address as it is: inside, it is reached as `{name}`"
    return "leave `outputs:` out: every service has outputs then, this one included"
