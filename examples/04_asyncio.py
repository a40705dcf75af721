"""The same system from asyncio: await replies, gather many, overlap in an async handler."""

import asyncio
import time

import supervisor
from actors import Actor, ActorRef, Request, StreamRequest, message, receive


@message
class Read(Request[float]):
    channel: int


@message
class Mean(Request[float]):
    channels: list[int]


@message
class Watch(StreamRequest[float]):
    channel: int
    times: int


class Voltmeter(Actor):
    @receive(concurrent=True)  # others are read while this one waits for its instrument
    async def read(self, msg: Read) -> float:
        await asyncio.sleep(0.2)
        return msg.channel / 2

    @receive
    async def watch(self, msg: Watch):
        for _ in range(msg.times):
            yield await self.read(Read(msg.channel))


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
        print(await asyncio.gather(*(meter.ask(Read(c)) for c in range(10))))
        print("one after the other:", time.perf_counter() - begin > 10 * 0.2)
        print(await statistician.ask(Mean([2, 4, 6])))
        print([value async for value in meter.stream(Watch(channel=8, times=3))])


if __name__ == "__main__":
    asyncio.run(main())
