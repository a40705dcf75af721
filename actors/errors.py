"""Every error a user can meet, as one tree; and how an error crosses the wire.

    ActorError
    ├── MessageError                 the sender's fault
    │   ├── UnknownMessage           no such message class, or no handler for it
    │   └── InvalidMessage           a field has the wrong type or value
    ├── NotDelivered                 never handled: safe to send again
    │   ├── NoSuchActor
    │   ├── ActorStopped
    │   ├── MailboxFull
    │   ├── Expired                  also a built-in TimeoutError
    │   └── AskCycle
    ├── OutcomeUnknown               perhaps handled: the actor died meanwhile
    │   ├── DeadlineExceeded         also a built-in TimeoutError
    │   └── AnswerLost               handled, never repeated, but the answer is gone
    ├── HandlerError                 the handler raised; also the built-in it raised
    ├── SpawnError
    ├── AccessDenied                 also a built-in PermissionError
    ├── SharedMemoryFull             also a built-in MemoryError
    └── ConnectionLost               also a built-in ConnectionError

Errors carry data and make their text from it, unless one is given; they hold no live objects.

A handler's ValueError arrives as HandlerError *and* ValueError, so `except ValueError` works.
In the same way a MailboxFull that escapes a handler arrives as HandlerError *and* MailboxFull:
there it speaks of the message the handler tried to send, so where both may come, write
`except HandlerError` before `except NotDelivered`.
"""

# ruff: noqa: N818 - each name says what happened; the suffix would say nothing more

from __future__ import annotations

from functools import lru_cache
from typing import Any

import attrs
import msgspec

from actors.failure import (
    LARGEST_PACKED,
    LONGEST_NAME,
    LONGEST_TEXT,
    LONGEST_TRACEBACK,
    MOST_KINDS,
    Failure,
    builtin_errors,
    clipped,
    combined,
    datum,
    failure_of,
    fitting,
    give_args,
    middle_cut,
    names_of,
    trace_of,
    type_name,
)

# attrs writes __init__ and __repr__. eq=False: two errors are the same only when they are one.
# slots=False: an exception of ours is combined with built-in ones of several memory layouts.


@attrs.define(slots=False, eq=False)
class ActorError(Exception):
    """The base of every error of this library."""

    text: str = ""  # said instead of the made text when not empty

    def __str__(self) -> str:
        return str(self.text or self._explain())

    def _explain(self) -> str:
        return type(self).__name__

    def __reduce__(self) -> tuple[Any, ...]:
        # attrs' keyword-only fields do not fit BaseException's way of pickling (args again).
        return unpack_error, (pack_error(self, escaped=False),)


@attrs.define(slots=False, eq=False)
class MessageError(ActorError):
    """The message itself is wrong: the sender's fault. Sending it again does not help."""


@attrs.define(slots=False, eq=False)
class UnknownMessage(MessageError):
    """No message class has this tag, or the actor has no handler for it."""

    tag: str = attrs.field(default="", kw_only=True)  # wire tag, "module:qualname"
    target: str = attrs.field(default="", kw_only=True)  # actor's name; "" when not about one

    def _explain(self) -> str:
        if self.target:
            return (
                f"{self.target} has no handler for {self.tag or 'this message'}. "
                "Mark a method of its class with @receive, or send it to another actor."
            )
        remedy = "Import the module that defines it in both processes."
        if self.tag.startswith("__main__:"):  # of a prompt: there is no module
            remedy = (
                "It was written after this actor was started: let the actor's class handle it, "
                "stop the actor, and spawn it again."
            )
        return f"no message class {self.tag or '(no tag)'} is known here. {remedy}"


@attrs.define(slots=False, eq=False)
class InvalidMessage(MessageError):
    """A field does not fit its annotation or its validator."""

    message: str = attrs.field(default="", kw_only=True)  # message type name
    field: str = attrs.field(default="", kw_only=True)  # "x", or deeper "points[3].x"
    reason: str = attrs.field(default="", kw_only=True)  # what was expected and what was found

    def _explain(self) -> str:
        where = ".".join(part for part in (self.message, self.field) if part)
        return f"{where or 'a message'} is not valid: {self.reason or 'it does not fit its class'}"


@attrs.define(slots=False, eq=False)
class NotDelivered(ActorError):
    """The message was never handled, and never will be: safe to send again."""

    target: str = attrs.field(default="", kw_only=True)  # name of the actor it was meant for
    message: str = attrs.field(default="", kw_only=True)  # message type name

    def _explain(self) -> str:
        return f"{_what(self)} was not delivered. It was never handled; it is safe to send again."


@attrs.define(slots=False, eq=False)
class NoSuchActor(NotDelivered):
    """Nobody holds that name, and no child spec promises that somebody will."""

    def _explain(self) -> str:
        return (
            f"no actor is called {self.target or '(no name)'}: {_what(self)} was not delivered. "
            "Spawn it, or look at `understudy status` for the names there are."
        )


