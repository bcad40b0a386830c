"""Jinja2 for expressions: sandboxed, with items before attributes, and with limits on the size of results."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, wraps
from math import prod
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, UndefinedError, nodes, pass_context
from jinja2.environment import Environment, TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import _PassArg, missing

from envctl.definition import step_counting
from envctl.definition.budget import KEY, Budget, of
from envctl.definition.escaping import FILTERS

# Filters with random results, unlimited widths or quadratic time, and filters that have no use here.
_REMOVED_FILTERS = ("random", "format", "pprint", "urlize", "striptags")
MAX_BITS = 10_000
"""The most bits of an integer."""
_STEPS_OF_A_MACRO = 4
_LINEAR = ("default", "d", "defined", "undefined")
_HARMLESS_GLOBALS = ("range", "dict")
_HIDDEN_SELF = "ǂself"


class Missing(UndefinedError):
    """The error for a name or property that does not exist; *owner* is None for a name of the scope."""

    def __init__(self, name: object, owner: object, hint: str | None) -> None:
        super().__init__(hint or f"'{name}' is not defined")
        self.name, self.owner, self.hint = name, owner, hint


class _Undefined(StrictUndefined):
    """Jinja's undefined value, whose error also contains the missing name and its owner."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = UndefinedError) -> None:
        owner = None if obj is missing else obj
        raised: Any = exc if exc is SecurityError else lambda message: Missing(name, owner, hint)
        super().__init__(hint, obj, name, raised)

    # Python uses repr for the items of a printed list.
    __repr__ = StrictUndefined.__str__


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with a budget, so that no definition can make envctl hang or exhaust the memory."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the item before the attribute, since a database may be called `items`, and a service `keys`."""
        try:
            return obj[attribute]
        except (TypeError, LookupError):
            return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return whether a template may use the attribute, as Jinja's sandbox decides; `format` of texts is not allowed."""
        if isinstance(obj, str) and attr in ("format", "format_map"):
            return False  # its widths have no limit; `~` and `%` can replace it
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        return None

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return the result of an arithmetic operator, after a check that the budget allows it.

        Raises:
            OverflowError: a number in the operation is too large.
        """
        budget = of(context)
        if _is_number(left) and _is_number(right):
            budget.step()
            _check_numbers(operator, left, right)
        elif operator == "%" and isinstance(left, str):
            budget.afford(_widths(left))
            _grow(budget, [left, right])
        else:
            _grow(budget, [left, right], operator != "+")
        found = super().call_binop(context, operator, left, right)
        budget.make(found)
        return found

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  (the names are Jinja's)
        """Return the result of a call, after a check that the budget allows it."""
        budget = of(__context)
        if isinstance(__obj, Macro):
            budget.step(_STEPS_OF_A_MACRO)
            return super().call(__context, __obj, *args, **kwargs)
        owner = getattr(__obj, "__self__", None)
        args = tuple(map(budget.listed, args))
        grows = isinstance(owner, str | bytes | int)
        _grow(budget, [*([owner] if grows else []), *args, *kwargs.values()], grows)
        found = super().call(__context, __obj, *args, **kwargs)
        budget.make(found)
        return found


def _grow(budget: Budget, values: list[Any], product: bool = True) -> None:
    """Check that the budget allows the result of an operation on *values*: at most the *product* of their sizes, otherwise their sum.

    In a product, a number after the first value counts by its magnitude, since it is a width, a count or a depth.
    """
    sizes = [budget.weigh(value) for value in values]
    if product:
        sizes[1:] = [_magnitude(value, size) for value, size in zip(values[1:], sizes[1:], strict=True)]
    budget.afford((prod if product else sum)(sizes))


def _magnitude(value: Any, size: int) -> int:
    return int(min(abs(value), 1e18)) + 1 if _is_number(value) and value == value else size


def _widths(text: str) -> int:
    """Return the most characters that the widths in a format string can add."""
    if "*" in text:
        raise OverflowError("a width given as a value (`*`) may be too large")
    return sum(int(width[:9]) for width in re.findall(r"[0-9]+", text))


def _check_numbers(operator: str, left: float, right: float) -> None:
    bits = {"**": _bits(left) * max(abs(right), 1), "*": _bits(left) + _bits(right)}.get(operator, 0)
    if bits > MAX_BITS:
        raise OverflowError("the number is too large")
    if operator == "/" or float in (type(left), type(right)):
        for number in (left, right):
            if float(number) != number == number:
                raise OverflowError(f"{number} has too many digits for a fraction; `//` divides whole numbers")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _bits(value: float) -> int:
    return abs(value).bit_length() if isinstance(value, int) else 0


def _charged(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter or a test that also counts its arguments and its result."""
    passed = _PassArg.from_obj(function)
    attribute = {_PassArg.eval_context: "eval_ctx", _PassArg.environment: "environment"}.get(passed) if passed else None

    @pass_context
    @wraps(function)
    def charged(context: Context, *args: Any, **kwargs: Any) -> Any:
        budget = of(context)
        args = tuple(map(budget.listed, args))
        again = args[:1] if name == "sum" and (len(args) > 2 or "start" in kwargs) else ()  # `sum` copies the list at each addition
        _grow(budget, [*args, *again, *kwargs.values()], name not in _LINEAR)
        first = () if passed is None else (context if attribute is None else getattr(context, attribute),)
        found = function(*first, *args, **kwargs)
        budget.make(found)
        return found

    return charged


