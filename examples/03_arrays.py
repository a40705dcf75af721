"""Large arrays cross processes through shared memory; a stream of them never fills it."""

import time
from collections.abc import Iterator

import numpy as np

import supervisor
from actors import Actor, Array, Request, StreamRequest, message, receive
from actors.errors import InvalidMessage

FRAMES, SIDE = 200, 512


@message
class Scale(Request[Array["float64", ("h", "w")]]):
    image: Array["float64", ("h", "w")]
    factor: float


@message
class Frame:
    number: int
    pixels: Array["float32", (SIDE, SIDE)]


@message
class Film(StreamRequest[Frame]):
    frames: int


class Camera(Actor):
    @receive
    def scale(self, msg: Scale) -> np.ndarray:
        return msg.image * msg.factor

    @receive
    def film(self, msg: Film) -> Iterator[Frame]:
        for number in range(msg.frames):  # waits here while the reader is slow
            yield Frame(number, np.full((SIDE, SIDE), number, dtype=np.float32))


if __name__ == "__main__":
    with supervisor.start() as system:
        camera = system.spawn(Camera, name="camera")
        image = np.ones((1024, 1024))  # 8 MiB
        answer = camera.ask(Scale(image, 3.0)).result()
        print(answer.shape, float(answer.mean()), "writeable:", answer.flags.writeable)
        try:
            camera.ask(Scale(image.astype("float32"), 3.0))
        except InvalidMessage as error:
            print(f"{error.message}.{error.field}: {error.reason}")
        begin = time.perf_counter()
        numbers = [int(frame.pixels[0, -1]) for frame in camera.stream(Film(FRAMES))]
        seconds = time.perf_counter() - begin
        print(len(numbers), "frames in order:", numbers == list(range(FRAMES)))
        print(f"{FRAMES * SIDE * SIDE * 4 / seconds / 1e6:.0f} MB/s")