@attrs.define(slots=False, eq=False)
class ActorStopped(NotDelivered):
    """The actor ended for good before it came to this message."""

    reason: str = attrs.field(default="", kw_only=True)  # why the actor ended

    def _explain(self) -> str:
        why = f" ({self.reason})" if self.reason not in {"", "stopped"} else ""
        return (
            f"{self.target or 'the actor'} stopped{why} before it handled {_what(self)}. "
            "Spawn it again, then send again."
        )


@attrs.define(slots=False, eq=False)
class MailboxFull(NotDelivered):
    """The mailbox or outbox on the way is full, and stayed so."""

    limit: int = attrs.field(default=0, kw_only=True)  # messages it may hold; 0: limit of bytes

    def _explain(self) -> str:
        size = f" of {self.limit} messages" if self.limit else ""
        return (
            f"the mailbox{size} of {self.target or 'the actor'} is full: {_what(self)} was not "
            "delivered. Send slower (`await ref.room()` waits), or raise Limits(mailbox=...)."
        )


@attrs.define(slots=False, eq=False)
class Expired(NotDelivered, TimeoutError):
    """The deadline passed before the actor came to this message; it was never handled."""

    late: float = attrs.field(default=0.0, kw_only=True)  # seconds past the deadline
    reason: str = attrs.field(default="", kw_only=True)  # why the actor is down; "" when it is up

    def _explain(self) -> str:
        what = f"{_what(self)} waited past its deadline and was not handled"
        if self.reason:
            return f"{self.target} is down: {self.reason}. {what}. Send again when it is up."
        return f"{what}. Send again with a longer timeout=, or find out what keeps the actor busy."


@attrs.define(slots=False, eq=False)
class AskCycle(NotDelivered):
    """The ask would wait for an actor that is itself waiting for this answer."""

    path: tuple[str, ...] = attrs.field(default=(), kw_only=True)  # ("a", "b", "a")

    def _explain(self) -> str:
        return (
            f"{_what(self)} would wait for itself: {' -> '.join(self.path) or 'a cycle of asks'}. "
            "Make the waiting handler async and the asked one @receive(concurrent=True), "
            "or tell instead of ask."
        )


@attrs.define(slots=False, eq=False)
class OutcomeUnknown(ActorError):
    """The actor died while handling the message: perhaps it took effect, perhaps not."""

    target: str = attrs.field(default="", kw_only=True)  # name of the actor it was meant for
    message: str = attrs.field(default="", kw_only=True)  # message type name
    reason: str = attrs.field(default="", kw_only=True)  # how the actor ended

    def _explain(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"{self.target or 'the actor'} died{why} while handling {_what(self)}: whether it took "
            "effect is unknown. Ask for the state before sending again, or mark a message that "
            "may be repeated with @message(redeliver=True)."
        )


@attrs.define(slots=False, eq=False)
class DeadlineExceeded(OutcomeUnknown, TimeoutError):
    """No answer came before the deadline; the message may have been handled, or may be yet."""

    timeout: float = attrs.field(default=0.0, kw_only=True)  # seconds that were given

    def _explain(self) -> str:
        given = f" within {self.timeout:g} s" if self.timeout else " before the deadline"
        return (
            f"{self.target or 'the actor'} did not answer {_what(self)}{given}. "
            "Give it more with timeout=, or let it answer sooner; it may have been handled."
        )


@attrs.define(slots=False, eq=False)
class AnswerLost(OutcomeUnknown):
    """The message was handled exactly once, but the answer died with its actor."""

    def _explain(self) -> str:
        return (
            f"{self.target or 'the actor'} handled {_what(self)}, then died before its answer "
            "left. It is not repeated: ask for the state instead."
        )


