"""A party's door to the network in the simulation: stands in for `LoopPump` and `ClientThread`.

The deciders, the portal and the runtime behind it are the real ones.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, final

from actors.handling import in_event_loop

if TYPE_CHECKING:
    from actors.portal import Portal
    from actors.reply import Pending
    from actors.testing.node import Node
    from actors.testing.packets import Pair
    from actors.testing.post import Post


@final
class Pump:
    """Drives one party's peer; the driver of its portal."""

    def __init__(
        self,
        node: Node,
        post: Post,
        portal: Portal,
        routing_id: bytes,
        *,
        handle: Callable[[], None] | None = None,
    ) -> None:
        self.node = node
        self.portal = portal
        self.peer = portal.peer
        self.routing_id = routing_id
        self.label = label_of(self.peer.name)
        self.dead = False
        self.inbox: deque[list[bytes]] = deque()
        self.pairs: dict[bytes, Pair] = {}
        """Where what it sends waits for its arrival, by route frame."""
        self._world = node.world
        self._post = post
        self._handle = handle
        """Called after every look at the network; None for a client, which has no handlers."""
        self._soon = False
        self._armed = math.inf
        # It stands in the loop's line itself, as a handle would, which takes no time to make.
        self._cancelled = False
        self._context = node.context
        self._callback = self._pump
        self._args = ()
        portal.driver = self
        node.pumps.append(self)
        post.join(self)

    # --- the network

    def online(self) -> None:
        """There is a connection to the broker, perhaps to a new one."""
        if not self.dead:
            self.peer.connected()
            self.look()

    def offline(self) -> None:
        """The broker is gone."""
        self.peer.disconnected()

    def arrive(self, frames: list[bytes]) -> None:
        """A wire message is here."""
        if not self.dead:
            self.inbox.append(frames)
            self.look()

    def look(self) -> None:
        """Something may have come or be due: see to it as soon as the process can."""
        node = self.node
        if node.frozen or self.dead:
            return
        if node.parked is not None:
            node.call(self._exchange)
        else:
            self.again()

    def _exchange(self) -> None:
        """Take in what is here, let the deciders decide, send what they command."""
        peer, now = self.peer, self._world.now
        inbox = self.inbox
        while inbox:
            peer.receive(inbox.popleft(), now)
        if now >= peer.next_due():
            peer.tick(now)
        self.portal.after_pump()
        if peer.ended and self.portal.lost is None:
            self.portal.lose(peer.ended)
        self.flush()

    def _pump(self) -> None:
        self._soon = False
        if self.dead:
            return
        peer, now = self.peer, self._world.now
        inbox = self.inbox
        while inbox:
            peer.receive(inbox.popleft(), now)
        if now >= peer.next_due():
            peer.tick(now)
        self.portal.after_pump()
        if self._handle is not None:
            self._handle()
        elif peer.ended and self.portal.lost is None:
            self.portal.lose(peer.ended)
        self.flush()

    def _arm(self, due: float) -> None:
        self._armed = due
        if due == math.inf:
            return
        # Unlike a deadline, a late acknowledgement or a probe is nothing to wait for.
        if due < self.peer.calls.next_deadline():
            self._world.remind(due, self._due, due)
        else:
            self._world.at(due, self._expire, due)

    def _due(self, due: float) -> None:
        if due == self._armed:
            self._armed = math.inf
            self.look()

    def _expire(self, due: float) -> None:
        if due == self._armed:
            self._world.lively()
            self._post.theatre.expiring()
            self._due(due)

    # --- what the runtime and `Life` use

    def flush(self) -> None:
        """Send what is in the outboxes now."""
        if self.dead:
            return
        peer = self.peer
        for message in peer.outgoing(self._world.now):
            self._post.send(self, message)
        due = peer.next_due()
        if due != self._armed:
            self._arm(due)

    def again(self) -> None:
        """Look at the network in the process's next turn."""
        if not self._soon and not self.dead:
            self._soon = True
            node = self.node
            node.loop.ready.append(self)
            if not node.queued:
                node.wake()

    def close(self, _linger: float = 0.0) -> None:
        """Send what is ready, and be gone."""
        self.flush()
        self.dead = True

    # --- `driver.Driver`

    def wake(self) -> None:
        """Send soon what is in the outboxes."""
        self.again()

    def block(self, pending: Pending, timeout: float | None) -> None:
        """Wait in plain code: the rest of this process waits too, but for its connections."""
        if self._handle is not None and in_event_loop():
            raise RuntimeError(
                "result() would stop this actor's event loop: in an `async def` handler write "
                "`await` before the reply (or `async for` over the stream)."
            )
        self._wait(pending, timeout)

    def block_briefly(self, pending: Pending, timeout: float) -> None:
        """Wait for the broker's word, wherever the code runs."""
        self._wait(pending, timeout)

    @property
    def may_block(self) -> bool:
        """Whether the calling code is plain code, which may wait for room."""
        return not in_event_loop()

    def _wait(self, pending: Pending, timeout: float | None) -> None:
        world, node = self._world, self.node
        end = math.inf if timeout is None else world.now + timeout
        if end < math.inf:
            world.at(end, node.unpark)
        while not pending.done() and world.now < end:
            for pump in node.pumps:
                pump.exchange_now()
            if pending.done():
                break
            pending.on_change(node.unpark)
            world.park(node)
        # What arrived meanwhile for the mailbox is handled when the present handler is over.
        self.again()

    def exchange_now(self) -> None:
        """Do what would happen in the process's next turn, but for the handling."""
        if not self.dead:
            self._exchange()


def label_of(name: str) -> str:
    """Return what a party is called in charts and schedules."""
    return name.removeprefix("client-")
