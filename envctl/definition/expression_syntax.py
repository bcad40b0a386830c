"""The syntax of `${...}`: where an expression ends, which names are one word, and what an expression refers to.

After a dot, a hyphen belongs to the name (`${var.pg-version}`). At the beginning, it does if such a name is known
(`${orders-db.url}`). A subtraction therefore needs blanks around its minus.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from envctl.definition.expression_error import ExpressionError
from envctl.errors import did_you_mean

if TYPE_CHECKING:
    from jinja2 import nodes

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Reference:
    """A reference in an expression: `db.databases["audit"].url` has the root `db` and the path `("databases", "audit", "url")`."""

    root: str
    path: tuple[str, ...]
    expression: str
    optional: bool = False
    """Whether the expression tests that the value exists (`default(...)`, `is defined`), so that it may be missing."""


@dataclass(frozen=True)
class Expression:
    """The text of an expression, between the braces of `${...}`."""

    source: str


_MARK = re.compile(r"\$\$\{|\$\{")
_STOP = re.compile(r"""["'(){}\[\]]""")
_STRING = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*\'""", re.DOTALL)
CHAIN = re.compile(r"\s*[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*\s*", re.ASCII)
_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"|(?P<float>(?<![\w.])\d+\.\d+(?!\w))"
    r"|(?P<attribute>(?<=[\w\])])\.\w+(?:-\w+)*)"
    r"|(?P<name>\w+(?:-\w+)*)",
    re.DOTALL,
)
_SHELL = re.compile(r"\s*\$?([A-Za-z_]\w*)(:?)([-?=+])(.*)", re.DOTALL)
WORDS = frozenset(["not", "and", "or", "if", "else", "in", "is", "true", "false", "none", "True", "False", "None"])
"""The keywords of expressions, which cannot be names of services."""
_GLOBALS = frozenset(["range", "dict"])
STAND_IN = "ǂ"
"""A letter that no name contains. It replaces hyphens, so that a name becomes an identifier."""
_MAX_EXPRESSION = 20_000


def has_expression(text: str) -> bool:
    """Return whether *text* contains an expression. `$${` is none."""
    return any(mark.group() == "${" for mark in _MARK.finditer(text))


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start of each expression in *text*, and its end after the closing brace. `$${` is skipped.

    Raises:
        ExpressionError: a brace is not closed.
    """
    position = 0
    while mark := _MARK.search(text, position):
        position = mark.end() if mark.group() == "$${" else _closing_brace(text, mark.end()) + 1
        if mark.group() == "${":
            yield mark.start(), position


def references(text: str, names: Collection[str]) -> list[Reference]:
    """Return the references in the expressions of *text*, without evaluating them.

    Args:
        names: the known names, which may contain hyphens.

    Raises:
        ExpressionError: an expression cannot be parsed.
    """
    if "${" not in text:
        return []
    expressions = [part.source for part in split(text) if isinstance(part, Expression)]
    return [reference for source in expressions for reference in _references(source, names)]


@lru_cache(maxsize=16384)
def split(text: str) -> tuple[str | Expression, ...]:
    """Return the parts of *text* in order: literal texts, with `$${` replaced by `${`, and expressions.

    Raises:
        ExpressionError: a brace is not closed.
    """
    parts: list[str | Expression] = []
    position = 0
    for start, end in spans(text):
        parts += [_literal(text[position:start]), Expression(text[start + 2 : end - 1])]
        position = end
    return tuple(part for part in [*parts, _literal(text[position:])] if part != "")


def _literal(text: str) -> str:
    return text.replace("$${", "${")


def _closing_brace(text: str, start: int) -> int:
    depth, position = 0, start
    while stop := _STOP.search(text, position):
        sign, position = stop.group(), stop.end()
        if sign in "\"'":
            string = _STRING.match(text, stop.start())
            if string is None:
                break
            position = string.end()
        elif sign in "({[":
            depth += 1
        elif sign == "}" and depth == 0:
            return stop.start()
        else:
            depth -= 1
    shown = shortened(text[start:])
    raise ExpressionError(f"`${{{shown}` has no closing `}}`; a literal `${{` is written `$${{`")


def parse(rewritten: str, source: str) -> nodes.Expr:
    """Return the syntax tree of the expression *rewritten*. Messages show *source*, the expression as the user wrote it.

    Raises:
        ExpressionError: the expression cannot be parsed, is empty, or is too long.
    """
    from jinja2 import TemplateSyntaxError

    from envctl.definition import sandbox

    if len(rewritten) > _MAX_EXPRESSION:
        raise ExpressionError(f"`{shortened(source)}` is too long for an expression")
    if not source.strip():
        raise ExpressionError("`${}` is empty; a literal `${` is written `$${`")
    try:
        return sandbox.parse(rewritten)
    except TemplateSyntaxError as error:
        advice = shell_advice(source) or f"{_message(error.message)}; a literal `${{` is written `$${{`"
        raise ExpressionError(f"`{shortened(source.strip())}` is not a valid expression: {advice}") from None
    except RecursionError:
        raise too_deep(source) from None
    except ValueError as error:
        raise ExpressionError(f"`{shortened(source.strip())}` is not a valid expression: {error}") from None


def _message(text: str | None) -> str:
    return (text or "it cannot be read").replace("'end of template'", "end")


def too_deep(source: str) -> ExpressionError:
    """Return the error for an expression that is nested too deeply."""
    return ExpressionError(f"`{shortened(source.strip())}` is nested too deeply")


def check_filters(tree: nodes.Expr) -> None:
    """Raise ExpressionError if *tree* uses a filter or a test that does not exist."""
    from jinja2 import nodes

    from envctl.definition.sandbox import expressions

    env = expressions()
    for node in (tree, *tree.find_all((nodes.Filter, nodes.Test))):
        known = env.filters if isinstance(node, nodes.Filter) else env.tests
        if isinstance(node, nodes.Filter | nodes.Test) and node.name not in known:
            what = "filter" if isinstance(node, nodes.Filter) else "test"
            raise ExpressionError(
                f"there is no {what} '{node.name}'; {did_you_mean(node.name, [name for name in known if not name.startswith(' ')])}"
            )


def rewrite(source: str, names: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return the expression with identifiers for the names that Jinja cannot parse, and a map of the identifiers to these names."""
    renamed: dict[str, str] = {}
    parts: list[str] = []
    position = 0
    while token := _TOKEN.search(source, position):
        parts.append(source[position : token.start()])
        position = token.end()
        if token.lastgroup == "attribute":
            parts.append(_attribute(token.group()))
        elif token.lastgroup == "name":
            name, is_name = _known_name(token, names)
            position = token.start() + len(name)
            parts.append(_identifier(name, renamed) if is_name else name)
        else:
            parts.append(token.group())
    return "".join([*parts, source[position:]]), renamed


