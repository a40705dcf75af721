"""Events under faults: a subscriber that falls misses nothing while the publisher lives."""

from __future__ import annotations

from actors import Actor, DeadLetter, Request, message, receive
from actors.testing import check


@message
class News:
    n: int


@message
class Last(Request[int]):
    pass


@message
class Kept:
    n: int


class Listener(Actor):
    """Knows the last number that it has handled, across its lives."""

    def on_start(self) -> None:
        self.last = 0
        self.context.subscribe(News)

    def restore(self, state: Kept) -> None:
        self.last = state.n

    @receive
    def news(self, msg: News) -> None:
        assert msg.n > self.last, f"{msg.n} after {self.last}"
        self.last = msg.n
        self.context.save(Kept(msg.n))

    @receive
    def tell_last(self, msg: Last) -> int:
        return self.last


def test_a_subscriber_hears_everything_in_order_whatever_goes_wrong():
    async def scenario(sim):
        lost = sim.subscribe(DeadLetter)
        listener = sim.spawn(Listener, name="listener")
        with sim.subscribe(News) as news:
            for n in (1, 2, 3):
                sim.publish(News(n))
            assert [(await anext(news)).n for _ in range(3)] == [1, 2, 3]
        await sim.settle()
        letters = []
        while lost.done():
            letters.append(await anext(lost))
        # The one that was in progress at a death is a dead letter, and no other.
        assert len(letters) <= 1
        last = await listener.ask(Last())
        assert last == 3 or (letters and letters[0].text == "News(n=3)")

    report = check(scenario, max_faults=1)

    assert report.exhaustive
