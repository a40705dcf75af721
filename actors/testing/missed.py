"""Why a deviation of a schedule hit nothing: nobody of that name, or no such message."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from actors.message import tag_of
from actors.testing.schedule import Deviation, Passing


class NothingHit(UserWarning):
    """A schedule was given whose deviation hits nothing: the run was one without it."""


def names_in(deviation: Deviation) -> list[str]:
    """Return the parties a deviation names."""
    return [
        value
        for name in ("actor", "to", "one", "other")
        if name in attrs.fields_dict(type(deviation))
        and isinstance(value := getattr(deviation, name), str)
    ]


def explain(deviation: Deviation, parties: Iterable[str], seen: Sequence[Passing]) -> str:
    """Return why it hit nothing in a run with these parties and messages.

    Raises `ValueError`, when it names somebody who is not there.
    """
    there = sorted(set(parties))
    for name in names_in(deviation):
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"{deviation!r}: nobody is called {name!r} in this run.{meant} "
                f"There are {', '.join(there)}."
            )
    if isinstance(deviation.at, int):
        return f"{deviation!r} hit nothing: {len(seen)} messages came before settle() or the end"
    what = f"{'answer to ' if deviation.answer else ''}{deviation.at.__name__}"
    sort = (tag_of(deviation.at), deviation.answer)
    same = [passing for passing in seen if sort in passing.contents]
    to = deviation.receiver
    mine = [passing for passing in same if to in (None, passing.target)]
    if mine or not same:
        there_were = f"{len(mine)} {what} came{f' to {to}' if to else ''}"
    else:
        others = Counter(passing.target for passing in same)
        there_were = f"{what} came to {', '.join(others)} only"
    return f"{deviation!r} hit nothing: {there_were} before settle() or the end"
