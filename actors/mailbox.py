"""What waits for an actor: messages in the order they came, and its own timers.  A decider.

The bound is kept by the senders: each knows how many unfinished messages it may have here (its
credit), so nothing is refused at this end.
"""

from __future__ import annotations

from collections import deque
from typing import final

from actors.link import Delivery


@final
class Timer:
    """A message the actor sends itself with `tell_after` or `tell_every`."""

    __slots__ = ("message", "waiting")

    def __init__(self, message: object) -> None:
        self.message = message
        self.waiting = False
        """Whether it is in the mailbox now."""


@final
class Mailbox:
    """Messages waiting for the handlers, first come first served."""

    def __init__(self) -> None:
        self._items: deque[Delivery | Timer] = deque()
        self._admitted: deque[Delivery] = deque()
        """Asks that are begun beside the handler that waits for them (`cycles.py`)."""

    def __len__(self) -> int:
        return len(self._items) + len(self._admitted)

    def put(self, item: Delivery | Timer) -> None:
        """Append a message."""
        if isinstance(item, Timer):
            item.waiting = True
        self._items.append(item)

    def admit(self, delivery: Delivery) -> None:
        """Keep a request that need not wait for the handler in progress."""
        self._admitted.append(delivery)

    def take_admitted(self) -> Delivery | None:
        """Remove and return the next request that need not wait; None when there is none."""
        return self._admitted.popleft() if self._admitted else None

    def holds(self, sender: str, incarnation: int) -> bool:
        """Whether a message of this life of a sender waits."""
        return any(
            isinstance(item, Delivery)
            and item.link.name == sender
            and item.incarnation == incarnation
            for item in self._items
        )

    def take(self) -> Delivery | Timer | None:
        """Remove and return the next message; None when there is none."""
        item = self._items.popleft() if self._items else None
        if isinstance(item, Timer):
            item.waiting = False
        return item

    def withdraw(self, sender: str, incarnation: int, correlation: int) -> Delivery | None:
        """Remove a request its sender has given up, if it is still waiting."""
        for items in (self._items, self._admitted):
            for index, item in enumerate(items):
                if (
                    isinstance(item, Delivery)
                    and item.envelope.correlation == correlation
                    and item.link.name == sender
                    and item.incarnation == incarnation
                ):
                    # By its place: comparing deliveries would compare whole messages.
                    del items[index]
                    return item
        return None
