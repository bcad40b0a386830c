"""Jinja2 as expressions use it: sandboxed, items before attributes, and no result larger than a definition needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, wraps
from itertools import islice
from typing import Any

from jinja2 import StrictUndefined, UndefinedError, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from envctl.definition.escaping import FILTERS

MAX_SIZE = 4_000_000
"""Characters or items that one operation may produce."""
MAX_NUMBER = 100_000
"""The largest width, count or exponent; and the length of a range."""
_GROWING = ("center", "indent", "join", "replace", "batch", "slice", "wordwrap", "tojson")
_REMOVED_FILTERS = ("random", "format", "pprint", "urlize")  # not the same twice, unbounded widths, or no use here
_HARMLESS_GLOBALS = ("range", "dict")
_HIDDEN_SELF = "ǂself"


class Missing(UndefinedError):
    """A name or property that is not there; *owner* is None for a name of the scope."""

    def __init__(self, name: object, owner: object, hint: str | None) -> None:
        super().__init__(hint or f"'{name}' is not defined")
        self.name, self.owner, self.hint = name, owner, hint


class _Undefined(StrictUndefined):
    """Jinja's own, whose error knows what is missing where."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = UndefinedError) -> None:
        owner = None if obj is missing else obj
        raised: Any = exc if exc is SecurityError else lambda message: Missing(name, owner, hint)
        super().__init__(hint, obj, name, raised)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with limits; a definition may be wrong, but it may not hang or eat the memory."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Items first: a database called `items` or a service called `keys` is what its name says."""
        try:
            return obj[attribute]
        except (TypeError, LookupError):
            return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str) and attr in ("format", "format_map"):
            return False  # its widths have no limit; `~` and `%` do the same
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        return None

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  (the names are Jinja's)
        owner = getattr(__obj, "__self__", None)
        args = _counted(args)
        _check_growth((owner if isinstance(owner, str) else "", *args, *kwargs.values()))
        return super().call(__context, __obj, *args, **kwargs)


def _check_operation(operator: str, left: Any, right: Any) -> None:
    if operator == "**" and (_size(right) > 1000 or _bits(left) * max(_size(right), 1) > 10_000):
        raise OverflowError("the power is too large")
    if operator == "*" and not (_is_number(left) and _is_number(right)):
        _check_growth((left, right))
    if operator == "+" and not _is_number(left) and _size(left) + _size(right) > MAX_SIZE:
        raise OverflowError("the result is too large")
    if operator == "%" and isinstance(left, str):
        _check_format(left)


def _check_format(text: str) -> None:
    widths = "".join(c if c.isdigit() else " " for c in text).split()
    if "*" in text or any(len(width) > 5 for width in widths):
        raise OverflowError("the width in the format is too large")


def _check_growth(values: Iterable[Any]) -> None:
    """The product of all sizes bounds what centring, replacing, joining or repeating can produce."""
    product = 1
    for value in values:
        size = _size(value)
        if _is_number(value) and size > MAX_NUMBER:
            raise OverflowError(f"{value} is too large here")
        product *= size + 1
    if product > MAX_SIZE:
        raise OverflowError("the result is too large")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _bits(value: Any) -> int:
    return abs(value).bit_length() if isinstance(value, int) else 64


def _size(value: Any) -> int:
    if isinstance(value, str | bytes | range):
        return len(value)
    if isinstance(value, int | float):
        return int(min(abs(value), 1e18)) if value == value else 0
    if isinstance(value, list | tuple):
        return sum(len(item) if isinstance(item, str) else 1 for item in value)
    return 1


def _limited(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        args = _counted(args)
        _check_growth((*args, *kwargs.values()))
        return function(*args, **kwargs)

    return checked


def _counted(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments whose sizes can be told: generators as lists."""
    return tuple(list(islice(arg, MAX_SIZE)) if isinstance(arg, Iterator) else arg for arg in args)


def _environment(**options: Any) -> Sandbox:
    # Not optimised: constants would be folded while compiling, which costs more than it gains for texts used once.
    env = Sandbox(undefined=_Undefined, autoescape=False, optimized=False, cache_size=0, **options)
    for name in [name for name in env.globals if name not in _HARMLESS_GLOBALS]:
        del env.globals[name]
    for name in _REMOVED_FILTERS:
        del env.filters[name]
    for name in _GROWING:
        env.filters[name] = _limited(env.filters[name])
    env.filters.update(FILTERS)
    return env


@cache
def expressions() -> Sandbox:
    """The environment of single expressions."""
    return _environment()


@cache
def texts() -> Sandbox:
    """The environment of whole texts; no text can hold its comment marks."""
    return _environment(
        variable_start_string="${",
        variable_end_string="}",
        comment_start_string="\0{#",
        comment_end_string="#}\0",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def parse(source: str) -> nodes.Expr:
    """The tree of one expression.

    Raises:
        TemplateSyntaxError: it is none.
    """
    parser = Parser(expressions(), source, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        parser.fail(f"unexpected '{parser.stream.current.value}'")
    return tree


def compile_expression(tree: nodes.Expr) -> TemplateExpression:
    env = expressions()
    assign = nodes.Assign(nodes.Name("result", "store"), tree, lineno=1)
    template = nodes.Template([assign], lineno=1)
    _hide_self(template)
    template.set_environment(env)
    return TemplateExpression(env.from_string(template), undefined_to_none=False)


@cache
def compile_text(source: str) -> Any:
    env = texts()
    template = env.parse(source)
    _hide_self(template)
    return env.from_string(template)


def _hide_self(template: nodes.Node) -> None:
    # Jinja has a `self` of its own (the template's blocks), which would win over the scope's.
    for name in template.find_all(nodes.Name):
        if name.name == "self":
            name.name = _HIDDEN_SELF


def visible(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The scope as compiled code looks it up."""
    return {**scope, _HIDDEN_SELF: scope["self"]} if "self" in scope else dict(scope)


def shown(name: object) -> str:
    """A name as the user wrote it."""
    return "self" if name == _HIDDEN_SELF else str(name)