@attrs.define(slots=False, eq=False)
class HandlerError(ActorError):
    """The handler raised. Here `text` is the text of what it raised.

    When that was a built-in exception, or an error of this library, this error is also an
    instance of it. `remote_traceback` is shown as a note below the local traceback.
    """

    type_name: str = attrs.field(default="", kw_only=True)  # "ValueError", "bank:Overdrawn"
    remote_traceback: str = attrs.field(default="", kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        _note(self)

    def __str__(self) -> str:
        name = self.type_name or "an exception"
        return f"{name}: {self.text}" if self.text else name


@attrs.define(slots=False, eq=False)
class SpawnError(ActorError):
    """An actor did not start: its class, its arguments or its `on_start` failed."""

    actor: str = attrs.field(default="", kw_only=True)  # name it should have got
    reason: str = attrs.field(default="", kw_only=True)  # last line of the failure
    remote_traceback: str = attrs.field(default="", kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        _note(self)

    def _explain(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"{self.actor or 'the actor'} could not be started{why}"


@attrs.define(slots=False, eq=False)
class AccessDenied(ActorError, PermissionError):
    """The key, or the user behind it, may not do this."""

    reason: str = attrs.field(default="", kw_only=True)  # what was refused, and to whom

    def _explain(self) -> str:
        return f"access denied{': ' + self.reason if self.reason else ''}"


@attrs.define(slots=False, eq=False)
class SharedMemoryFull(ActorError, MemoryError):
    """There is no room for an array or a frame in shared memory; nothing was written."""


@attrs.define(slots=False, eq=False)
class ConnectionLost(ActorError, ConnectionError):
    """The connection to the system has ended, so every call raises this; or none was made."""

    reason: str = attrs.field(default="", kw_only=True)  # why it ended

    def _explain(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"the connection to the system is gone{why}. Start or connect again."


def _what(error: NotDelivered | OutcomeUnknown) -> str:
    return error.message or "the message"


def _note(error: HandlerError | SpawnError) -> None:
    if error.remote_traceback:
        error.add_note(f"\nIn the other process:\n\n{error.remote_traceback.rstrip()}")


# ---- across the wire (actors.failure draws the record)
_KINDS: dict[str, type[Exception]] = {kind.__name__: kind for kind in builtin_errors()} | {
    name: kind
    for name, kind in list(globals().items())
    if isinstance(kind, type) and issubclass(kind, ActorError)
}
_KNOWN = frozenset(_KINDS.values())
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Failure)


def pack_error(error: BaseException, *, escaped: bool = True) -> bytes:
    """Write any exception as bounded msgpack. Never raises.

    `escaped` says that it came out of a handler: then it arrives as a HandlerError whatever else
    it is. With `escaped=False` an error of ours arrives as exactly its class.
    """
    try:
        return _encoder.encode(_failure(error, escaped=escaped))
    except BaseException:  # noqa: BLE001 - an exception is user code and may raise anything at all
        return _encoder.encode(Failure(["HandlerError"], type_name(type(error))))


def unpack_error(data: bytes | memoryview) -> ActorError:
    """Read what `pack_error` wrote. Never raises, imports nothing, calls only known classes.

    Returns a HandlerError for a class that is not known here (`type_name` names it), and an
    OutcomeUnknown when the bytes are no error at all: something came back, nobody can say what.
    """
    if len(data) > LARGEST_PACKED:
        return OutcomeUnknown(f"an error came back that is too large to read: {len(data)} bytes")
    try:
        failure = _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return OutcomeUnknown(f"an error came back that cannot be read: {error}")
    return _remade(failure)


def _failure(error: BaseException, *, escaped: bool) -> Failure:
    kinds = names_of(type(error), _KNOWN)
    handler_raised = escaped or not isinstance(error, ActorError)
    if handler_raised and not isinstance(error, HandlerError):
        kinds.insert(0, "HandlerError")
    if not isinstance(error, ActorError):
        return failure_of(error, kinds)
    again = isinstance(error, HandlerError)  # it crossed a process before: keep what it was there
    text = error.text if again or not escaped else str(error)
    name = error.type_name if isinstance(error, HandlerError) else type(error).__name__
    remote = trace_of(error) if escaped else getattr(error, "remote_traceback", "")
    return Failure(
        kinds[:MOST_KINDS],
        clipped(name, LONGEST_NAME),
        clipped(text, LONGEST_TEXT),
        middle_cut(remote, LONGEST_TRACEBACK),
        data={name: datum(getattr(error, name, None)) for name in _data_fields(type(error))},
    )


def _data_fields(kind: type[BaseException]) -> dict[str, object]:
    """Return name and default of the attributes that travel as data, over all our bases."""
    apart = ("text", "type_name", "remote_traceback")  # they have a place of their own
    fields: dict[str, object] = {}
    for base in kind.__mro__:
        if base in _KNOWN and issubclass(base, ActorError):
            fields |= {a.name: a.default for a in attrs.fields(base) if a.name not in apart}
    return fields


@lru_cache(maxsize=256)  # bounded: whoever writes the bytes chooses the names
def _class_of(names: tuple[str, ...]) -> type[ActorError]:
    known = [_KINDS[name] for name in names if name in _KINDS]
    ours = [kind for kind in known if issubclass(kind, ActorError)] or [HandlerError]
    others = [kind for kind in known if not issubclass(kind, ActorError)]
    return combined([*ours, *others], ours[0])  # ours before: their __str__ and __init__ count


def _remade(failure: Failure) -> ActorError:
    kind = _class_of(tuple(failure.kinds[:MOST_KINDS]))
    error = kind()
    error.text = clipped(failure.text, LONGEST_TEXT)
    give_args(error, failure.args)
    for name, default in _data_fields(kind).items():
        setattr(error, name, fitting(failure.data.get(name), default))
    if isinstance(error, HandlerError):
        error.type_name = clipped(failure.type_name, LONGEST_NAME)
    if isinstance(error, HandlerError | SpawnError):
        error.remote_traceback = middle_cut(failure.remote_traceback, LONGEST_TRACEBACK)
        _note(error)
    return error
