"""What is wrong with an expression, and where in a tree it stands."""

from __future__ import annotations


class ExpressionError(ValueError):
    """An expression that cannot be read or evaluated; *path* says where in a tree it stands."""

    path: tuple[str | int, ...] = ()
