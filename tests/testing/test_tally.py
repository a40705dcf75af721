"""The first world that does not pass is the same whoever is done first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.testing.tally import Flaw, Tally

ENDS = st.lists(st.sampled_from(["passed", "failed", "died"]), max_size=30)


def first_in_order(ends):
    """What one process finds that tries them one by one."""
    for number, end in enumerate(ends):
        if end != "passed":
            return Flaw(number, "by SIGKILL" if end == "died" else "")
    return None


@given(st.data(), ENDS)
def test_the_first_flaw_is_that_of_one_process_in_whatever_order_they_end(data, ends):
    order = data.draw(st.permutations(range(len(ends))))
    tally, known = Tally(len(ends)), set()
    for number in order:
        if tally.decided:
            break
        if ends[number] == "passed":
            tally.passed(number)
        else:
            tally.flawed(number, "by SIGKILL" if ends[number] == "died" else "")
        known.add(number)

    assert tally.decided
    assert tally.first == first_in_order(ends)
    first = first_in_order(ends)
    assert known >= set(range(len(ends) if first is None else first.number + 1))


@given(st.integers(1, 20), st.data())
def test_nothing_is_decided_while_an_earlier_world_is_on_its_way(total, data):
    flaw = data.draw(st.integers(1, total))
    late = data.draw(st.integers(0, flaw - 1))
    tally = Tally(total + 1)
    tally.flawed(flaw)
    for number in range(flaw):
        if number != late:
            tally.passed(number)

    assert not tally.decided
    tally.flawed(late)
    assert tally.first == Flaw(late, "")
