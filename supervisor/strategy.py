"""Who falls with whom: the children that one child's restart takes along.

    children in start order    a   b   c*  d        (c died)
    ONE_FOR_ONE                        c
    ONE_FOR_ALL                a   b   c   d
    REST_FOR_ONE                       c   d        those started after it may depend on it

They are stopped in reverse start order, then all are started in start order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, assert_never

from supervisor.spec import Strategy

T = TypeVar("T")


def affected(strategy: Strategy, children: Sequence[T], fallen: T) -> Sequence[T]:
    """Return the children that restart when `fallen` does, itself included, in start order.

    Raises:
        ValueError: `fallen` is not among the children.
    """
    position = children.index(fallen)
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return children[position : position + 1]
        case Strategy.ONE_FOR_ALL:
            return children[:]
        case Strategy.REST_FOR_ONE:
            return children[position:]
        case _:
            assert_never(strategy)
