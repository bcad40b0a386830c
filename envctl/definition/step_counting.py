"""Step counting for the operations that Jinja compiles without a hook: concatenation, comparison, slices, loop iterations, output.

A syntax tree is changed before it is compiled, so that each of these operations calls a filter that counts it. An inline `if` without
`else` gives an undefined value, whose use is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from envctl.definition.budget import of

_NODES_A_STEP = 8
_STEPS_TO_LOAD = 100
"""The steps that loading an included or imported template costs."""
N = TypeVar("N", bound=nodes.Node)


def counted(tree: N) -> N:
    """Change *tree* so that its operations are counted, and return it."""
    found: N = _Counting().visit(tree)
    return found


class Written(str):
    """Literal text of the template, so that `finalize` can tell it from a computed value."""

    __slots__ = ()


@pass_context
def printed(context: Context, value: Any) -> Any:
    """Count *value*, which is inserted into a text, and return it (Jinja's `finalize`).

    Raises:
        ExpressionError: *value* is not a value, or the budget is exhausted.
    """
    of(context).make(value, strict=True)
    return value


class _Counting(NodeTransformer):
    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  (Jinja's names)
        self.generic_visit(node)
        return _through("join", nodes.List(node.nodes, lineno=node.lineno))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _through(_TAKEN, node.expr)
        for operand in node.ops:
            operand.expr = _through(_TAKEN, operand.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        node.node = _through(_TAKEN, node.node)  # hides a constant, for which Python would print a SyntaxWarning
        return _through(_TAKEN, node)

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr2 = node.expr2 or _through(_NO_ELSE, nodes.Const(None, lineno=node.lineno))
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.nodes = [_through(_TEXT, nodes.Const(n.data, lineno=n.lineno)) if isinstance(n, nodes.TemplateData) else n for n in node.nodes]
        return node

    def visit_Include(self, node: Any) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.template = _through(_LOADED, node.template)
        found: nodes.Node = node
        return found

    visit_Import = visit_FromImport = visit_Extends = visit_Include  # noqa: N815

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        self._body(node)
        node.iter = _through(_TAKEN, node.iter)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        return self._body(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802
        return self._body(node)

    def _body(self, node: Any) -> nodes.Node:
        """Add a counting call to a body that may run many times: each run costs steps in proportion to the nodes in the body."""
        size = sum(1 for part in node.body for _ in part.find_all(nodes.Node))
        self.generic_visit(node)
        turn = _through(_TURN, nodes.Const(1 + size // _NODES_A_STEP, lineno=node.lineno))
        node.body = [nodes.Output([turn], lineno=node.lineno), *node.body]
        found: nodes.Node = node
        return found


def _through(name: str, node: Any) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


@pass_context
def _taken(context: Context, value: Any) -> Any:
    budget = of(context)
    value = budget.listed(value)
    budget.weigh(value, strict=False)
    return value


@pass_context
def _turn(context: Context, steps: int) -> str:
    of(context).step(steps)
    return Written()


@pass_context
def _loaded(context: Context, name: Any) -> Any:
    of(context).step(_STEPS_TO_LOAD)
    return name


@pass_context
def _no_else(context: Context, value: None) -> StrictUndefined:
    return context.environment.undefined("its `if` is false, and there is no `else`")  # type: ignore[return-value]


_TAKEN, _TURN, _NO_ELSE, _LOADED = " taken", " turn", " no else", " loaded"
_TEXT = " text"
FILTERS: Mapping[str, Callable[..., Any]] = {_TAKEN: _taken, _TURN: _turn, _NO_ELSE: _no_else, _LOADED: _loaded, _TEXT: Written}
"""The counting filters, by name. The names begin with a blank, so that no expression can use them."""
