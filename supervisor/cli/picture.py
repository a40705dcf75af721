"""Pictures of a field of numbers: a still as PNG, a film as GIF.

    density (nx, ny)  --shades-->  RGB (ny, nx, 3), y upwards  --save-->  film.gif, still.png

The colours go from dark to bright in even steps for the eye, in grey print and for the colour-blind
too: the anchors are taken from viridis (van der Walt and Smith 2015, dedicated to the public domain).
Pillow writes the files; it comes with the extra `understudy[demo]` and is imported when needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ANCHORS: Final = (
    (68, 1, 84),
    (71, 44, 122),
    (59, 81, 139),
    (44, 113, 142),
    (33, 144, 141),
    (39, 173, 129),
    (92, 200, 99),
    (170, 220, 50),
    (253, 231, 37),
)
"""Colours at even distances from the lowest value to the highest."""

SUFFIXES: Final = (".gif", ".png")


class PillowMissingError(ImportError):
    """Pictures were asked for, and the package that writes them is not installed."""

    def __str__(self) -> str:
        return (
            "Pictures need Pillow, which is not installed. "
            "Install it with: pip install 'understudy[demo]'"
        )


def shades(field: NDArray[np.floating[Any]], *, low: float, high: float) -> NDArray[np.uint8]:
    """Turn numbers into colours.

    Args:
        field: shape `(nx, ny)`.
        low: the value of the darkest colour; anything below, and what is no number, looks like it.
        high: the value of the brightest colour, above `low`; anything above looks like it.

    Returns:
        Shape `(ny, nx, 3)`: rows from the top, so that y grows upwards in the picture.

    Raises:
        ValueError: the field has not two axes, or `high` is not above `low`.
    """
    if field.ndim != 2 or not low < high:  # noqa: PLR2004
        raise ValueError(
            f"Cannot draw a field of shape {field.shape} between {low} and {high}: "
            "give two axes, and a high value above the low one."
        )
    heights = np.nan_to_num((field.T[::-1] - low) / (high - low), nan=0.0)
    heights = np.clip(heights, 0, 1) * (len(ANCHORS) - 1)
    steps = np.arange(len(ANCHORS))
    channels = [np.interp(heights, steps, channel) for channel in zip(*ANCHORS, strict=True)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def save(
    path: Path, frames: Sequence[NDArray[np.uint8]], *, fps: float = 20.0, zoom: int = 1
) -> None:
    """Write frames to a file: the last one as `.png`, all of them as `.gif` that plays for ever.

    Args:
        path: where to; its suffix decides what. The file is replaced when it exists.
        frames: as `shades` makes them, one or more, all of one size.
        fps: pictures per second of the film; players show 50 at most.
        zoom: how many pixels wide and high each value becomes.

    Raises:
        ValueError: no frames, another suffix, or a rate or zoom that is not positive.
        PillowMissingError: Pillow is not installed; the text says how to get it.
        OSError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES or not frames or fps <= 0 or zoom < 1:
        raise ValueError(
            f"Cannot write {len(frames)} frames to {path.name!r} at {fps} per second, zoom {zoom}: "
            f"give one frame or more, a name that ends in {' or '.join(SUFFIXES)}, "
            "a rate above zero and a zoom from 1."
        )
    try:
        from PIL import Image  # noqa: PLC0415
    except ImportError as missing:
        raise PillowMissingError(name="PIL") from missing
    wanted = frames if suffix == ".gif" else frames[-1:]
    images = [Image.fromarray(_zoomed(frame, zoom)) for frame in wanted]
    if suffix == ".png":
        images[0].save(path)
        return
    # One palette for the whole film: with one per frame the colours would flicker.
    palette = Image.fromarray(_ladder()).quantize(256)
    first, *others = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    duration = max(20, round(1000 / fps))  # milliseconds; below 20 players fall back to 100
    first.save(path, save_all=True, append_images=others, duration=duration, loop=0)


def _zoomed(frame: NDArray[np.uint8], zoom: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(frame.repeat(zoom, axis=0).repeat(zoom, axis=1))


def _ladder() -> NDArray[np.uint8]:
    return shades(np.linspace(0, 1, 256)[:, None], low=0, high=1)
