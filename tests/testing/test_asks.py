"""Asks under faults: every one ends, and a circle of them ends at once, by name."""

from __future__ import annotations

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import AskCycle, DeadlineExceeded, NotDelivered, OutcomeUnknown
from actors.testing import check


@message
class Path(Request[tuple[str, ...]]):
    stops: tuple[ActorRef, ...]


class Blocking(Actor):
    @receive
    def path(self, msg: Path) -> tuple[str, ...]:
        rest = msg.stops[0].ask(Path(msg.stops[1:])).result() if msg.stops else ()
        return (self.context.name, *rest)


class Awaiting(Actor):
    @receive
    async def path(self, msg: Path) -> tuple[str, ...]:
        rest = await msg.stops[0].ask(Path(msg.stops[1:])) if msg.stops else ()
        return (self.context.name, *rest)


def test_a_circle_is_refused_by_name_whatever_goes_wrong():
    async def scenario(sim):
        a, b = sim.spawn(Blocking, name="a"), sim.spawn(Awaiting, name="b")
        path = ("a", "b", "a")
        try:
            await a.ask(Path((b, a)))
        except DeadlineExceeded:
            raise
        except AskCycle as error:
            path = error.path
        except (NotDelivered, OutcomeUnknown):
            pass  # somebody died in the middle
        else:
            raise AssertionError("a circle was answered")
        assert path == ("a", "b", "a")
        await sim.settle()
        assert await a.ask(Path((b,))) == ("a", "b")

    report = check(scenario, max_faults=1)

    assert report.exhaustive
