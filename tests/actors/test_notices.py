"""Messages as text, in dead letters."""

from __future__ import annotations

from actors.notices import LONGEST_TEXT, text_of


class Mute:
    def __repr__(self):
        raise RuntimeError("no words")


def test_a_message_is_shown_as_it_shows_itself():
    assert text_of(("a", 1)) == "('a', 1)"


def test_a_long_text_is_cut():
    text = text_of("x" * 1000)

    assert len(text) == LONGEST_TEXT
    assert text.endswith("x...")


def test_a_message_that_cannot_show_itself_harms_nobody():
    assert text_of(Mute()) == "<Mute, whose repr raised RuntimeError>"
