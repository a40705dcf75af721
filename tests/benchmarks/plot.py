"""Curves as a picture: figures in, the text of an SVG out.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

import attrs

from supervisor.bench.figures import Figure

WIDTH, HEIGHT, EDGE = 640, 400, 64
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37")


@attrs.frozen
class Curve:
    """A line through points; both numbers are above 0."""

    name: str
    points: tuple[tuple[float, float], ...]


def curves(figures: Sequence[Figure]) -> list[Curve]:
    """Return what grows with what, as measured, and beside it what it was compared with."""
    placed = [(figure.at, figure) for figure in figures if figure.at is not None]
    ours = tuple((at, figure.value) for at, figure in placed)
    other = tuple((at, figure.other) for at, figure in placed if figure.other is not None)
    beside = next((figure.beside for _, figure in placed if figure.beside), "")
    found = [Curve("understudy", ours), Curve(beside, other)]
    return [curve for curve in found if curve.points]


def svg(title: str, across: str, up: str, lines: Sequence[Curve]) -> str:
    """Return a picture with two logarithmic axes."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    low, high = _decades(ys)
    left, right = math.log10(min(xs)), math.log10(max(xs)) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        share = (math.log10(x) - left) / ((right - left) or 1.0)
        rise = (math.log10(y) - low) / (high - low)
        return EDGE + share * (WIDTH - 2 * EDGE), HEIGHT - EDGE - rise * (HEIGHT - 2 * EDGE)

    space = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    parts = [
        f'<svg {space} font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(WIDTH / 2, 28, title, size=15),
        _text(WIDTH / 2, HEIGHT - 16, across),
        _text(EDGE, 52, up),
    ]
    for decade in range(low, high + 1):
        _, y = place(min(xs), 10.0**decade)
        parts += [_rule(EDGE, y, WIDTH - EDGE, y), _text(EDGE - 30, y + 4, f"{10.0**decade:g}")]
    for x in sorted({x for line in lines for x, _ in line.points}):
        where, _ = place(x, min(ys))
        parts.append(_text(where, HEIGHT - EDGE + 18, _short(x)))
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        spots = [place(x, y) for x, y in line.points]
        parts += [
            f'<path d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" stroke="{colour}" stroke-width="2"/>'
            for (a, b), (c, d) in pairwise(spots)
        ]
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in spots]
        parts.append(_text(WIDTH - EDGE - 90, 52 + 18 * number, line.name, colour=colour))
    return "\n".join([*parts, "</svg>", ""])


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _rule(a: float, b: float, c: float, d: float) -> str:
    return f'<path d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, *, size: int = 12, colour: str = "black") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="middle"'
    return f'<text {place} font-size="{size}" fill="{colour}">{escape(text)}</text>'


def _short(number: float) -> str:
    for unit, step in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if number >= step:
            return f"{number / step:g}{unit}"
    return f"{number:g}"
