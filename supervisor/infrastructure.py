"""The supervisor's own children: the broker and the heartbeat monitor.

They are kept alive without limit: their deaths are nobody's fault and count towards nothing.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, final

import psutil

from actors.control import (
    Boot,
    BrokerBoot,
    ClassName,
    Declare,
    Failed,
    Standing,
    Started,
    Stop,
    Word,
)
from actors.envelope import LARGEST_FRAME
from actors.log import logger
from supervisor.launcher import Order
from supervisor.limits import Limits, parse_size
from supervisor.lives import ChildLife

if TYPE_CHECKING:
    from supervisor.boot import SupervisorBoot
    from supervisor.exchange import Exchange
    from supervisor.launcher import Exit, Launcher

QUICK: Final = 1.0
"""Seconds of life below which a restart waits a little."""

PAUSE: Final = 0.2

MONITOR: Final = "@monitor"

BROKER_SHARE: Final = 4
LEAST_BROKER: Final = 1 << 30
"""A broker may take one in so many of the machine's bytes, but at least so many."""

BROKER_MEMORY: Final = b"UNDERSTUDY_BROKER_MEMORY"


@final
class Infrastructure:
    """Keeps the broker and the monitor running."""

    def __init__(self, boot: SupervisorBoot, launcher: Launcher, routing_id: bytes) -> None:
        self.endpoints: list[str] = []
        """What the broker has bound, the local endpoint first."""
        self.broker_restarts = 0
        self._boot = boot
        self._launcher = launcher
        self._routing_id = routing_id
        self._broker_memory = _broker_memory(boot.env)
        self._broker: ChildLife | None = None
        self._monitor: ChildLife | None = None
        self._monitor_lives = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    @property
    def broker_pid(self) -> int | None:
        """Process id of the broker; None while there is none."""
        return self._broker.pid if self._broker is not None else None

    def watched(self) -> list[tuple[ChildLife, Limits]]:
        """The present lives of both, to be looked at.

        Whoever may connect can fill the broker's memory: with a message that has no end, or with
        answers that he does not read.  Then it ends, alone, and the next one begins.
        """
        most = Limits(memory=self._broker_memory)
        both = ((self._broker, most), (self._monitor, Limits()))
        return [(life, limits) for life, limits in both if life is not None]

    async def start_broker(self, wanted: list[str]) -> None:
        """Start the broker; returns when it is bound.  Raises `OSError` when it cannot bind."""
        self.endpoints = wanted
        bound: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keep(lambda: self._live_broker(bound))
        await bound

    def start_monitor(self, exchange: Exchange) -> None:
        """Start the monitor; nobody waits for it."""
        self._keep(lambda: self._live_monitor(exchange))

    async def close(self, reason: str) -> None:
        """End both; the broker tells every party why."""
        self._closing = True
        for life in (self._monitor, self._broker):
            if life is not None:
                life.say(Stop(reason, drain=False))
                done, _ = await asyncio.wait([life.ended], timeout=1.0)
                if not done:
                    life.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _keep(self, live: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(self._again(live)))

    async def _again(self, live: Callable[[], Awaitable[None]]) -> None:
        """Let one life follow the other."""
        while not self._closing:
            began = time.monotonic()
            try:
                await live()
            except OSError as error:
                logger.error("the system's own process could not be launched: %s", error)
            if not self._closing and time.monotonic() - began < QUICK:
                await asyncio.sleep(PAUSE)

    async def _live_broker(self, bound: asyncio.Future[None]) -> None:
        def hear(_child: ChildLife, word: Word) -> None:
            if isinstance(word, Started):
                # A port that the system chose stays the same for the next broker.
                self.endpoints = list(word.endpoints)
                if not bound.done():
                    bound.set_result(None)

        life = self._broker = ChildLife("@broker", self.broker_restarts + 1, on_word=hear)
        faults = self._boot.faults
        keys = self._boot.keys
        # A flood may be quicker than whoever looks: twice the limit is the kernel's to refuse.
        memory = 2 * self._broker_memory
        first = BrokerBoot(
            self.endpoints, self._routing_id, LARGEST_FRAME, keys=keys, memory=memory, faults=faults
        )
        entry = "faulty-broker" if faults else "broker"
        await life.launch(self._launcher, self._order(entry, life), first)
        how = await asyncio.shield(life.ended)
        self._broker = None
        life.close()
        if not bound.done():
            bound.set_exception(OSError(f"its broker ended: {_why(life, how)}"))
            self._closing = True
        elif not self._closing:
            self.broker_restarts += 1
            logger.warning("the broker ended (%s); it is started again", _why(life, how))

    async def _live_monitor(self, exchange: Exchange) -> None:
        def hear(child: ChildLife, word: Word) -> None:
            if isinstance(word, Started):
                exchange.declare(Declare(MONITOR, Standing.UP, child.incarnation, child.routing_id))
            elif isinstance(word, Failed):
                logger.error("the monitor failed: %s\n%s", word.text, word.traceback)

        self._monitor_lives += 1
        life = self._monitor = ChildLife(MONITOR, self._monitor_lives, on_word=hear)
        exchange.declare(Declare(MONITOR, Standing.DOWN, life.incarnation, life.routing_id))
        actor = ClassName("actors.monitor", "Monitor")
        first = Boot(
            MONITOR,
            life.incarnation,
            life.routing_id,
            self.endpoints[0],
            actor,
            fields={},
            mailbox=1000,
            ask_timeout=30.0,
            shared_memory=Limits().shared_memory,
            directory="",  # it shares nothing
        )
        await life.launch(self._launcher, self._order("actor", life), first)
        how = await asyncio.shield(life.ended)
        exchange.ended(MONITOR, life.incarnation, str(how), life.record())
        self._monitor = None
        life.close()
        if not self._closing:
            logger.warning("the monitor ended (%s); it is started again", _why(life, how))

    def _order(self, entry: str, life: ChildLife) -> Order:
        boot = self._boot
        return Order(
            name=life.name,
            entry=entry,
            incarnation=life.incarnation,
            env=boot.env,
            cwd="/",
            sys_path=boot.sys_path,
            fds={"recorder": life.page_fd},
        )


def _broker_memory(env: Mapping[bytes, bytes]) -> int:
    try:
        given = parse_size(os.fsdecode(env.get(BROKER_MEMORY, b"")) or None)
    except ValueError as error:
        raise ValueError(f"{BROKER_MEMORY.decode()}: {error}") from None
    return given or max(LEAST_BROKER, psutil.virtual_memory().total // BROKER_SHARE)


def _why(life: ChildLife, how: Exit) -> str:
    if life.failure is not None:
        return life.failure.text
    return str(how) if life.verdict is None else life.verdict.text
