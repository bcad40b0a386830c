"""Evaluation of `${...}` in texts as sandboxed Jinja2 expressions. All other bytes stay as they are; `$${` is a literal `${`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from envctl.definition.budget import KEY, of
from envctl.definition.expression_error import ExpressionError
from envctl.definition.expression_syntax import (
    CHAIN,
    STAND_IN,
    Expression,
    Path,
    Reference,
    check_filters,
    has_expression,
    parse,
    references,
    rewrite,
    shell_advice,
    shortened,
    spans,
    split,
    too_deep,
)
from envctl.definition.values import settled, sound_text
from envctl.definition.yaml_parser import plain_scalar, written
from envctl.errors import did_you_mean

if TYPE_CHECKING:
    from jinja2.environment import TemplateExpression

    from envctl.definition.sandbox import Missing

_STEPS_TO_START = 16  # for each evaluation by Jinja

__all__ = [
    "ExpressionError",
    "Reference",
    "as_text",
    "escape",
    "evaluate",
    "evaluate_tree",
    "has_expression",
    "references",
    "render_text",
    "spans",
]


def evaluate(text: str, scope: Mapping[str, Any]) -> Any:
    """Return *text* with its expressions evaluated. If the whole text is one expression, its value keeps its type.

    Raises:
        ExpressionError: an expression is not valid, names something unknown, or fails.
    """
    if "${" not in text:
        return text
    parts = split(text)
    if len(parts) == 1 and isinstance(parts[0], Expression):
        return _value(parts[0].source, scope)
    found = "".join(part if isinstance(part, str) else as_text(_value(part.source, scope), part.source) for part in parts)
    of(scope).make(found)
    return found


def evaluate_tree(value: Any, scope: Mapping[str, Any], path: Path = ()) -> Any:
    """Return *value* with every text in its lists and maps evaluated. Keys stay as they are.

    Raises:
        ExpressionError: a text is wrong; the error's *path* is the place of the text.
    """
    if isinstance(value, str):
        try:
            return evaluate(value, scope)
        except ExpressionError as error:
            error.path = error.path or path
            raise
    if isinstance(value, Mapping):
        return {key: evaluate_tree(item, scope, (*path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [evaluate_tree(item, scope, (*path, index)) for index, item in enumerate(value)]
    return value


def render_text(template: str, scope: Mapping[str, Any]) -> str:
    """Render a whole Jinja2 template with `${...}` and `{% ... %}`. There are no comments, and a final newline stays.

    Raises:
        ExpressionError: *template* cannot be parsed or evaluated.
    """
    from jinja2 import TemplateSyntaxError

    from envctl.definition import sandbox

    values = sandbox.visible(scope)
    of(values).compile(template)
    try:
        compiled = sandbox.compile_text(template.replace("$${", "${'${'}"))
        return sound_text(compiled.render(values))
    except ExpressionError:
        raise
    except TemplateSyntaxError as error:
        raise ExpressionError(f"line {error.lineno} of the text: {error.message}") from None
    except Exception as error:
        raise ExpressionError(_words(error, scope)) from None


def escape(text: str) -> str:
    """Return *text* with each `${` escaped, so that the evaluation of the result gives *text*."""
    return text.replace("${", "$${")


def as_text(value: Any, expression: str = "") -> str:
    """Return *value* as it is inserted into a text: `true`, numbers as they are written, lists and maps as JSON.

    Args:
        expression: the expression that gives *value*, for the error message.

    Raises:
        ExpressionError: *value* is null.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise ExpressionError(f'`{expression.strip()}` is null here; give it a value with `| default("", true)`')
    if isinstance(value, int | float) and not isinstance(value, bool):
        return written(value)
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    except (TypeError, ValueError):
        return str(value)


def _value(source: str, scope: Mapping[str, Any]) -> Any:
    if CHAIN.fullmatch(source):
        found = _follow(source.strip().split("."), scope)
        if found is not _NOTHING:
            of(scope).make(found)
            return found
    elif (number := plain_scalar(source.strip() or " ")) != source.strip() and isinstance(number, int | float):
        return number  # `${3.10}` keeps its notation, like 3.10 without an expression
    return _evaluated(source, scope)


_NOTHING = object()


def _follow(names: list[str], value: Any) -> Any:
    """Return the value of a chain of names, or _NOTHING.

    This does not use Jinja, because nearly all expressions are such chains, and compilation is slow.
    """
    for name in names:
        if not isinstance(value, Mapping):
            return _NOTHING
        try:
            value = value[name]
        except KeyError:
            return _NOTHING
    return value


def _evaluated(source: str, scope: Mapping[str, Any]) -> Any:
    from envctl.definition import sandbox

    rewritten, renamed = rewrite(source, scope)
    values = sandbox.visible(scope) | {code: scope[name] for code, name in renamed.items() if name in scope}
    budget = of(values)
    budget.compile(rewritten)
    budget.step(_STEPS_TO_START + len(values) // 16)
    compiled = _compiled(rewritten, source)
    try:
        return settled(compiled(values), budget)
    except ExpressionError:
        raise
    except Exception as error:
        raise ExpressionError(f"`{shortened(source.strip())}`: {_words(error, scope, source)}") from None


def _words(error: Exception, scope: Mapping[str, Any], source: str = "") -> str:
    from envctl.definition import sandbox

    if isinstance(error, sandbox.Missing):
        return _missing(error, scope, source)
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error) or type(error).__name__


def _missing(error: Missing, scope: Mapping[str, Any], source: str) -> str:
    from envctl.definition import sandbox

    if error.hint:
        return str(error.hint)
    name = sandbox.shown(error.name)
    if error.owner is None:
        name = name[1:].replace(STAND_IN, "-") if name.startswith(STAND_IN) else name
        return f"'{name}' is not defined; {shell_advice(source, scope) or did_you_mean(name, [known for known in scope if known != KEY])}"
    if error.owner is scope.get("env"):
        return f'the environment variable {name} is not set; `${{env.{name} | default("...")}}` gives it a default'
    known = [str(key) for key in error.owner] if isinstance(error.owner, Mapping) else []
    advice = [did_you_mean(name, known) if known else "it has no properties"]
    if "-" in name:
        advice.append("a subtraction needs spaces around its `-`")
    return "; ".join([f"{_owner(source, name)} has no '{name}'", *advice])


def _owner(source: str, name: str) -> str:
    """Return the part of *source* before *name*, in quotes, as it is written."""
    before = re.search(rf"""([\w.\-\[\]"']+?)(?:\.|\[["']){re.escape(name)}(?![\w-])""", source)
    return f"'{before.group(1)}'" if before else "it"


@lru_cache(maxsize=16384)
def _compiled(rewritten: str, source: str) -> TemplateExpression:
    from envctl.definition import sandbox

    tree = parse(rewritten, source)
    try:
        check_filters(tree)
        return sandbox.compile_expression(tree)
    except (RecursionError, MemoryError, SyntaxError):
        raise too_deep(source) from None
