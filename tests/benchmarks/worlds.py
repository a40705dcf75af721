"""The simulation: how many worlds a second, and how long a proof for one fault takes.

Where several processes share the work, only the time on the clock says what that is worth; all
other figures are this process's own time.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import check, simulate
from actors.testing.escapes import staged
from supervisor.bench.cast import Add, Player
from supervisor.bench.figures import Figure, compared, rounds

BLOCK = 20  # worlds in one round
PAIRED = ("bank", "commit", "dedupe", "replica")  # whose docstrings say that all pairs pass
MOST = 5_000  # pairs
PROTOCOLS = Path(__file__).resolve().parents[2] / "examples" / "protocols"


@message
class Relay(Request[float]):
    x: float


class Caller(Actor):
    """Asks another actor before it answers."""

    target: ActorRef

    @receive
    def relay(self, msg: Relay) -> float:
        return self.target.ask(Add(msg.x, 1)).result()


async def five_actors(sim):
    """Five actors, twenty messages."""
    target = sim.spawn(Player, name="target")
    callers = [sim.spawn(Caller, name=f"caller{n}", target=target) for n in range(4)]
    for number in range(5):
        with contextlib.suppress(NotDelivered, OutcomeUnknown):
            await callers[number % 4].ask(Relay(number))


async def long_talk(sim):
    """One actor, a thousand messages."""
    target = sim.spawn(Player, name="target")
    for number in range(500):
        await target.ask(Add(number, 1))


def worlds(repeats: int) -> list[Figure]:
    """Worlds a second; microseconds a message; a proof for one fault: this process's own time."""

    def many() -> float:
        begun = time.process_time()
        with staged():
            for _ in range(BLOCK):
                run = simulate(five_actors)
                assert run.error is None
        return BLOCK / (time.process_time() - begun)

    def talk() -> float:
        begun = time.process_time()
        run = simulate(long_talk)
        assert run.error is None
        return (time.process_time() - begun) / len(run.delivered) * 1e6

    def proof() -> float:
        begun = time.process_time()
        check(five_actors, max_faults=1, processes=1)
        return time.process_time() - begun

    def rate(processes: int | None) -> float:
        report = check(five_actors, max_faults=1, processes=processes)
        return report.worlds / report.seconds

    found = rounds(repeats, {"many": many, "talk": talk})
    proofs = rounds(
        max(1, repeats // 5),
        {"proof": proof, "all": lambda: rate(None), "one": lambda: rate(1)},
    )
    return [
        compared("worlds of 5 actors and 20 messages", "/s", found["many"]),
        compared("a message in a simulated talk", "us", found["talk"]),
        compared("every single fault of that world", "s", proofs["proof"]),
        compared(
            "worlds under single faults, all processors",
            "/s",
            proofs["all"],
            proofs["one"],
            beside="one process",
        ),
    ]


def gallery(repeats: int) -> list[Figure]:
    """Return how long every single fault of each protocol in `examples/protocols/` takes."""
    return [_singles(path.stem, max(1, repeats // 5)) for path in sorted(PROTOCOLS.glob("*.py"))]


def pairs() -> list[Figure]:
    """Try every pair of faults of the smaller protocols, once; whatever fails is raised."""
    reports = [(name, check(_correct(name), max_faults=2, examples=MOST)) for name in PAIRED]
    assert all(report.exhaustive == 2 for _, report in reports)
    return [
        Figure(
            f"every pair of faults of {name}",
            report.seconds,
            "s",
            note=f"({report.worlds} worlds, {report.processes} processes)",
        )
        for name, report in reports
    ]


def _correct(name: str) -> Callable[..., Awaitable[object]]:
    sys.path[:0] = [] if str(PROTOCOLS) in sys.path else [str(PROTOCOLS)]
    return importlib.import_module(name).correct


def _singles(name: str, repeats: int) -> Figure:
    correct = _correct(name)

    def seconds(processes: int | None) -> float:
        return check(correct, max_faults=1, processes=processes).seconds

    found = rounds(repeats, {"all": lambda: seconds(None), "one": lambda: seconds(1)})
    report = check(correct, max_faults=1)
    note = f"({report.worlds} worlds, {report.processes} processes)"
    return compared(
        f"every single fault of {name}",
        "s",
        found["all"],
        found["one"],
        beside="one process",
        note=note,
    )
