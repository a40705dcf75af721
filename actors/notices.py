"""Messages the system itself sends to actors and programs."""

from __future__ import annotations

from typing import Final

from actors.failure import writable
from actors.message import message

LONGEST_TEXT: Final = 200
"""Characters of a message that a dead letter shows."""


@message(tag="understudy:Terminated")
class Terminated:
    """An incarnation that was watched has ended.  Exactly one per incarnation, in order."""

    name: str
    incarnation: int
    """0 when the name did not exist."""
    reason: str
    exit_code: int | None = None
    signal: int | None = None
    peak_memory: int | None = None
    """Bytes of resident memory at the most, where the system tells."""
    restarting: bool = False
    """Whether another incarnation follows."""


@message(tag="understudy:DeadLetter")
class DeadLetter:
    """A message that was told and that nobody will handle, or nobody knows whether it was."""

    target: str
    sender: str
    message: str
    """Tag of its class."""
    text: str
    """The message as text, shortened."""
    reason: str


def sendable(letter: DeadLetter) -> DeadLetter:
    """Return a dead letter whose texts, which are a user's, are Unicode."""
    text, reason = writable(letter.text), writable(letter.reason)
    return DeadLetter(letter.target, letter.sender, letter.message, text, reason)


def text_of(msg: object) -> str:
    """Return a user's message as a short text, whatever its `__repr__` does."""
    try:
        text = repr(msg)
    except Exception as error:  # noqa: BLE001 - user code may raise anything
        text = f"<{type(msg).__name__}, whose repr raised {type(error).__name__}>"
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."