def _environment(made: type[Sandbox] = Sandbox, **options: Any) -> Sandbox:
    # Not optimised, because to fold constants during compilation takes longer than it saves for texts that are used once.
    env = made(undefined=_Undefined, autoescape=False, optimized=False, **{"cache_size": 0, **options})
    for name in [name for name in env.globals if name not in _HARMLESS_GLOBALS]:
        del env.globals[name]
    for name in _REMOVED_FILTERS:
        del env.filters[name]
    env.filters.update(FILTERS)
    for name in env.filters:
        env.filters[name] = _charged(name, env.filters[name])
    env.filters |= step_counting.FILTERS
    for name in set(env.tests) - {"callable"}:
        test: Any = env.tests[name]
        env.tests[name] = _charged(name, test)
    return env


class _CountedTemplates(Sandbox):
    """A sandbox for whole templates. Each of them, also if included or imported, is counted; attributes come before items, as in Jinja."""

    getattr = ImmutableSandboxedEnvironment.getattr

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(step_counting.counted(source), *args, **kwargs)


def counted_templates(budget: Budget, loader: BaseLoader, finalize: Callable[..., Any]) -> Environment:
    """Return a Jinja environment for templates from untrusted authors, all of which share *budget*."""
    env = _environment(_CountedTemplates, loader=loader, finalize=finalize, auto_reload=False, cache_size=400)
    env.globals[KEY] = budget  # an imported template sees globals only
    return env


@cache
def expressions() -> Sandbox:
    """Return the environment for single expressions."""
    return _environment()


@cache
def texts() -> Sandbox:
    """Return the environment for whole texts. Its comment marks contain a NUL, so that no text can contain a comment."""
    return _environment(
        variable_start_string="${",
        variable_end_string="}",
        comment_start_string="\0{#",
        comment_end_string="#}\0",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=step_counting.printed,
    )


def parse(source: str) -> nodes.Expr:
    """Return the syntax tree of one expression.

    Raises:
        TemplateSyntaxError: *source* is not an expression.
    """
    parser = Parser(expressions(), source, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        parser.fail(f"unexpected '{parser.stream.current.value}'")
    return tree


def compile_expression(tree: nodes.Expr) -> TemplateExpression:
    """Return the compiled expression of *tree*, whose evaluation counts its steps."""
    env = expressions()
    assign = nodes.Assign(nodes.Name("result", "store"), tree, lineno=1)
    template = step_counting.counted(nodes.Template([assign], lineno=1))
    _hide_self(template)
    template.set_environment(env)
    return TemplateExpression(env.from_string(template), undefined_to_none=False)


@cache
def compile_text(source: str) -> Any:
    """Return the compiled template of a whole text, whose evaluation counts its steps.

    Raises:
        TemplateSyntaxError: *source* is not a template.
    """
    env = texts()
    template = step_counting.counted(env.parse(source))
    _hide_self(template)
    template.set_environment(env)
    return env.from_string(template)


def _hide_self(template: nodes.Node) -> None:
    # Jinja defines a `self` of its own (the template's blocks), which would hide that of the scope.
    for name in template.find_all(nodes.Name):
        if name.name == "self":
            name.name = _HIDDEN_SELF


def visible(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return *scope* with the names that compiled code uses."""
    return {**scope, _HIDDEN_SELF: scope["self"]} if "self" in scope else dict(scope)


def shown(name: object) -> str:
    """Return *name* as the user wrote it."""
    return "self" if name == _HIDDEN_SELF else str(name)
