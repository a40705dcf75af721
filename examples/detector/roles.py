"""The actors of the detector's story, and what they say to each other."""

import asyncio
import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np

from actors import Actor, ActorRef, Request, Terminated, message, receive
from actors.streams import ImageSequence, MetaKeyword, Packet, PacketType, Reader, Writer, image_of

K = MetaKeyword
NUMBER, SHA = K.IMAGE_SEQUENCE_NUMBER, "sha256"
WINDOW = 12  # frames kept until they are stored: 53 MB
SLICE, PAUSE = 0.5, 0.005  # seconds of reading, and of a pause in which the actor can be stopped
WRITERS = ("writer-1", "writer-2")


@message
class Start(Request[None]):
    frames: int
    rate: float  # a second


@message
class Tick:
    pass


@message
class Stored:
    number: int
    fresh: bool  # else it was on disk already


@message
class Health:
    sent: int
    written: int
    dropped: int
    again: int
    twice: int
    done: bool


@message
class Progress(Request[Health]):
    pass


class Detector(Actor):
    shape: tuple[int, int]
    files: dict[str, str]
    live: dict[str, str]

    def on_start(self) -> None:
        random = np.random.default_rng(1)
        self.photons = [random.poisson(3, self.shape).astype("uint32") for _ in range(3)]
        self.images = ImageSequence()
        self.to_files, self.to_live = Writer(self.files), Writer(self.live)
        self.to_files.activate()
        self.to_live.activate()
        self.kept: dict[int, tuple[dict, bytes]] = {}  # not stored yet
        self.unsent: list[int] = []
        self.fresh: set[int] = set()
        self.written = self.dropped = self.again = self.twice = 0

    @receive
    async def start(self, msg: Start) -> None:
        await self.to_files.peer(count=len(WRITERS))
        await self.to_live.peer()
        for name in WRITERS:
            self.context.watch(self.context.actor(name))
        self.frames = msg.frames
        self.to_live.write(self.images.start(time.time()))
        self.ticks = self.context.tell_every(1 / msg.rate, Tick())

    @receive
    def tick(self, _msg: Tick) -> None:
        if self.images.images < self.frames:
            self.take_frame()
        elif not self.kept:
            self.ticks.cancel()
            self.to_live.write(self.images.end(time.time()))
        self.send()

    def take_frame(self) -> None:
        image = self.photons[self.images.images % len(self.photons)]
        image[0, 0] = self.images.images
        data = image.tobytes()
        meta = self.images.frame(image, time.time()) | {SHA: hashlib.sha256(data).hexdigest()}
        self.to_live.write(meta, data)
        if len(self.kept) < WINDOW:
            self.kept[meta[NUMBER]] = meta, data
            self.unsent.append(meta[NUMBER])
        else:
            self.dropped += 1

    def send(self) -> None:
        """Send what waits, unless that would replace a frame that waits in the writer."""
        while self.unsent:
            try:
                self.to_files.flush(timeout=0)
            except TimeoutError:
                return
            self.to_files.write(*self.kept[self.unsent.pop(0)])

    @receive
    def stored(self, msg: Stored) -> None:
        self.twice += msg.fresh and msg.number in self.fresh
        self.fresh |= {msg.number} if msg.fresh else set()
        self.written += self.kept.pop(msg.number, None) is not None
        self.unsent = [number for number in self.unsent if number in self.kept]
        self.send()

    @receive
    def died(self, _msg: Terminated) -> None:
        """What the dead writer had in hand is not known: send all that is not stored."""
        self.again += len(self.kept) - len(self.unsent)
        self.unsent = sorted(self.kept)

    @receive
    def progress(self, _msg: Progress) -> Health:
        sent = self.images.images
        done = sent == self.frames and not self.kept
        return Health(sent, self.written, self.dropped, self.again, self.twice, done)

    def on_stop(self, reason: str) -> None:  # noqa: ARG002 - every end is the same to it
        self.to_files.close()
        self.to_live.close()


@message
class Go:
    pass


class Listener(Actor):
    """Reads a stream in slices, so that it can be stopped."""

    source: dict[str, str]

    def on_start(self) -> None:
        self.reader = Reader(self.source)
        self.reader.activate()
        self.context.tell_after(0, Go())

    @receive(concurrent=True)
    async def listen(self, _msg: Go) -> None:
        try:
            async with asyncio.timeout(SLICE):
                async for packet in self.reader:
                    if packet.meta[K.PACKET_TYPE] == PacketType.FRAME:
                        self.take(packet)
        except TimeoutError:
            pass
        self.context.tell_after(PAUSE, Go())

    def on_stop(self, reason: str) -> None:  # noqa: ARG002 - every end is the same to it
        self.reader.close()

    def take(self, packet: Packet) -> None:
        raise NotImplementedError


class FileWriter(Listener):
    folder: str
    detector: ActorRef

    def take(self, packet: Packet) -> None:
        number, image = packet.meta[NUMBER], image_of(packet)
        if hashlib.sha256(packet.data).hexdigest() != packet.meta[SHA]:
            raise ValueError(f"frame {number} is not what was sent")
        meta = json.dumps(packet.meta).encode()
        self.put(number, "data", image.tobytes())  # there already: of a life that came no further
        fresh = self.put(number, "json", meta)
        self.detector.tell(Stored(number, fresh))

    def put(self, number: int, ending: str, data: bytes) -> bool:
        """Write a file that is whole from the moment it is there; whoever is first has it."""
        part = Path(self.folder) / f".{self.context.name}.part"
        part.unlink(missing_ok=True)  # a killed life's, perhaps a second name of what it stored
        part.write_bytes(data)
        try:
            os.link(part, Path(self.folder) / f"{number:05}.{ending}")
        except FileExistsError:
            return False
        finally:
            part.unlink()
        return True


@message
class Seen:
    frames: int
    ordered: bool
    oldest: float  # seconds from the detector's clock to this process


@message
class Look(Request[Seen]):
    pass


class LiveView(Listener):
    def on_start(self) -> None:
        self.numbers: list[int] = []
        self.oldest = 0.0
        super().on_start()

    def take(self, packet: Packet) -> None:
        self.numbers.append(packet.meta[NUMBER])
        self.oldest = max(self.oldest, time.time() - packet.meta[K.PACKET_ENQUEUED_TIME])

    @receive
    def look(self, _msg: Look) -> Seen:
        ordered = self.numbers == sorted(set(self.numbers))
        return Seen(len(self.numbers), ordered, self.oldest)


@message
class Took(Request[float]):
    """Bytes a second of the next `count` packets."""

    count: int


class Sink(Actor):
    source: dict[str, str]

    def on_start(self) -> None:
        self.reader = Reader(self.source)
        self.reader.activate()

    def on_stop(self, reason: str) -> None:  # noqa: ARG002 - every end is the same to it
        self.reader.close()

    @receive
    async def took(self, msg: Took) -> float:
        await self.reader.next_async()
        begun, size = time.perf_counter(), 0
        for _ in range(msg.count):
            size += (await self.reader.next_async()).data.nbytes
        return size / (time.perf_counter() - begun)
