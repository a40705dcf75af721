"""A density as a picture: dark where the fluid is thin, bright where it is dense."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ANCHORS: Final = np.array(
    [
        (0.0, 13, 8, 60),
        (0.25, 85, 20, 120),
        (0.5, 180, 50, 110),
        (0.75, 245, 130, 60),
        (1.0, 250, 245, 160),
    ]
)
"""Brightness against colour: steps that the eye sees as equally large."""

SIDE: Final = 512
"""Points along the longer side of the picture, at least."""


def colours(density: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return a density, shape (nx, ny), as colours, shape (ny, nx, 3), y upwards."""
    top = float(density.max())
    level = (density / top if top > 0 else density).T[::-1]
    channels = [np.interp(level, ANCHORS[:, 0], ANCHORS[:, i]) for i in (1, 2, 3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def refusal(path: Path) -> str:
    """Return why no picture could be written there, as far as can be said beforehand; "" if so."""
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    try:
        from PIL import Image  # noqa: PLC0415 - an extra: nobody else needs it
    except ImportError:
        return ""  # that need not keep anybody from the rest
    known = {end for end, kind in Image.registered_extensions().items() if kind in Image.SAVE}
    if path.suffix.lower() in known:
        return ""
    return "the name of a picture ends in .png, .jpg, .gif, .webp or .tif"


def write_picture(path: Path, density: npt.NDArray[Any]) -> None:
    """Write a density as a picture; the kind follows the name (.png, .gif, ...).

    Raises:
        ImportError: Pillow is missing; the text names the extra that brings it.
        OSError: it cannot be written.
    """
    try:
        from PIL import Image  # noqa: PLC0415 - an extra: nobody else needs it
    except ImportError:
        raise ImportError(
            "pictures need Pillow: pip install pillow (or the extra `demo`)"
        ) from None
    image = Image.fromarray(colours(np.asarray(density, dtype=np.float64)))
    scale = max(1, -(-SIDE // max(image.size)))
    image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST).save(path)
