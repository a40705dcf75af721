"""Every promise in `docs/explanation/differences.md` has a test of its number, or a reason."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "explanation" / "differences.md"
ROW = re.compile(r"^\| (\d+)\.(\d+) \| ([^|]+) \|([^|]*)\|$", re.MULTILINE)
NAME = re.compile(r"^ *(?:async )?def test_(\w+)\(", re.MULTILINE)
NUMBER = re.compile(r"(?:^|_and_)([014])_(\d\d)(?=_)")
MANY = {0: [*range(1, 15), *range(23, 33)], 1: range(1, 31), 4: range(1, 13)}


def _listed():
    """What the page says to be otherwise, by number; "" where it says nothing."""
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return [((int(origin), int(number)), other.strip()) for origin, number, _, other in rows]


def _tested():
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in NAME.findall(path.read_text(encoding="utf-8")):
            for origin, number in NUMBER.findall(name):
                yield int(origin), int(number)


def test_the_page_lists_every_promise_once():
    counted = Counter(number for number, _ in _listed())

    assert counted == {(origin, number): 1 for origin, few in MANY.items() for number in few}


def test_every_promise_has_a_test_or_a_reason_why_it_has_none():
    tested = set(_tested())

    assert [number for number, other in _listed() if not other and number not in tested] == []


def test_no_test_has_the_number_of_no_promise():
    assert set(_tested()) - {number for number, _ in _listed()} == set()
