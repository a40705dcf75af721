"""A farm of images: four farmers make three thumbnails of each, and are killed while they do.

                       ┌──▶ farmer#1 ──┐
    program ──Picture──┼──▶ farmer#2 ──┼──Thumbnails──▶ program
                       ├──▶ farmer#3 ──┤
                       └──▶ farmer#4 ──┘

The farmers are a pool: one name, and whoever is idle takes the next picture.  `redeliver=True` says
that a picture may be begun again: one that a killed farmer had in hand goes to another.  An answer
that died with its farmer is `AnswerLost`; then the program asks once more.  So every picture is
answered once, whoever dies.

The photographs are samples of PyWavelets (`pip install PyWavelets`); the pictures are details.

Prints:
    200 pictures of aero, ascent, camera
    600 thumbnails, 600 of them different; farmers killed: ...
    as made by a single process: True
    ...
"""

import asyncio
from random import Random
from typing import Annotated

import numpy as np
import pywt.data
from numpy.typing import NDArray

import supervisor
from actors import Actor, ActorRef, Request, Shape, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from supervisor import Pool, System, Tree

SIZES = (64, 128, 256)
PHOTOGRAPHS = ("aero", "ascent", "camera")
FARMERS = 4


Image = Annotated[NDArray[np.uint8], Shape(None, None)]


@message
class Thumbnails:
    name: str
    images: list[Image]


@message(redeliver=True)
class Picture(Request[Thumbnails]):
    name: str
    pixels: Image


class Farmer(Actor):
    @receive
    def shrink(self, msg: Picture) -> Thumbnails:
        return Thumbnails(msg.name, [thumbnail(msg.pixels, size) for size in SIZES])


def thumbnail(pixels: Image, size: int) -> Image:
    """Every pixel is the mean of the pixels that it stands for."""
    height, width = pixels.shape
    rows, columns = (np.arange(size) * length // size for length in (height, width))
    sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=0, dtype=int), columns, axis=1)
    ends = (
        np.diff(edges, append=n) for edges, n in zip((rows, columns), pixels.shape, strict=True)
    )
    return (sums // np.multiply.outer(*ends)).astype(np.uint8)


def pictures(count: int, side: int = 320) -> list[Picture]:
    """Details of real photographs, the same ones every time."""
    random = Random(7)
    photographs = [getattr(pywt.data, name)() for name in PHOTOGRAPHS]
    details = []
    for number in range(count):
        which = number % len(PHOTOGRAPHS)
        top, left = (random.randrange(length - side) for length in photographs[which].shape)
        pixels = photographs[which][top : top + side, left : left + side]
        details.append(Picture(f"{PHOTOGRAPHS[which]}-{number}", pixels))
    return details


async def grow(farm: ActorRef, picture: Picture) -> Thumbnails:
    """Ask until there is an answer: making a thumbnail twice does no harm."""
    while True:
        try:
            return await farm.ask(picture)
        except (NotDelivered, OutcomeUnknown):
            await asyncio.sleep(0.1)


async def harvest(system: System, todo: list[Picture]) -> tuple[list[Thumbnails], int]:
    """Every picture's thumbnails; after every twentieth, a farmer is killed at random."""
    farm, random = system.ref("farmer"), Random(13)
    crop: list[Thumbnails] = []
    killed = 0
    for done in asyncio.as_completed([grow(farm, picture) for picture in todo]):
        crop.append(await done)
        if len(crop) % 20 == 0 and len(crop) < len(todo):
            killed += system.kill(f"farmer#{random.randint(1, FARMERS)}") is not None
    return crop, killed


tree = Tree(children=[Pool(Farmer, name="farmer", size=FARMERS)])


async def main() -> None:
    todo = pictures(200)
    print(len(todo), "pictures of", ", ".join(PHOTOGRAPHS))
    async with supervisor.start(tree) as system:
        crop, killed = await harvest(system, todo)
    images = {(one.name, i.shape): i for one in crop for i in one.images}
    many = sum(len(one.images) for one in crop)
    print(f"{many} thumbnails, {len(images)} of them different; farmers killed: {killed}")
    alone = {(one.name, (n, n)): thumbnail(one.pixels, n) for one in todo for n in SIZES}
    same = all(np.array_equal(images[key], image) for key, image in alone.items())
    print("as made by a single process:", same)
    show(thumbnail(pywt.data.camera(), 64))


def show(image: Image) -> None:
    """Print a picture; a letter is twice as high as it is wide."""
    for row in image[::2] // 26:
        print("".join(" .:-=+*#%@"[shade] for shade in row))


if __name__ == "__main__":
    asyncio.run(main())
