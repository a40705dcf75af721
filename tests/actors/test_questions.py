"""The way back to a REQ socket, and the text it is told when it gets no answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.gateway.questions import ERROR, error_frame, way_back


@given(st.lists(st.binary(min_size=1), min_size=1), st.lists(st.binary()))
def test_the_way_back_ends_with_the_first_empty_frame(hops, said):
    assert way_back([*hops, b"", *said]) == ([*hops, b""], said)
    assert way_back(hops) is None


@given(st.text())
def test_an_error_is_one_line_that_begins_with_the_word_error(text):
    line = error_frame(text)

    assert line.startswith(ERROR)
    assert len(line.decode().splitlines()) == 1
    assert len(line.decode()) <= len("Error: ") + 1000


def test_an_error_without_words_is_told_by_its_class():
    assert error_frame(ZeroDivisionError()) == b"Error: ZeroDivisionError"
    assert error_frame(" \n") == b"Error: no reason was given"
