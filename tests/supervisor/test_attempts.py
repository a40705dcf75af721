"""Zygotes that die before they are ready: when it is enough, and whose fault it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor.launcher.attempts import ATTEMPTS, CRASHES, Attempts

LOADING = st.sampled_from(["", "lab.detectors", "lab.optics"])


@given(st.lists(LOADING, max_size=12))
def test_a_module_is_blamed_for_two_deaths_in_a_row_and_nothing_for_five(deaths):
    attempts = Attempts()
    since: list[str] = []  # what was imported at each death since the last answer
    for loading in deaths:
        since.append(loading)
        text = attempts.died(loading)

        if loading and since[-CRASHES:] == [loading] * CRASHES:
            assert attempts.module == loading
            assert loading in text
            since = []
        elif len(since) >= ATTEMPTS:
            assert not attempts.module
            assert "zygotes in a row" in text
            since = since[1:]  # the next one to die is one too many again
        else:
            assert (text, attempts.module) == ("", "")


def test_one_crash_of_each_of_two_modules_is_nobodys_fault():
    attempts = Attempts()
    assert [attempts.died(name) for name in ("ma", "mb", "", "ma")] == [""] * 4
