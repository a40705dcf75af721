"""The talk, proved: hello, fizzbuzz and the farm under every single fault there can be.

Actors crash before, in and after every message, messages are lost and late, the broker is
restarted: in simulation, with the very actors of the other files.

Prints:
    every question has one answer: ... worlds in ... s: every single fault (...); none fails
    every round is a whole one: ... worlds in ... s: every single fault (...); none fails
    every picture is answered once: ... worlds in ... s: every single fault (...); none fails
"""

import asyncio

import farm
import fizzbuzz
import hello
import numpy as np

from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Simulation, check

PICTURES = farm.pictures(3, side=256)


async def every_question_has_one_answer(sim: Simulation) -> None:
    """Ten times World, or word that the world died over a question: nothing hangs, nothing else."""
    for name in hello.CLIENTS:
        try:
            assert await sim.ref(name).ask(hello.Heard()) == ["World"] * 10
        except (NotDelivered, OutcomeUnknown):
            continue
    await sim.settle()
    assert await sim.ref("world").ask(hello.Hello()) == "World"


async def every_round_is_a_whole_one(sim: Simulation) -> None:
    """Whatever a listener, a ventilator or the network does: the count is right, and goes on."""
    with sim.subscribe(fizzbuzz.Round) as rounds:
        sim.spawn(fizzbuzz.Listener, name="fizz", divisor=3, word="Fizz", last=4)
        sim.spawn(fizzbuzz.Ventilator, name="one", seconds=0.5, last=4)
        assert (await anext(rounds)).words == ["1", "2", "Fizz", "4"]
        await sim.settle()
        assert (await anext(rounds)).words == ["1", "2", "Fizz", "4"]


async def every_picture_is_answered_once(sim: Simulation) -> None:
    """The crop is what a single process would have made, whichever farmer dies."""
    farmer = sim.ref("farmer")
    crop = await asyncio.gather(*(farm.grow(farmer, picture) for picture in PICTURES))
    await sim.settle()
    assert [one.name for one in crop] == [picture.name for picture in PICTURES]
    for one, picture in zip(crop, PICTURES, strict=True):
        for image, size in zip(one.images, farm.SIZES, strict=True):
            assert np.array_equal(image, farm.thumbnail(picture.pixels, size))


PROOFS = {
    every_question_has_one_answer: hello.tree,
    every_round_is_a_whole_one: None,
    every_picture_is_answered_once: farm.tree,
}


if __name__ == "__main__":
    for scenario, tree in PROOFS.items():
        print(f"{scenario.__name__.replace('_', ' ')}: {check(scenario, tree=tree, max_faults=1)}")
