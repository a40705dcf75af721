"""Names for cases of a test, the same in every process: workers compare what they have found."""

from __future__ import annotations

import re

import pytest

_DIFFERS = re.compile(r"[{]| at 0x|UUID\(")
"""What follows is an order, an address or a number that another process has not."""


def numbered(cases):
    """Give each case a readable id of its own."""
    return [
        pytest.param(*case, id=f"{number}-{_DIFFERS.split(ascii(case)[1:60])[0]}")
        for number, case in enumerate(cases)
    ]
