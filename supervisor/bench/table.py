"""The figures as a table for people, and what machine they are of."""

from __future__ import annotations

import os
import platform
from typing import Final

from supervisor.bench.figures import Figure

HEADER: Final = f"{'':50}{'median':>12} {'':9}{'quartiles':>21} {'beside':>12}  {'ratio':>6}"


def machine() -> str:
    """Return one line about this machine."""
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


def line(figure: Figure) -> str:
    """Return a figure as a line under `HEADER`."""
    spread = other = ""
    if figure.low is not None and figure.high is not None:
        spread = f"{number(figure.low)} .. {number(figure.high)}"
    if figure.other is not None and figure.ratio is not None:
        other = f"{number(figure.other):>12}  {figure.ratio:6.2f}  {figure.beside}"
    text = f"{figure.name:50}{number(figure.value):>12} {figure.unit:9}{spread:>21} {other}"
    return f"{text} {figure.note}".rstrip()


def number(value: float) -> str:
    """Return three digits of a number that may be large or small."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 or value == int(value) else f"{value:.3g}"