def _attribute(text: str) -> str:
    name = text[1:]
    return text if name.isidentifier() or name.isdigit() else f'["{name}"]'


def _known_name(token: re.Match[str], names: Collection[str]) -> tuple[str, bool]:
    """Return the longest known name at the beginning of a token, or else all of it that can be a name; and whether it is a name."""
    pieces = token.group("name").split("-")
    before, after = token.string[: token.start()].rstrip(), token.string[token.end() :]
    for count in range(len(pieces), 0, -1):
        name = "-".join(pieces[:count])
        # A service may be called 17, which is a number unless a property follows.
        if name in names and (not name.isdigit() or (count == len(pieces) and re.match(r"\.[A-Za-z_]", after))):
            return name, True
    if pieces[0].isdigit() or pieces[0] in WORDS or before.endswith("|"):
        return pieces[0], False
    return token.group("name"), True


def _identifier(name: str, renamed: dict[str, str]) -> str:
    if name.isidentifier():
        return name
    code = STAND_IN + name.replace("-", STAND_IN)
    renamed[code] = name
    return code


def _references(source: str, names: Collection[str]) -> Iterator[Reference]:
    if CHAIN.fullmatch(source):
        root, *path = source.strip().split(".")
        if root in names or root.isidentifier():
            if root not in WORDS:
                yield Reference(root, tuple(path), source.strip())
            return
    rewritten, renamed = rewrite(source, names)
    for code, steps, optional in _chains_of(rewritten, source):
        yield Reference(renamed.get(code, code), steps, source.strip(), optional)


@lru_cache(maxsize=16384)
def _chains_of(rewritten: str, source: str) -> tuple[tuple[str, tuple[str, ...], bool], ...]:
    tree = parse(rewritten, source)
    try:
        check_filters(tree)
        return tuple(chain for chain in _chains(tree) if chain[0] not in _GLOBALS)
    except RecursionError:
        raise too_deep(source) from None


def _chains(tree: nodes.Node, optional: bool = False) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    from jinja2 import nodes

    root, path, others = _chain(tree)
    if root is not None:
        yield root, path, optional
    for other in others:
        yield from _chains(other)
    if root is None and not others:
        asked = isinstance(tree, nodes.Filter) and tree.name in ("default", "d")
        asked = asked or (isinstance(tree, nodes.Test) and tree.name in ("defined", "undefined"))
        for child in tree.iter_child_nodes():
            yield from _chains(child, optional=asked and child is getattr(tree, "node", None))


def _chain(node: nodes.Node) -> tuple[str | None, tuple[str, ...], list[nodes.Node]]:
    """Return the root and the constant steps of `a.b["c"]`, and the inner expressions of computed steps."""
    from jinja2 import nodes

    steps: list[str | None] = []
    others: list[nodes.Node] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            steps.append(node.attr)
        elif isinstance(node.arg, nodes.Const):
            steps.append(str(node.arg.value))
        else:
            steps.append(None)
            others.append(node.arg)
        node = node.node
    if not isinstance(node, nodes.Name):
        return None, (), [*others, node] if steps else []
    constant = steps[::-1]
    known = constant[: constant.index(None)] if None in constant else constant
    return node.name, tuple(step for step in known if step is not None), others


def shell_advice(source: str, scope: Collection[str] = ()) -> str:
    """Return the spelling for envctl if *source* is written as for a shell or Compose; otherwise an empty text."""
    if form := _SHELL.fullmatch(source):
        name, colon, sign, rest = form.groups()
        if name not in scope and (colon or name.isupper()):
            text = json.dumps(rest, ensure_ascii=False)
            default = f"`${{env.{name} | default({text})}}` is a variable with a default"
            return default if sign in "-=" else f"`${{env.{name}}}` alone is an error if {name} is not set"
    if braces := re.fullmatch(r"\s*\{\s*([^{}:]*?)\s*\}?\s*", source, re.DOTALL):
        return f"an expression has one pair of braces: `${{{braces.group(1)}}}`"
    name = source.strip().lstrip("$")
    if re.fullmatch(r"[A-Z][A-Z0-9_]*", name) and name not in scope:
        return f"an environment variable is `${{env.{name}}}`"
    return ""


def shortened(text: str) -> str:
    """Return *text* in at most 60 characters, for messages."""
    return text if len(text) <= 60 else text[:57] + "..."
