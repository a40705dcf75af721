"""What waits for an actor: messages in the order they came, and its own timers.  A decider.

The bound is kept by the senders: each knows how many unfinished messages it may have here (its
credit), so nothing is refused at this end.  What a sender has written that is behind with its
acknowledgements is held back until it is not: its answers would be kept without end.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import final

from actors.link import Delivery, Link


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
        self._held: dict[Link, deque[Delivery]] = {}
        """Messages whose turn has come, of senders that are behind."""

    def __len__(self) -> int:
        held = sum(map(len, self._held.values())) if self._held else 0
        return len(self._items) + len(self._admitted) + held

    @property
    def held(self) -> int:
        """How many messages have to wait until their sender has acknowledged answers."""
        return sum(len(held) for link, held in self._held.items() if link.behind)

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
        while self._admitted:
            delivery = self._admitted.popleft()
            if not delivery.link.behind:
                return delivery
            self._hold(delivery)
        return None

    def holds(self, sender: str, incarnation: int) -> bool:
        """Whether a message of this life of a sender waits."""
        waiting = (item for item in self._items if isinstance(item, Delivery))
        return any(
            item.link.name == sender and item.incarnation == incarnation
            for item in chain(waiting, *self._held.values())
        )

    def take(self) -> Delivery | Timer | None:
        """Remove and return the next message; None when there is none."""
        if self._held:
            # One at a time: its answer may put its sender behind again, and thousands wait here.
            for link in self._held:
                if not link.behind:
                    return self._release(link)
        while self._items:
            item = self._items.popleft()
            if isinstance(item, Timer):
                item.waiting = False
                return item
            link = item.link
            if not (link.far and (link.behind or link in self._held)):  # for most `far` decides
                return item
            self._hold(item)
        return None

    def _hold(self, delivery: Delivery) -> None:
        self._held.setdefault(delivery.link, deque()).append(delivery)

    def _release(self, link: Link) -> Delivery:
        held = self._held[link]
        delivery = held.popleft()
        if not held:
            del self._held[link]
        return delivery

    def withdraw(self, sender: str, incarnation: int, correlation: int) -> Delivery | None:
        """Remove a request its sender has given up, if it is still waiting."""
        queues: list[deque[Delivery | Timer] | deque[Delivery]] = [self._items, self._admitted]
        queues += self._held.values()
        for items in queues:
            for index, item in enumerate(items):
                if (
                    isinstance(item, Delivery)
                    and item.envelope.correlation == correlation
                    and item.link.name == sender
                    and item.incarnation == incarnation
                ):
                    # By its place: comparing deliveries would compare whole messages.
                    del items[index]
                    if not self._held.get(item.link, True):
                        del self._held[item.link]
                    return item
        return None
