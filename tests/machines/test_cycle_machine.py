"""The verdict on an ask that comes back, against actors that are tried out.

The model knows no rule: it plays the actors.  Each has handlers in progress that wait for others;
the question is whether anything can ever move again if the request is taken in this way or that.
"""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from actors.cycles import Hold, Judgement, Verdict, Wait, judge

NAMES = ("a", "b", "c", "d")
HOLDS = st.sampled_from(list(Hold))


def ends(hold, *, overlaps, beside):
    """Play it: does the request at "a" ever begin, if the handler that waits is as `hold` says?"""
    working = hold is not Hold.OVER  # it waits for the very request, so it ends only after it
    if hold is Hold.ALL:
        return not working
    if hold is Hold.OTHERS:
        return not working or (beside and overlaps)
    return True


@given(st.lists(st.sampled_from(NAMES), max_size=6), HOLDS, st.booleans(), st.data())
def test_what_could_not_end_is_refused_and_what_could_is_not(chain, hold, overlaps, data):
    others = data.draw(
        st.lists(st.tuples(st.sampled_from(["x", "y"]), HOLDS).map(lambda w: Wait(*w)), max_size=3)
    )
    places = [n for n, name in enumerate(chain) if name == "a"]
    closing = [(*chain[n:], "a") for n in places]
    waits = others + ([Wait(closing[0][1], hold)] if closing else [])

    verdict, path = judge("a", chain, waits, overlaps=overlaps)

    if not closing:
        assert (verdict, path) == Judgement(Verdict.QUEUE)
        return
    if verdict is Verdict.REFUSE:
        assert not ends(hold, overlaps=overlaps, beside=True)
        assert path in closing
        assert path[0] == path[-1] == "a"
    else:
        assert ends(hold, overlaps=overlaps, beside=verdict is Verdict.ADMIT)


@given(st.lists(st.sampled_from(NAMES), max_size=6), st.booleans())
def test_nobody_who_waits_means_no_circle(chain, overlaps):
    waits = [Wait(name, Hold.OVER) for name in NAMES]

    assert judge("a", chain, waits, overlaps=overlaps) == Judgement(Verdict.QUEUE)


def test_the_outermost_handler_that_would_wait_for_ever_is_named():
    waits = [Wait("b", Hold.NOTHING), Wait("c", Hold.ALL)]

    assert judge("a", ["x", "a", "b", "a", "c"], waits, overlaps=True) == Judgement(
        Verdict.REFUSE, ("a", "c", "a")
    )
