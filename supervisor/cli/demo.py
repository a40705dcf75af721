"""`understudy demo`: the main job, from beginning to end."""

from __future__ import annotations


def demo(*, seconds: float = 20.0, size: int = 64, json: bool = False) -> int:
    """Solve a stirred superfluid live, with viewers, and kill its server on the way.

    Parameters
    ----------
    seconds:
        How long to run.
    size:
        Points along each side of the grid.
    json:
        Print the summary as one JSON object.
    """
    raise NotImplementedError
