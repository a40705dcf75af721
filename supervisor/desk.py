"""The supervisor as an actor: "@supervisor" takes the requests of programs and actors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, final

from actors.actor import Actor, FailurePolicy
from actors.address import CLIENT_PREFIX
from actors.control import SUPERVISOR
from actors.errors import MailboxFull
from actors.handler import receive
from actors.hints import no_such_ring
from actors.message import tag_of
from actors.notices import DeadLetter, Terminated
from actors.portal import Portal, Until
from actors.reply import wait_in_loop
from actors.requests import (
    DeadLetters,
    FindRing,
    FollowTopic,
    KeepRing,
    KillActor,
    KnownNames,
    RestartActor,
    Settle,
    Shutdown,
    SpawnActor,
    StopActor,
    SubscribeActor,
    SubscribeStream,
    Topic,
    TopicSeen,
    WatchActor,
    WatchStream,
)
from actors.roster import Roster, RosterRequest, Vitals
from supervisor.narrator import DeadLetterLog
from supervisor.status import Endings, StatusRequest, SystemStatus
from supervisor.topics import Topics

if TYPE_CHECKING:
    from supervisor.supervisor import Supervisor

E = TypeVar("E")

Readers: TypeAlias = dict[asyncio.Queue[E], None]
"""A dictionary keeps its order, so two runs of the simulation tell them in the same one."""

Book: TypeAlias = dict[str, Readers[E]]
"""What is read, and who reads it."""

RingParts: TypeAlias = tuple[int, int, int, bytes]
"""Of an `arrays.ring.RingAddress`; of no concern to the supervisor."""

QUEUE: Final = 10_000
"""Notices kept for one reader of a stream that does not read."""

ABSENT: Final = 10_000
"""Names that nobody has and that are watched all the same, over all watchers."""

PUBLISHERS_SECONDS: Final = 1.0
"""Seconds a subscription waits for publishers to have heard of it; one that hangs may be late."""

BROKER_SECONDS: Final = 1.0
"""Seconds a spawned name waits for the broker to know it; one that hangs may be late."""

MOST_RINGS: Final = 64
"""Rings that one actor may have others find."""

OVERRUN: Final = f"more than {QUEUE:,} notices waited to be read; some are lost, follow them anew"


@final
class Desk(Actor):
    """Every request is handled while others wait: a slow start holds nobody up."""

    failure_policy = FailurePolicy.RESUME

    def open(self, supervisor: Supervisor, portal: Portal) -> Desk:
        """Give the desk the supervisor it speaks for, and its connection."""
        self.supervisor = supervisor
        self.portal = portal
        self.notify = portal.notify
        self.watchers: dict[str, set[str]] = {}
        self.absent: dict[str, None] = {}
        """Watched names that nobody had when last heard of, the longest ago first."""
        self.readers: Book[Terminated] = {}
        """Of the ends of a name; "" stands for every name."""
        self.letter_readers: Book[DeadLetter] = {}
        self.letter_log = DeadLetterLog()
        self.dead_letters = 0
        self.topics = Topics()
        self.rings: dict[str, dict[str, RingParts]] = {}
        self.topics_changed = asyncio.Event()
        return self

    # --- actors come and go

    @receive(concurrent=True)
    async def spawn(self, msg: SpawnActor) -> int:
        """Start an actor."""
        spawner = self.context.sender
        try:
            return await self.supervisor.spawn(msg, None if spawner is None else spawner.name)
        finally:
            # Whoever hears of the name asks the broker for it, which must have heard of it, too; of
            # a start that failed, that there is nobody.  A program that waited for the start must
            # also hear that it is up, and on which host: until then arrays go through the broker.
            # Where there are no processes nothing is shared.
            boot = self.supervisor.boot
            if not msg.wait or (boot.launcher in ("fork", "spawn") and not boot.faults):
                await self._broker_has_heard()

    @receive(concurrent=True)
    async def stop(self, msg: StopActor) -> None:
        """End an actor for good."""
        await self.supervisor.stop_child(msg.name)

    @receive(concurrent=True)
    async def restart(self, msg: RestartActor) -> int:
        """End an incarnation in good order and start the next."""
        return await self.supervisor.restart_child(msg.name)

    @receive(concurrent=True)
    async def kill(self, msg: KillActor) -> int | None:
        """Kill -9."""
        return await self.supervisor.kill_child(msg.name)

    @receive(concurrent=True)
    async def shutdown(self, msg: Shutdown) -> int:
        """End the system; the answer comes when every actor is down."""
        if not msg.wait:
            self.supervisor.begin_shut_down()
            return 0
        return await self.supervisor.shut_down(drain=msg.drain)

    @receive
    def status(self, _msg: StatusRequest) -> SystemStatus:
        """Say how the system stands."""
        return self.supervisor.status(self.dead_letters)

    @receive
    def known_names(self, msg: KnownNames) -> list[str]:
        """Say which of these names somebody has."""
        return [name for name in msg.names if self.supervisor.means(name)]

    # --- the monitor

    @receive
    def roster(self, _msg: RosterRequest) -> Roster:
        """Say which processes there are."""
        broker, _ = self.supervisor.broker()
        return self.supervisor.overview.roster(broker)

    @receive
    def vitals(self, msg: Vitals) -> None:
        """Keep what the monitor has measured."""
        self.supervisor.overview.note_vitals(msg)

    # --- notices

    @receive
    def settle(self, _msg: Settle) -> None:
        """Answer: what the asker sent before is no longer on its way."""

    @receive
    def watch(self, msg: WatchActor) -> None:
        """An actor wants to hear of the ends of a name."""
        sender = self.context.sender
        if sender is None:
            return
        watchers = self.watchers.setdefault(msg.name, set())
        if sender.name not in watchers:
            watchers.add(sender.name)
            if msg.name.startswith(CLIENT_PREFIX):
                self._follow_program(msg.name)
            elif not self.supervisor.means(msg.name):
                self._note_absent(msg.name)
                self.notify(sender.name, _nobody(msg.name))

    @receive
    async def watch_stream(self, msg: WatchStream) -> AsyncIterator[Terminated]:
        """Send a program every end of a name."""
        program = msg.name.startswith(CLIENT_PREFIX)
        if not (program or self.supervisor.means(msg.name)):
            yield _nobody(msg.name)
        if program:
            self._follow_program(msg.name)
        async for notice in _follow(self.readers, msg.name):
            yield notice

    @receive
    async def endings(self, _msg: Endings) -> AsyncIterator[Terminated]:
        """Send a program every end of every name."""
        async for notice in _follow(self.readers, ""):
            yield notice

    @receive
    async def dead_letter_stream(self, _msg: DeadLetters) -> AsyncIterator[DeadLetter]:
        """Send a program every dead letter from now on."""
        async for letter in _follow(self.letter_readers, ""):
            yield letter

    @receive
    def dead_letter(self, msg: DeadLetter) -> None:
        """Note a message that nobody will handle."""
        self.dead_letters += 1
        self.letter_log.note(msg)
        _spread(self.letter_readers.get("", {}), msg)
        self._tell_subscribers(msg)

    # --- live arrays

    @receive
    def keep_ring(self, msg: KeepRing) -> None:
        """An actor has a ring that others may read."""
        sender = self.context.sender
        if sender is None or not self.supervisor.knows(sender.name):
            raise PermissionError("only an actor has rings that others find")
        rings = self.rings.setdefault(sender.name, {})
        if msg.name not in rings and len(rings) >= MOST_RINGS:
            raise ValueError(f"{sender.name} has {MOST_RINGS} rings already; write to one of them")
        rings[msg.name] = msg.address

    @receive
    def find_ring(self, msg: FindRing) -> RingParts | str:
        """Say where a ring is, or why it is nowhere."""
        rings = self.rings.get(msg.actor, {})
        if msg.name in rings:
            return rings[msg.name]
        missing = self.supervisor.overview.absence(msg.actor)
        return str(missing) if missing else no_such_ring(msg.actor, msg.name, rings)

    # --- events

    @receive(concurrent=True)
    async def subscribe(self, msg: SubscribeActor) -> None:
        """An actor wants the events of a class; answer when every publisher knows."""
        sender = self.context.sender
        if sender is not None:
            self.topics.subscribe(msg.tag, sender.name)
            await self._publishers_know(msg.tag)

    @receive
    async def subscribe_stream(self, msg: SubscribeStream) -> AsyncIterator[None]:
        """A program wants them, as long as the stream is open."""
        sender = self.context.sender
        if sender is None:
            return
        self.topics.join(msg.tag, sender.name)
        try:
            await self._publishers_know(msg.tag)
            yield None
            await asyncio.Event().wait()
        finally:
            self.topics.leave(msg.tag, sender.name)
            self._topics_change()

    @receive
    async def follow_topic(self, msg: FollowTopic) -> AsyncIterator[Topic]:
        """A publisher wants to know who has subscribed."""
        sender = self.context.sender
        if sender is None:
            return
        self.topics.follow(msg.tag, sender.name)
        told = 0
        try:
            while True:
                version = self.topics.version(msg.tag)
                if version > told:
                    told = version
                    yield Topic(version, self.topics.names(msg.tag))
                else:
                    await self.topics_changed.wait()
        finally:
            self.topics.unfollow(msg.tag, sender.name)
            self._topics_change()

    @receive
    def topic_seen(self, msg: TopicSeen) -> None:
        """A publisher has got a list."""
        sender = self.context.sender
        if sender is not None:
            self.topics.seen(msg.tag, sender.name, msg.version)
            self._topics_change()

    async def _broker_has_heard(self) -> None:
        heard = Until(self.portal, self.supervisor.exchange.heard())
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(wait_in_loop(heard), BROKER_SECONDS)

    async def _publishers_know(self, tag: str) -> None:
        """Wait until whatever is published from now on reaches the present subscribers."""
        version = self.topics.version(tag)
        self._topics_change()
        loop = asyncio.get_running_loop()
        end = loop.time() + PUBLISHERS_SECONDS
        while not self.topics.heard(tag, version) and loop.time() < end:
            change = asyncio.ensure_future(self.topics_changed.wait())
            await asyncio.wait([change], timeout=end - loop.time())
            change.cancel()

    def _topics_change(self) -> None:
        # Whoever waits for a change looks again, and waits for the next one.
        self.topics_changed.set()
        self.topics_changed = asyncio.Event()

    def _tell_subscribers(self, notice: object, besides: Container[str] = ()) -> None:
        """Send actors that have subscribed to it an event of the system itself."""
        for name in self.topics.names(tag_of(type(notice))):
            if name not in besides and self.supervisor.knows(name):
                self.notify(name, notice)

    def silence(self, name: str) -> None:
        """A name is stopped, or gone: no event need be sent to it."""
        if self.topics.forget(name):
            self._topics_change()

    def terminated(self, notice: Terminated) -> None:
        """Tell everybody who watches it, or its pool, that an incarnation has ended."""
        names = self.supervisor.overview.names_of(notice.name)
        watchers = {one for name in names for one in self.watchers.get(name, ())}
        for watcher in sorted(watchers):
            if self.supervisor.knows(watcher):
                self.notify(watcher, notice)
        self._tell_subscribers(notice, besides=watchers)
        for name in (*names, ""):
            _spread(self.readers.get(name, {}), notice)

    def _follow_program(self, name: str) -> None:
        loop = asyncio.get_running_loop()

        def told(life: int, reason: str) -> None:
            loop.call_soon(self.left, name, life, reason)

        self.supervisor.exchange.follow(name, told)

    def left(self, name: str, life: int, reason: str) -> None:
        """Tell everybody who watches a program that it is gone; its name does not come again."""
        notice = Terminated(name, life, reason) if life else _nobody(name)
        for watcher in sorted(self.watchers.pop(name, ())):
            if self.supervisor.knows(watcher):
                self.notify(watcher, notice)
        _spread(self.readers.get(name, {}), notice)

    def _note_absent(self, name: str) -> None:
        """Watching nobody is kept, for the name may come; but not without bound."""
        self.absent.pop(name, None)
        self.absent[name] = None
        if len(self.absent) > ABSENT:
            oldest = next(iter(self.absent))
            del self.absent[oldest]
            if not self.supervisor.means(oldest):
                self.watchers.pop(oldest, None)

    def forget(self, name: str) -> None:
        """A name is gone: it watches nobody any more, hears no events, and has no rings."""
        self.silence(name)
        if name in self.watchers:
            self._note_absent(name)
        self.rings.pop(name, None)
        for watched, watchers in list(self.watchers.items()):
            watchers.discard(name)
            if not watchers:
                del self.watchers[watched]


async def _follow(book: Book[E], name: str) -> AsyncIterator[E]:
    """Yield what is spread under a name; one that reads too slowly hears that it missed some.

    Nothing is awaited at the end: a generator may be just dropped.
    """
    queue: asyncio.Queue[E] = asyncio.Queue(QUEUE)
    readers = book.setdefault(name, {})
    readers[queue] = None
    try:
        while queue in readers or not queue.empty():
            yield await queue.get()
    finally:
        readers.pop(queue, None)
        if not readers and book.get(name) is readers:
            del book[name]
    raise MailboxFull(OVERRUN, target=SUPERVISOR)


def _spread(readers: Readers[E], notice: E) -> None:
    for queue in list(readers):
        try:
            queue.put_nowait(notice)
        except asyncio.QueueFull:
            # It gets what waits, and then the news that it did not get all.
            readers.pop(queue, None)


def _nobody(name: str) -> Terminated:
    return Terminated(name, 0, "no actor has this name")
