"""Words of the system itself: on a lifeline (supervisor and child) and to and from the broker.

    lifeline    a stream socket between the supervisor and one child process: see `deframer.py`
    broker      one word per wire message, in place of the batch (see `envelope.py`)

Every word is a tagged msgpack array; an unknown one is a `MessageError`.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec

from actors.errors import MessageError

BROKER: Final = ""
"""The broker's name in a route."""

SUPERVISOR: Final = "@supervisor"
"""The supervisor's name as an actor."""

# Each mark wakes a process, and a dead loop is found 3 s after its last one anyway.
HEARTBEAT: Final = 1.0
"""Seconds between two marks in the flight recorder that the loop turns, at the most."""


class Standing(StrEnum):
    """How a name stands with the broker."""

    UNKNOWN = "unknown"
    """Nobody has ever declared it."""
    DOWN = "down"
    """Declared; no incarnation takes messages at the moment."""
    UP = "up"
    FAILED = "failed"
    """Its very first start failed, so there is no such actor after all."""
    GONE = "gone"
    """Stopped for good, or a client that left."""
    DENIED = "denied"
    """Whoever it is, the asker's key does not allow to talk to it."""


ENDED: Final = frozenset({Standing.UNKNOWN, Standing.FAILED, Standing.GONE, Standing.DENIED})
"""Standings of a name that nobody holds and nobody will, for the asker at least."""


Endpoint: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]


class LaneRecord(msgspec.Struct, array_like=True, frozen=True):
    """What a dead incarnation had done with the messages of one sender."""

    handled: int = 0
    finished: tuple[int, ...] = ()
    """Numbers above `handled` that are finished too: the first and the last of each run."""
    in_progress: tuple[int, ...] = ()


