"""The simulation: how many worlds a second, and how long a proof for one fault takes."""

from __future__ import annotations

import contextlib
import time

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import check, simulate
from actors.testing.escapes import staged
from tests.benchmarks.cast import Add, Player
from tests.benchmarks.figures import Figure, compared, rounds

BLOCK = 20  # worlds in one round


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
        check(five_actors, max_faults=1)
        return time.process_time() - begun

    found = rounds(repeats, {"many": many, "talk": talk})
    proofs = rounds(max(1, repeats // 5), {"proof": proof})
    return [
        compared("worlds of 5 actors and 20 messages", "/s", found["many"]),
        compared("a message in a simulated talk", "us", found["talk"]),
        compared("every single fault of that world", "s", proofs["proof"]),
    ]
