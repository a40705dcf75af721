"""Time spans that users give: seconds, as an int or a float.

A wrong one is refused in the call that was given it: later it would come out as an error of some
sum, far from where it was written.
"""

from __future__ import annotations

import math
from numbers import Real


def check_seconds(value: object, what: str = "timeout", *, least: float = -math.inf) -> None:
    """Refuse what is no time span; `math.inf` is one.

    Raises:
        TypeError: it is no number.
        ValueError: it is not a number (NaN), or not above `least`.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{what}={value!r:.80}: give seconds, as an int or a float")
    if not float(value) > least:
        above = "" if least == -math.inf else f" above {least:g}"
        raise ValueError(f"{what}={value!r:.80}: give seconds{above}")
