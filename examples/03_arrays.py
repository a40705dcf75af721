"""Large arrays cross processes through shared memory; a stream of them never fills it.

Prints:
    (1024, 1024) 3.0 writeable: False
    Scale.image: expected an array of float64, got float32
    200 frames in order: True
    ... MB/s
"""

import time
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

import supervisor
from actors import Actor, Request, Shape, StreamRequest, message, receive
from actors.errors import InvalidMessage

FRAMES, SIDE = 200, 512


@message
class Scale(Request[NDArray[np.float64]]):
    image: Annotated[NDArray[np.float64], Shape("h", "w")]
    factor: float


@message
class Film(StreamRequest[NDArray[np.float32]]):
    frames: int


class Camera(Actor):
    @receive
    def scale(self, msg: Scale) -> NDArray[np.float64]:
        return msg.image * msg.factor

    @receive
    def film(self, msg: Film) -> Iterator[NDArray[np.float32]]:
        for number in range(msg.frames):  # waits here while the reader is slow
            yield np.full((SIDE, SIDE), number, dtype=np.float32)


if __name__ == "__main__":
    with supervisor.start() as system:
        camera = system.spawn(Camera, name="camera")
        image = np.ones((1024, 1024))  # 8 MiB
        answer = camera.ask(Scale(image, 3.0)).result()
        print(answer.shape, answer.mean(), "writeable:", answer.flags.writeable)
        try:
            camera.ask(Scale(image.astype(np.float32), 3.0))
        except InvalidMessage as error:
            print(f"{error.message}.{error.field}: {error.reason}")
        begin = time.perf_counter()
        numbers = [int(frame[0, -1]) for frame in camera.stream(Film(FRAMES))]
        seconds = time.perf_counter() - begin
        print(len(numbers), "frames in order:", numbers == list(range(FRAMES)))
        print(f"{FRAMES * SIDE * SIDE * 4 / seconds / 1e6:.0f} MB/s")
