"""Asks and tells, from plain code and from asyncio, beside raw pyzmq."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Generator

import supervisor
from actors import ActorRef
from supervisor.bench.cast import Add, AsyncPlayer, Note, Noted, Player
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.rivals import Stage

ROUND_TRIPS = 200
MANY = 2000
TELLS = 5000

RELAYED = "raw pyzmq, Python broker"
DIRECT = "raw pyzmq, no broker"


@contextlib.contextmanager
def stages() -> Generator[tuple[ActorRef, ActorRef, Stage, Stage]]:
    """Open our system with its two actors, and both rivals."""
    with (
        supervisor.start() as system,
        Stage(relayed=True) as relayed,
        Stage(relayed=False) as direct,
    ):
        ours = system.spawn(Player, name="player")
        coroutine = system.spawn(AsyncPlayer, name="async-player")
        yield ours, coroutine, relayed, direct


def timed(count: int, act: Callable[[], object]) -> Callable[[], float]:
    """Seconds per act, over `count` of them."""

    def run() -> float:
        begun = time.perf_counter()
        for _ in range(count):
            act()
        return (time.perf_counter() - begun) / count

    return run


def rate(count: int, act: Callable[[int], object]) -> Callable[[], float]:
    """Messages per second of one act with `count` of them."""

    def run() -> float:
        begun = time.perf_counter()
        act(count)
        return count / (time.perf_counter() - begun)

    return run


def ask_many(ref: ActorRef, count: int) -> None:
    """Ask so many times before any answer is looked at."""
    replies = [ref.ask(Add(1.5, 2.5)) for _ in range(count)]
    for reply in replies:
        reply.result()


def tell_many(ref: ActorRef, count: int) -> None:
    """Tell so many times; return when all are handled."""
    for _ in range(count):
        ref.tell(Note(1.5, 2.5))
    handled = ref.ask(Noted()).result()
    assert handled == count, f"{handled} of {count} tells were handled"


def ask_plain(repeats: int) -> list[Figure]:
    """Round trips and pipelined asks from plain code."""
    with stages() as (ours, coroutine, relayed, direct):
        trips = rounds(
            repeats,
            {
                "ours": timed(ROUND_TRIPS, lambda: ours.ask(Add(1.5, 2.5)).result()),
                "async": timed(ROUND_TRIPS, lambda: coroutine.ask(Add(1.5, 2.5)).result()),
                RELAYED: timed(ROUND_TRIPS, relayed.ask),
                DIRECT: timed(ROUND_TRIPS, direct.ask),
            },
        )
        rates = rounds(
            repeats,
            {
                "ours": rate(MANY, lambda count: ask_many(ours, count)),
                RELAYED: rate(MANY, relayed.ask_many),
                DIRECT: rate(MANY, direct.ask_many),
            },
        )
    return [
        *trip_figures("ask round trip, plain code", trips),
        *rate_figures(f"pipelined asks, plain code, {MANY} in flight", rates),
    ]


def clients(repeats: int) -> list[Figure]:
    """The same round trip from plain code and from asyncio, beside each other."""
    loop = asyncio.new_event_loop()
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        trip = loop_trip(lambda: player.ask(Add(1.5, 2.5)))
        trips = rounds(
            repeats,
            {
                "plain": timed(ROUND_TRIPS, lambda: player.ask(Add(1.5, 2.5)).result()),
                "asyncio": lambda: loop.run_until_complete(trip()),
            },
        )
    loop.close()
    micro = {key: [value * 1e6 for value in values] for key, values in trips.items()}
    name = "ask round trip from asyncio"
    return [compared(name, "us", micro["asyncio"], micro["plain"], beside="from plain code")]


def tell(repeats: int) -> list[Figure]:
    """One-way messages."""
    with stages() as (ours, _, relayed, direct):
        rates = rounds(
            repeats,
            {
                "ours": rate(TELLS, lambda count: tell_many(ours, count)),
                RELAYED: rate(TELLS, relayed.tell_many),
                DIRECT: rate(TELLS, direct.tell_many),
            },
        )
    return rate_figures("tells one way", rates)


def trip_figures(name: str, trips: dict[str, list[float]]) -> list[Figure]:
    """Make figures of round trips: a `def` handler's, and a coroutine's."""
    micro = {key: [value * 1e6 for value in values] for key, values in trips.items()}
    return [
        compared(name, "us", micro["ours"], micro[RELAYED], beside=RELAYED),
        compared(name, "us", micro["ours"], micro[DIRECT], beside=DIRECT),
        compared(f"{name}, async handler", "us", micro["async"], micro[RELAYED], beside=RELAYED),
    ]


def rate_figures(name: str, rates: dict[str, list[float]]) -> list[Figure]:
    """Make figures of messages per second."""
    return [
        compared(name, "/s", rates["ours"], rates[RELAYED], beside=RELAYED),
        compared(name, "/s", rates["ours"], rates[DIRECT], beside=DIRECT),
    ]


def loop_trip(ask: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[float]]:
    """Seconds per awaited answer, over `ROUND_TRIPS` of them."""

    async def run() -> float:
        begun = time.perf_counter()
        for _ in range(ROUND_TRIPS):
            await ask()
        return (time.perf_counter() - begun) / ROUND_TRIPS

    return run
