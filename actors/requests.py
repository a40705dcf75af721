"""What actors and programs ask of the supervisor, as ordinary messages to "@supervisor"."""

from __future__ import annotations

from actors.message import Request, StreamRequest, message
from actors.notices import DeadLetter, Terminated


@message(tag="understudy:Spawn")
class SpawnActor(Request[int]):
    """Start an actor; answers its incarnation."""

    name: str
    module: str
    qualname: str
    script: str
    definition: str
    fields: dict[str, bytes]
    """Spawn arguments, each encoded by the codec of its field."""
    restart: str | None = None
    limits: dict[str, float | int | None] | None = None
    wait: bool = True
    """Answer after `on_start`, or (False) as soon as the name is taken."""


@message(tag="understudy:Stop")
class StopActor(Request[None]):
    """End an actor for good, after the message in progress."""

    name: str


@message(tag="understudy:Restart")
class RestartActor(Request[int]):
    """End an incarnation in good order and start the next; answers its number."""

    name: str


@message(tag="understudy:Kill")
class KillActor(Request[int | None]):
    """Kill -9; answers the incarnation that ended, None when none was alive."""

    name: str


@message(tag="understudy:Watch")
class WatchActor:
    """From an actor: tell me of every ended incarnation of this name."""

    name: str


@message(tag="understudy:WatchStream")
class WatchStream(StreamRequest[Terminated]):
    """From a program: every ended incarnation of this name, from now on."""

    name: str


@message(tag="understudy:DeadLetters")
class DeadLetters(StreamRequest[DeadLetter]):
    """Every dead letter from now on."""


@message(tag="understudy:Subscribe")
class SubscribeActor(Request[None]):
    """From an actor: its name gets the events of this tag.  Answered when publishers know."""

    tag: str


@message(tag="understudy:SubscribeStream")
class SubscribeStream(StreamRequest[None]):
    """From a program: it gets the events of this tag while the stream is open.

    They come from the publishers; the one item of the stream says that these know.
    """

    tag: str


@message(tag="understudy:Topic")
class Topic:
    """Who has subscribed to a tag."""

    version: int
    names: list[str]


@message(tag="understudy:FollowTopic")
class FollowTopic(StreamRequest[Topic]):
    """From a publisher: who has subscribed to this tag, now and whenever that changes?"""

    tag: str


@message(tag="understudy:TopicSeen")
class TopicSeen:
    """From a publisher: I have got this version of the list."""

    tag: str
    version: int


@message(tag="understudy:KeepRing")
class KeepRing(Request[None]):
    """From an actor: this ring of mine is there now, as `arrays.ring.RingAddress` says it."""

    name: str
    address: tuple[int, int, int, bytes]


@message(tag="understudy:FindRing")
class FindRing(Request[tuple[int, int, int, bytes] | str]):
    """Where is this ring of that actor?  While it has none of that name: why not."""

    actor: str
    name: str


@message(tag="understudy:KnownNames")
class KnownNames(Request[list[str]]):
    """Which of these names has an actor, also one that is stopped, a pool or a tree?"""

    names: list[str]


@message(tag="understudy:Settle")
class Settle(Request[None]):
    """Answered when everything sent before has been begun."""


@message(tag="understudy:Shutdown")
class Shutdown(Request[int]):
    """End the whole system in good order; answers how many messages stayed unhandled."""

    drain: bool = True
    wait: bool = True
    """Answer when every actor is down, or (False) at once."""
