"""What a key may do: three roles, and the least of them that each request needs.  A decider.

    viewer      look: status, watch, dead letters, events
    operator    and use: talk to actors, publish events, stop, restart and kill them
    admin       and change: spawn actors (so run code as the system's user), end the system

Programs of the user who runs the system need no key on its own machine: they may do everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from actors.address import NET_PREFIX
from actors.errors import AccessDenied
from actors.notices import DeadLetter
from actors.requests import (
    DeadLetters,
    FindRing,
    FollowTopic,
    KillActor,
    KnownNames,
    RestartActor,
    Settle,
    StopActor,
    SubscribeStream,
    TopicSeen,
    WatchStream,
)
from supervisor.status import Endings, StatusRequest


class Role(StrEnum):
    """What a key is for; each role may do what the ones before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Return whether this role may do what `needed` may."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER: Final = tuple(Role)

_NEEDED: Final[dict[type, Role]] = {  # a request that is not here is for admins
    DeadLetters: Role.VIEWER,
    Endings: Role.VIEWER,
    FindRing: Role.VIEWER,
    KnownNames: Role.VIEWER,
    Settle: Role.VIEWER,
    StatusRequest: Role.VIEWER,
    SubscribeStream: Role.VIEWER,
    WatchStream: Role.VIEWER,
    DeadLetter: Role.OPERATOR,
    FollowTopic: Role.OPERATOR,
    KillActor: Role.OPERATOR,
    RestartActor: Role.OPERATOR,
    StopActor: Role.OPERATOR,
    TopicSeen: Role.OPERATOR,
}


def admit(vouched: Mapping[str, str], sender: str, request: type) -> None:
    """Raise `AccessDenied` unless `sender` may send `request` to the supervisor.

    Args:
        vouched: roles of the programs on the network, by name.
        sender: an actor, a program of this machine, or one of the network.
        request: class of the message.
    """
    if not sender.startswith(NET_PREFIX):
        return
    needed, role = _NEEDED.get(request, Role.ADMIN), vouched.get(sender)
    if role is None or not Role(role).covers(needed):
        raise AccessDenied(
            reason=f"{request.__name__} needs a key with the role {needed}, and this one has "
            f"{role or 'none'}; on the system's machine: understudy keys allow KEY --name NAME "
            f"--role {needed}"
        )
