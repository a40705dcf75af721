"""A run as a sequence chart: parties as columns, messages as arrows, at most 100 characters wide.

   s    client          bank
0.009      |              O          incarnation 1 is up
0.010      |--Deposit---->|       1  Deposit(account='a1', amount=10)
0.010      |              X          crashes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.message import class_name
from actors.testing.trace import Event, Happened, Passed, name_of, text_of

WIDTH: Final = 100
TIME: Final = 9
NARROW: Final = 12
WIDE: Final = 18
REMARK: Final = 24
"""Columns for what is said of a line, at the least."""

NEAR: Final = 4
"""Events shown before and after each that is out of the ordinary."""

TAIL: Final = 12
LONGEST: Final = 60
"""Lines up to which nothing is left out."""

_MARKS: Final = {"start": "O", "crash": "X", "end": "X", "save": "s", "note": "*", "fault": "!"}


def draw(events: Sequence[Event], *, first: str = "") -> str:
    """Return the chart of a run; what the system says of itself is in the trace only."""
    events = [event for event in events if isinstance(event, Passed) or event.who[:1] != "@"]
    parties = _parties(events, first)
    if not parties:
        return "(nothing happened)"
    column = max(NARROW, min(WIDE, (WIDTH - TIME - REMARK) // len(parties)))
    shown = _shown(parties, events)
    places = {name: TIME + column // 2 + column * index for index, name in enumerate(shown)}
    lines = [_head(places, column)]
    left_out = 0
    keep = _kept(events)
    for index, event in enumerate(events):
        if index not in keep:
            left_out += 1
            continue
        if left_out:
            lines.append(_elided(left_out, places))
            left_out = 0
        lines.append(_line(event, places))
    if left_out:
        lines.append(_elided(left_out, places))
    return "\n".join(lines)


def _parties(events: Sequence[Event], first: str) -> list[str]:
    found: dict[str, None] = {first: None} if first else {}
    for event in events:
        names = (event.who,) if isinstance(event, Happened) else (event.source, event.target)
        for name in names:
            if name and name[0] != "@":
                found.setdefault(name.partition("/")[0], None)
    return list(found)


def _shown(parties: list[str], events: Sequence[Event]) -> list[str]:
    """Return who has a column: as many as leave room for remarks, before all who matter."""
    most = (WIDTH - TIME - REMARK) // NARROW
    if len(parties) <= most:
        return parties
    odd = _parties([event for event in events if _matters(event)], parties[0])
    ranked = list(dict.fromkeys([*odd, *parties]))[:most]
    return [name for name in parties if name in ranked]


def _matters(event: Event) -> bool:
    """Whether it is out of the ordinary."""
    if isinstance(event, Passed):
        return bool(event.fate)
    return event.what in ("crash", "fault", "end")


def _kept(events: Sequence[Event]) -> set[int]:
    """Return which events are shown: all of a short run, what matters of a long one."""
    if len(events) <= LONGEST:
        return set(range(len(events)))
    keep = {0, 1, 2, *range(len(events) - TAIL, len(events))}
    for index, event in enumerate(events):
        if _matters(event):
            keep.update(range(index - NEAR, index + NEAR + 1))
    return keep


def _head(places: dict[str, int], column: int) -> str:
    line = [" "] * (WIDTH + column)
    _put(line, TIME - 3, "s")
    for name, place in places.items():
        short = name if len(name) < column else f"{name[: column - 7]}~{name[-5:]}"
        _put(line, place - len(short) // 2, short)
    return "".join(line).rstrip()


def _elided(count: int, places: dict[str, int]) -> str:
    line = [" "] * WIDTH
    for place in places.values():
        _put(line, place, ":")
    return f"{''.join(line).rstrip()}   ... {count} more ..."


def _line(event: Event, places: dict[str, int]) -> str:
    line = [" "] * WIDTH
    _put(line, 0, f"{event.when:{TIME - 2}.3f}")
    for place in places.values():
        line[place] = "|"
    remark = (
        _happened(line, event, places)
        if isinstance(event, Happened)
        else _arrow(line, event, places)
    )
    drawn = "".join(line).rstrip()
    full = f"{drawn.ljust(max(places.values()) + 2)} {remark}".rstrip()
    if len(full) <= WIDTH:
        return full
    if _matters(event):
        # What matters is not cut off: it has a line of its own.
        rest = f"{' ' * (TIME + 1)}{remark.strip()}"
        return f"{drawn}\n{rest if len(rest) <= WIDTH else f'{rest[: WIDTH - 3]}...'}"
    return f"{full[: WIDTH - 3]}..."


def _happened(line: list[str], event: Happened, places: dict[str, int]) -> str:
    name = event.who.partition("/")[0]
    text = f"saves {class_name(event.text)}" if event.what == "save" else event.text
    if name in places:
        line[places[name]] = _MARKS[event.what]
        return f"    {text}"
    if not event.who:
        for place in places.values():
            line[place] = _MARKS[event.what]
    return f"    {text}" if not event.who else f"    {event.who}: {text}"


def _arrow(line: list[str], event: Passed, places: dict[str, int]) -> str:
    said = "; ".join(text_of(tag, envelope) for tag, envelope in event.letters)
    fate = f"** {event.fate} ** " if event.fate else ""
    start, end = places.get(event.source), places.get(event.target)
    if start is None or end is None:
        return f"{event.number:3} {fate}{event.source} -> {event.target}: {said}"
    label = name_of(*event.letters[0]) + (
        f" +{len(event.letters) - 1}" if event.letters[1:] else ""
    )
    low, high = min(start, end), max(start, end)
    if low == high:
        return f"{event.number:3} {fate}to itself: {said}"
    for place in range(low + 1, high):
        line[place] = "-"
    tip = "x" if event.fate.startswith(("dropped", "lost")) else ">" if end > start else "<"
    line[high - 1 if end > start else low + 1] = tip
    room = high - low - 4
    text = label if len(label) <= room else label[: room - 1] + "~"
    _put(line, low + 2 + max(0, (room - len(text)) // 2), text)
    return f"{event.number:3} {fate}{said}"


def _put(line: list[str], place: int, text: str) -> None:
    place = max(0, place)
    line[place : place + len(text)] = list(text)
