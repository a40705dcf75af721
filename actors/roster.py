"""Who lives, for the monitor; and what the monitor has measured."""

from __future__ import annotations

from actors.message import Request, message


@message(tag="understudy:Member")
class Member:
    """One living process of the system."""

    name: str
    incarnation: int
    pid: int
    page: int
    """Descriptor of its flight recorder, in the supervisor's process; -1 for none."""


@message(tag="understudy:Roster")
class Roster:
    """Every living process."""

    supervisor: int
    """Process id."""
    members: list[Member]


@message(tag="understudy:RosterRequest")
class RosterRequest(Request[Roster]):
    """Which processes are there?"""


@message(tag="understudy:Vital")
class Vital:
    """One process as the monitor saw it."""

    name: str
    incarnation: int
    memory: int
    """Bytes of resident memory."""
    cpu: float
    """Cores, since the look before."""
    heartbeat: float | None
    """Seconds since its loop last turned."""


@message(tag="understudy:Vitals")
class Vitals:
    """Every process as the monitor saw it."""

    vitals: list[Vital]
