"""What a program and its fault-injecting broker tell each other: a schedule, and how far it got.

pack ─► SupervisorBoot ─► BrokerBoot ─► unpack        the schedule, classes by their tags
journal    one line for each message of users, so that the next broker, and the program, know
           how far the schedule has got
healed     is there: nothing goes wrong from now on
held       is there: something is on its way, or somebody hangs
name-...   how a program is called in the schedule
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, NamedTuple

import attrs
import msgspec

from actors.errors import UnknownMessage
from actors.message import class_of, message, tag_of
from actors.testing.schedule import (
    BrokerRestart,
    Crash,
    Delay,
    Deviation,
    Drop,
    Hang,
    Partition,
    Passing,
    Schedule,
    SupervisorCrash,
)

JOURNAL: Final = "journal"
HEALED: Final = "healed"
HELD: Final = "held"
NAME: Final = "name-"

_CLASSES: Final[dict[str, type[Any]]] = {
    cls.__name__: cls
    for cls in (BrokerRestart, Crash, Delay, Drop, Hang, Partition, SupervisorCrash)
}


class Entry(NamedTuple):
    """One message of users that has come to the broker."""

    passing: Passing
    asked: list[tuple[str, int, int, str]]
    """Who asks, its incarnation, the number of the ask, the tag of the request."""
    healed: bool
    """Nothing went wrong any more."""


def pack(schedule: Schedule) -> bytes:
    """Return a schedule as bytes; never empty."""
    return msgspec.json.encode([(type(one).__name__, _plain(one)) for one in schedule])


def _plain(deviation: Deviation) -> dict[str, object]:
    fields: dict[str, object] = attrs.asdict(deviation)
    if isinstance(deviation.at, type):
        fields["at"] = tag_of(deviation.at)
    return fields


def unpack(data: bytes) -> Schedule:
    """Return the schedule in `data`, with classes of the same tags in the place of the users'."""
    places: dict[str, type[Any]] = {}
    found: list[Deviation] = []
    for kind, fields in msgspec.json.decode(data, type=list[tuple[str, dict[str, Any]]]):
        at = fields["at"]
        if isinstance(at, str):
            fields["at"] = places[at] = places.get(at) or _stand_in(at)
        found.append(_CLASSES[kind](**fields))
    return tuple(found)


def _stand_in(tag: str) -> type[Any]:
    """Return a message class with this tag: the users' own where it is known."""
    with suppress(UnknownMessage):
        return class_of(tag)
    plain = type("StandIn", (), {"__module__": __name__, "__annotations__": {}})
    return message(tag=tag)(plain)


def write_entry(entry: Entry) -> bytes:
    """Return one line of a journal."""
    return msgspec.json.encode(entry) + b"\n"


def read_journal(journal: bytes) -> list[Entry]:
    """Return the entries of a journal."""
    return [msgspec.json.decode(line, type=Entry) for line in journal.splitlines()]
