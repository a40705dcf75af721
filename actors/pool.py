"""Pools: one name served by several members that pull work. A decider, both halves of it.

    sender                                                    member "mover#2"
    Pools   queue of "mover"   ── WANT: I have work ──►       Line: who has work, in turn
            │                  ◄── OFFER: I am idle ───       idle: the next in turn gets it
            └── oldest letter ── TELL, ASK, STREAM ──►        at work
                none left?     ── PASS ──►                    the next in turn gets it

A letter leaves the sender's queue only for a member that is idle and has said so, whoever keeps
the other members busy: so no slow member holds work that another could do, and none is idle while
work waits. What a dead member had not begun comes back to the front of the queue.

The three words travel as numbered letters of the links, so they are lost with a life and never
otherwise: a new life is asked again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, final

from actors.control import Standing
from actors.departures import Departures
from actors.envelope import Envelope, Kind
from actors.fates import Fates
from actors.letter import Letter
from actors.link import Link
from actors.outbox import OUTBOX_MESSAGES

PATIENCE: Final = 0.5
"""Seconds a member stays idle for a sender that does not answer its offer."""


@final
class Pool:
    """One pool, as one sender sees it."""

    __slots__ = ("asked", "front", "members")

    def __init__(self, front: Link) -> None:
        self.front = front
        """The link of the pool's name; its outbox is the queue, and never bound to a life."""
        self.members: list[Link] = []
        self.asked: dict[Link, int] = {}
        """Members that know that we have work: the life that was told."""


@final
class Pools:
    """The pools that one party sends to."""

    def __init__(self, departures: Departures, fates: Fates) -> None:
        self._departures = departures
        self._fates = fates
        self.all: dict[str, Pool] = {}
        """By the name that is served."""
        self._of: dict[Link, Pool] = {}

    def learn(self, front: Link, members: Iterable[Link], mailbox: int) -> None:
        """The broker says who serves a pool."""
        pool = self.all.get(front.name)
        if pool is None:
            pool = self.all[front.name] = Pool(front)
        pool.members = list(members)
        for member in pool.members:
            self._of[member] = pool
        front.held = False
        front.out.credit = min(mailbox or OUTBOX_MESSAGES, OUTBOX_MESSAGES)
        self._look(pool)

    def changed(self, link: Link) -> None:
        """A link has come up, or gone down."""
        pool = self._of.get(link)
        if pool is not None:
            self._look(pool)

    def deal(self) -> None:
        """Tell the members of every pool that has work."""
        for pool in self.all.values():
            if pool.front.out.idle:
                continue
            for member in self._askable(pool):
                life = member.out.incarnation
                if life and not member.held and pool.asked.get(member) != life:
                    pool.asked[member] = life
                    self._departures.post(member, _word(Kind.WANT))

    def offered(self, member: Link) -> None:
        """A member is idle: it gets the oldest letter, or hears that there is none."""
        pool = self._of.get(member)
        letter = None
        if pool is not None:
            pool.asked.pop(member, None)
            letter = pool.front.out.give_away()
        if pool is None or letter is None:
            self._departures.post(member, _word(Kind.PASS))
            return
        letter.pool = pool.front.name
        self._address(letter, member.name)
        self._departures.post(member, letter)

    def bury(self, member: Link) -> None:
        """A member's life is over: the queue gets back what it had not begun."""
        pool = self._of.get(member)
        if pool is None:
            return
        pool.asked.pop(member, None)
        returned = member.out.recall(pool.front.name)
        for letter in returned:
            self._address(letter, pool.front.name)
        if pool.front.closed:
            for letter in returned:
                self._fates.reject(pool.front, letter)
        else:
            pool.front.out.take_back(returned)
        self._look(pool)

    def forget(self, link: Link) -> None:
        """A name is gone: a member's, or a pool's."""
        pool = self._of.pop(link, None)
        if pool is not None:
            # One that is going may have been taken off the list already, and still hold work.
            pool.members = [one for one in pool.members if one is not link]
            self._look(pool)
        pool = self.all.pop(link.name, None)
        if pool is not None:
            for member in pool.members:
                self._of.pop(member, None)

    def _look(self, pool: Pool) -> None:
        """A pool is up while one of its members is."""
        front, up = pool.front, [one for one in pool.members if one.standing is Standing.UP]
        front.standing = Standing.UP if up else Standing.DOWN
        hosts = {one.host for one in up}
        front.host = hosts.pop() if len(hosts) == 1 else b""

    def _askable(self, pool: Pool) -> list[Link]:
        """Return the members that may work for us: we ourselves only when there is nobody else."""
        others = [one for one in pool.members if one.name != self._departures.name]
        return others or pool.members

    def _address(self, letter: Letter, name: str) -> None:
        call = self._fates.call_of(letter)
        if call is not None:
            call.target = name


@final
class Line:
    """Who has work for this party, in turn."""

    def __init__(self, departures: Departures) -> None:
        self._departures = departures
        self.waiting: dict[Link, int] = {}
        """Senders that have work: the life that said so."""
        self.promised: Link | None = None
        """Whose work we wait for."""
        self._until = 0.0
        self.unfinished = 0
        """Messages that are here, asked for or not, and not finished; counted by those who know."""

    def wanted(self, sender: Link, incarnation: int) -> None:
        """A sender has work for us."""
        self.waiting[sender] = incarnation

    def passed(self, sender: Link) -> None:
        """A sender has no work any more."""
        if self.promised is sender:
            self.promised = None

    def departed(self, sender: Link, incarnation: int) -> None:
        """A sender's life is over."""
        if self.waiting.get(sender, math.inf) <= incarnation:
            del self.waiting[sender]
        self.passed(sender)

    @property
    def _idle(self) -> bool:
        return bool(self.waiting) and not self.unfinished

    @property
    def next_due(self) -> float:
        """When the next in turn is due, though the one before has not answered."""
        return self._until if self.promised is not None and self._idle else math.inf

    def offer(self, now: float) -> None:
        """Let the next in turn know that we are idle, if we are."""
        while self._idle and (self.promised is None or now >= self._until):
            sender = next(iter(self.waiting))
            if self.waiting.pop(sender) == sender.out.incarnation:
                self.promised, self._until = sender, now + PATIENCE
                self._departures.post(sender, _word(Kind.OFFER))


def _word(kind: Kind) -> Letter:
    return Letter(Envelope(kind, 0, 0, "", b""))
