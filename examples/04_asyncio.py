"""The same system from asyncio: await replies, gather many, overlap in an async handler.

Prints:
    [0.0, 0.5, 1.0, 1.5, 2.0]
    one after the other: False
    2.0
"""

import asyncio
import time

import supervisor
from actors import Actor, ActorRef, Request, message, receive


@message
class Read(Request[float]):
    channel: int


@message
class Mean(Request[float]):
    channels: list[int]


class Voltmeter(Actor):
    @receive(concurrent=True)  # others are read while this one waits for its instrument
    async def read(self, msg: Read) -> float:
        await asyncio.sleep(0.4)
        return msg.channel / 2


class Statistician(Actor):
    meter: ActorRef

    @receive
    async def mean(self, msg: Mean) -> float:
        values = await asyncio.gather(*(self.meter.ask(Read(c)) for c in msg.channels))
        return sum(values) / len(values)


async def main() -> None:
    async with supervisor.start() as system:
        meter = system.spawn(Voltmeter, name="meter")
        statistician = system.spawn(Statistician, name="statistician", meter=meter)
        begin = time.perf_counter()
        print(await asyncio.gather(*(meter.ask(Read(c)) for c in range(5))))
        print("one after the other:", time.perf_counter() - begin > 5 * 0.4)
        print(await statistician.ask(Mean([2, 4, 6])))


if __name__ == "__main__":
    asyncio.run(main())
