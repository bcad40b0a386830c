"""The error for a wrong expression."""

from __future__ import annotations


class ExpressionError(ValueError):
    """The error for an expression that cannot be parsed or evaluated.

    Attributes:
        path: the place of the expression's text in a tree; empty if it is unknown.
    """

    path: tuple[str | int, ...] = ()
