"""How a process waits and sends: what portals and actors need of whoever pumps their connection.

LoopPump       an actor's event loop (`pump.py`)
ClientThread   the one I/O thread of a program that is not an actor (`client.py`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from actors.control import Word
    from actors.reply import Pending


class Pump(Protocol):
    """What an actor's runtime and life need of whoever pumps its connection."""

    def flush(self) -> None:
        """Send what is in the outboxes now."""
        ...

    def again(self) -> None:
        """Look at the connection in the loop's next turn."""
        ...

    def close(self, linger: float, /) -> None:
        """Send what is ready, within `linger` seconds, and close."""
        ...


class Owner(Protocol):
    """What the runtime needs of the process around it."""

    def say(self, word: Word) -> None:
        """Tell the supervisor something."""
        ...

    def end(self, code: int, reason: str) -> None:
        """The incarnation is over, in disorder."""
        ...


class Driver(Protocol):
    """How this process waits and sends."""

    def wake(self) -> None:
        """Send soon what is in the outboxes.  For any thread."""
        ...

    def block(self, pending: Pending, timeout: float | None) -> None:
        """Wait in plain code until `pending` is done; raises in an async handler."""
        ...

    def block_briefly(self, pending: Pending, timeout: float) -> None:
        """Wait for the broker's word, also in asyncio code: it takes well under a millisecond."""
        ...

    def flush(self) -> None:
        """Send what is in the outboxes now, when the calling code pumps the connection itself."""
        ...

    @property
    def may_block(self) -> bool:
        """Whether the calling code is plain code, which may wait for room."""
        ...
