"""A verdict in words and ASCII, at most 100 columns wide.

    > a       |----------|              Write(value=1) -> None
      b            |-----------|        Read() -> 0

One line for each operation, in the order of invocation; a column for each moment at which one
began or ended, so times are in order but not to scale. ">" marks what is stuck.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, final

import attrs

from actors.testing.operation import Fate, Operation, clipped, shown

WIDTH: Final = 100

_CLIENT: Final = 10  # columns for a client's name
_BAR: Final = 36  # columns for the bars
_MOST_LINES: Final = 24
_MOST_ORDER: Final = 12  # operations of the order that are told: the last ones
_FOREVER: Final = float("inf")


@final
@attrs.frozen(eq=False)
class Stuck:
    """An operation that could have come next, had it fitted."""

    operation: Operation
    would: str  # what the specification answers instead


def explained(
    operations: Sequence[Operation], order: Sequence[Operation], stuck: Sequence[Stuck]
) -> str:
    """Tell why an order goes no further: the order, what is stuck, and who overlapped with whom."""
    lines = ["The longest order that the specification allows:"]
    told = order[-_MOST_ORDER:]
    if len(told) < len(order):
        lines.append(f"      ({len(order) - len(told)} operations before)")
    first = len(order) - len(told) + 1
    lines += [f"{n:5} {_client(one)} {one}" for n, one in enumerate(told, first)]
    lines += [] if order else ["      (none at all)"]
    lines.append("Then none of these can come next:")
    for each in stuck:
        lines.append(f"      {_client(each.operation)} {each.operation}")
        lines.append(f"      {'':{_CLIENT}} where the specification {each.would}")
    lines += timeline(operations, [each.operation for each in stuck])
    return "\n".join(clipped(line, WIDTH) for line in lines)


def timeline(operations: Sequence[Operation], marked: Sequence[Operation] = ()) -> list[str]:
    """Draw operations as bars; where there are many, those around the marked ones."""
    chosen = _around(operations, marked)
    ends = [end for one in chosen for end in (one.invoked_at, _end(one)) if end < _FOREVER]
    moments = sorted(set(ends))
    columns = {
        moment: place * (_BAR - 5) // max(1, len(moments) - 1)
        for place, moment in enumerate(moments)
    }
    lines = ['Timeline, not to scale ("..." has no end, ">" is stuck):']
    for one in chosen:
        sign = ">" if _holds(marked, one) else " "
        lines.append(f"  {sign} {_client(one)} {_bar(one, columns):{_BAR}} {one}")
    left_out = len(operations) - len(chosen)
    lines += [f"    ({left_out} other operations)"] if left_out else []
    return [clipped(line, WIDTH) for line in lines]


def _around(operations: Sequence[Operation], marked: Sequence[Operation]) -> list[Operation]:
    """Choose what to draw: the marked ones, what overlaps with them, and what came before."""
    ordered = sorted(operations, key=lambda one: one.invoked_at)
    if len(ordered) <= _MOST_LINES:
        return ordered
    begin = min((one.invoked_at for one in marked), default=_FOREVER)
    end = max((_end(one) for one in marked), default=_FOREVER)
    nearest = [*marked]
    overlapping = [one for one in ordered if begin <= _end(one) and one.invoked_at <= end]
    before = [one for one in reversed(ordered) if _end(one) < begin]
    for one in (*overlapping, *before):
        if len(nearest) < _MOST_LINES and not _holds(nearest, one):
            nearest.append(one)
    return [one for one in ordered if _holds(nearest[:_MOST_LINES], one)]


def _bar(one: Operation, columns: Mapping[float, int]) -> str:
    begin = columns[one.invoked_at]
    if _end(one) == _FOREVER:
        return " " * begin + "|--..."
    return " " * begin + "|" + "-" * (columns[_end(one)] - begin - 1) + "|"


def _end(one: Operation) -> float:
    """Return the last moment at which it may have taken effect."""
    if one.returned_at is None or one.fate is Fate.LOST:
        return _FOREVER
    return one.returned_at


def _client(one: Operation) -> str:
    return f"{clipped(shown_name(one.client), _CLIENT):{_CLIENT}}"


def shown_name(name: str) -> str:
    """Return a client's name in ASCII."""
    return shown(name)[1:-1]


def _holds(operations: Iterable[Operation], one: Operation) -> bool:
    return any(one is each for each in operations)