class _Word(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Base of all words: the class name is the tag."""


# --- child's lifeline: supervisor to child -------------------------------------------------------


class ClassName(msgspec.Struct, array_like=True, frozen=True):
    """Where a child process finds an actor class."""

    module: str
    qualname: str
    script: str = ""
    """Path of the user's script when the class lives in `__main__`."""
    definition: str = ""
    """Path of a 0600 file with a class that exists in no file (a notebook cell)."""


class Boot(_Word, frozen=True):
    """All an actor process needs to begin."""

    name: str
    incarnation: int
    routing_id: bytes
    endpoint: str
    actor: ClassName
    fields: dict[str, bytes]
    mailbox: int
    ask_timeout: float
    shared_memory: int
    """Bytes that its arrays and rings may take."""
    directory: str
    """The runtime directory of its system; "" for none."""
    snapshot: bytes = b""
    snapshot_tag: str = ""
    durable: bool = False
    """States are kept on disk: `save` waits until they are there."""
    direct: str = ""
    """Where to take direct connections; "" for nowhere, so that all is relayed."""
    heartbeat: float = HEARTBEAT
    """Seconds between two marks in the flight recorder that the loop turns."""


class Prepare(_Word, frozen=True):
    """Import this class, answer `Prepared`, and wait for a `Boot`: a spare's first word."""

    actor: ClassName


class Check(_Word, frozen=True):
    """Answer `Prepared`: are you there, and is what you have imported still what is on disk?"""


class BrokerBoot(_Word, frozen=True):
    """All the broker needs to begin."""

    endpoints: list[str]
    """What to bind; the first is the local one."""
    supervisor: bytes
    """The supervisor's routing id: nobody else may declare names."""
    max_message: int
    keys: str = ""
    """Directory of the keys that guard tcp endpoints; "" when there are none to guard."""
    memory: int = 0
    """Bytes of data its process may have, whatever comes in; 0: no limit."""
    faults: bytes = b""
    """What a testing broker shall do wrong; b"" for an ordinary one."""


class Stop(_Word, frozen=True):
    """End in good order: after the message in progress, or (`drain`) after all that is queued."""

    reason: str
    drain: bool


class Kept(_Word, frozen=True):
    """The state of this number, and all before it, is on disk, or cannot be brought there."""

    number: int


class Die(_Word, frozen=True):
    """End at once without cleaning up: the kill of an actor that is a thread."""


# --- child's lifeline: child to supervisor -------------------------------------------------------


class Started(_Word, frozen=True):
    """`on_start` succeeded (or the broker is bound): messages are taken from now on."""

    endpoints: list[str] = []
    """What a broker has bound, ports filled in."""


class Prepared(_Word, frozen=True):
    """A spare has imported its class and waits for its life."""

    current: bool = True
    """Whether the files it has imported are still as they were."""


class Failed(_Word, frozen=True):
    """The incarnation ends because of an exception."""

    text: str
    traceback: str
    starting: bool
    final: bool = False
    """The actor's failure policy says that it shall not be restarted."""


class Ending(_Word, frozen=True):
    """The incarnation ends because a handler called `sys.exit`."""

    text: str


class Stopped(_Word, frozen=True):
    """A good end is complete; so many messages were left unhandled."""

    unhandled: int = 0


class Logged(_Word, frozen=True):
    """A record of the standard library's logging."""

    logger: str
    level: int
    text: str
    created: float


class Saved(_Word, frozen=True):
    """State for the next incarnation, opaque to the supervisor."""

    tag: str
    payload: bytes
    number: int = 0
    """Above 0: answer with `Kept` once it is on disk."""


# --- party to broker -----------------------------------------------------------------------------


class Hello(_Word, frozen=True):
    """I am this life."""

    name: str
    incarnation: int
    token: str = ""
    endpoint: Endpoint = ""
    """Where others on this host may connect to me directly."""


class Resolve(_Word, frozen=True):
    """How does this name stand, and what ended after `known`?  I want to hear of changes."""

    name: str
    known: int = 0


class Goodbye(_Word, frozen=True):
    """I leave in good order."""


class Ping(_Word, frozen=True):
    """I am still here."""


# --- supervisor to broker ------------------------------------------------------------------------


class Declare(_Word, frozen=True):
    """This name exists (or, `GONE`, no longer does)."""

    name: str
    standing: Standing
    incarnation: int
    routing_id: bytes = b""
    mailbox: int = 0
    reason: str = ""
    members: list[str] = []
    """Who serves a pool; nobody holds a pool's own name."""


class Ended(_Word, frozen=True):
    """An incarnation is over; the broker gives each sender its own record."""

    name: str
    incarnation: int
    reason: str
    lanes: dict[bytes, LaneRecord]
    """By the `lane_key` of the sender."""
    known: bool = True
    """False when its flight recorder could not be read."""


class Synced(_Word, frozen=True):
    """The broker now knows every name there is."""

    number: int = 0
    """Of what was said so far; the broker answers with `Heard` to a number above 0."""


# --- broker to party -----------------------------------------------------------------------------


class Welcome(_Word, frozen=True):
    """You are registered."""

    broker: str


class Stands(_Word, frozen=True):
    """Answer to `Resolve`, and news afterwards."""

    name: str
    standing: Standing
    incarnation: int
    mailbox: int = 0
    reason: str = ""
    host: bytes = b""
    """Host key of the living incarnation: equal keys can share memory."""
    members: list[str] = []
    """Who serves a pool: these take its messages."""
    endpoint: Endpoint = ""
    """Where the living incarnation takes direct connections."""


class Obituary(_Word, frozen=True):
    """An incarnation you had to do with is over."""

    name: str
    incarnation: int
    reason: str
    lane: LaneRecord | None
    """None when nothing of yours had reached it (or the record is lost: see `known`)."""
    known: bool = True


class Heard(_Word, frozen=True):
    """To the supervisor: all that it said before its `Synced` of this number is known here."""

    number: int


class Vouched(_Word, frozen=True):
    """To the supervisor: a program that came over the network has this role."""

    name: str
    key: str
    """The name its key was given."""
    role: str


class Closing(_Word, frozen=True):
    """The system is over, for this reason."""

    reason: str


class Refused(_Word, frozen=True):
    """The broker did not do what you asked."""

    code: str
    text: str


# --- between two parties, first of all on a direct connection -------------------------------------


class Meet(_Word, frozen=True):
    """I have connected to you; the route before this word says who I am."""


class Met(_Word, frozen=True):
    """I know you now; the route before this word says who I am."""


Word = (
    Boot | Prepare | Check | Prepared | BrokerBoot | Stop | Kept | Die | Started | Failed | Ending
    | Stopped | Logged | Saved | Hello | Resolve | Goodbye | Ping | Declare | Ended | Synced
    | Welcome | Stands | Obituary | Heard | Vouched | Closing | Refused | Meet | Met
)  # fmt: skip

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Word).decode


def lane_key(name: str, incarnation: int) -> bytes:
    """Return the 16 bytes by which a flight recorder knows one life of a sender."""
    return hashlib.blake2b(f"{name}/{incarnation}".encode(), digest_size=16).digest()


def encode_word(word: Word) -> bytes:
    """Return `word` as bytes."""
    return _encode(word)


def decode_word(data: bytes | memoryview) -> Word:
    """Return the word in `data`; raises `MessageError` for anything else."""
    try:
        word: Word = _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise MessageError(f"not a word of the system: {error}") from None
    return word
