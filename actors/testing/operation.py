"""One operation of a history: a client asked, and was answered or not.

invoked_at            returned_at
    |---------------------|          it took effect once, at some moment in between
    |---------------- ...            no answer came: it took effect once, at some
                                     moment after it was invoked, or never
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, final

import attrs

from actors.errors import (
    AccessDenied,
    ConnectionLost,
    HandlerError,
    MessageError,
    NotDelivered,
    OutcomeUnknown,
    SpawnError,
)
from actors.message import class_name


class Fate(Enum):
    """What an operation's end says of its effect."""

    ANSWERED = "answered"  # it took effect between invocation and return
    LOST = "lost"  # it took effect at some time after the invocation, or never
    NEVER = "never"  # it took no effect


def _not_before(operation: Operation, _attribute: object, value: float | None) -> None:
    if value is not None and value < operation.invoked_at:
        raise ValueError(f"it returned at {value}, before it was invoked at {operation.invoked_at}")


@final
@attrs.frozen(eq=False)
class Operation:
    """What one client asked, when, and what came back."""

    client: str
    message: Any
    invoked_at: float  # on any clock that all clients share
    # None: nothing came back
    returned_at: float | None = attrs.field(default=None, validator=_not_before)
    result: Any = None  # the answer, unless `error` took its place
    error: BaseException | None = None

    @property
    def fate(self) -> Fate:
        """What is known of its effect.

        A handler that raised did answer. An error that says the message was never handled, or
        never will be, means that it had no effect; every other means that nobody knows.
        """
        if self.returned_at is None:
            return Fate.LOST
        if self.error is None or isinstance(self.error, HandlerError):
            return Fate.ANSWERED  # first: a handler's TimeoutError is a TimeoutError, too
        if isinstance(self.error, _NEVER):
            return Fate.NEVER
        if isinstance(self.error, _UNKNOWN) or not isinstance(self.error, Exception):
            return Fate.LOST
        return Fate.ANSWERED

    def __str__(self) -> str:
        return f"{shown(self.message)} -> {self._end()}"

    def _end(self) -> str:
        if self.fate is Fate.LOST:
            return "?" if self.error is None else f"? ({type(self.error).__name__})"
        if self.fate is Fate.NEVER:
            return f"not handled ({type(self.error).__name__})"
        if self.error is not None:
            return f"raised {raised_name(self.error)}"
        return shown(self.result)


_NEVER: Final = (NotDelivered, MessageError, SpawnError, AccessDenied)
_UNKNOWN: Final = (OutcomeUnknown, ConnectionLost, TimeoutError)


def raised_name(error: BaseException) -> str:
    """Return the name of the class of what a handler raised, here or in another process.

    Without its module: the specification's error need not be the actor's own class.
    """
    name = error.type_name if isinstance(error, HandlerError) else ""
    return class_name(name) or type(error).__name__


def shown(value: object) -> str:
    """Return a value's repr on one line, in ASCII."""
    text = " ".join(repr(value).split())
    return text.encode("ascii", "backslashreplace").decode("ascii")


def clipped(text: str, width: int) -> str:
    """Cut a text to at most `width` characters, and show that it was."""
    return text if len(text) <= width else text[: max(0, width - 3)] + "..."
