"""The receiver's half of a link."""

from __future__ import annotations

import pytest

from actors.link import Inbound


def received(*numbers, base=1):
    inbound = Inbound(base, 1)
    for number in numbers:
        inbound.accept(number)
    return inbound


def test_the_next_number_is_accepted_once():
    inbound = Inbound(1)

    assert [inbound.accept(1), inbound.accept(1), inbound.accept(2)] == [True, False, True]


def test_a_lane_may_begin_at_any_number():
    assert Inbound(7).accept(7)


def test_a_gap_is_asked_for_once_however_much_comes_early():
    inbound = received(1, 3)
    assert inbound.demand()

    inbound.accept(4)
    inbound.accept(5)

    assert not inbound.gap
    assert not inbound.demand()


def test_the_next_gap_is_asked_for_again():
    inbound = received(1, 3)
    inbound.demand()
    inbound.accept(2)
    inbound.accept(4)

    assert inbound.demand()


def test_a_probe_renews_the_demand_because_its_answer_is_lost_too():
    inbound = received(1, 3)
    inbound.demand()

    inbound.probed(3)
    inbound.notice_last(3)

    assert inbound.demand()


def test_a_lost_tail_is_noticed_by_the_last_number_sent():
    inbound = received(1)

    inbound.notice_last(1)
    assert not inbound.gap
    inbound.notice_last(2)
    assert inbound.gap


def test_a_repeated_letter_makes_an_acknowledgement_due():
    inbound = received(1)

    inbound.accept(1)

    assert inbound.owed == 1


def test_the_mark_passes_what_was_finished_early():
    inbound = received(1, 2, 3)

    assert [inbound.finish(3), inbound.finish(2)] == [0, 0]
    assert inbound.unfinished == 1
    assert inbound.finish(1) == 3
    assert inbound.unfinished == 0
    assert inbound.news() == []


def test_news_of_early_ones_is_told_once_unless_everything_is_wanted():
    inbound = received(1, 2, 3)
    inbound.finish(3)

    assert inbound.news() == [3, 3]
    assert inbound.news() == []
    assert inbound.news(everything=True) == [3, 3]
    inbound.finish(2)
    assert inbound.news(everything=True) == [2, 3]
    assert inbound.news() == []


def test_what_is_finished_behind_a_long_one_takes_no_memory_by_its_number():
    inbound = received(*range(1, 3001))
    for number in range(2, 3001):
        inbound.finish(number)

    assert inbound.unfinished == 1
    assert len(inbound._early._lasts) == 1
    assert inbound.news(everything=True) == [2, 3000]
    assert inbound.finish(1) == 3000


def test_large_messages_weigh_until_they_are_finished():
    inbound = received(1, 2, 3)
    inbound.weigh(1, 100)
    inbound.weigh(3, 50)
    weights = [inbound.bytes]
    for number in (3, 2, 1):
        inbound.finish(number)
        weights.append(inbound.bytes)

    assert weights == [150, 100, 100, 0]


def test_news_clears_what_is_owed():
    inbound = received(1)
    inbound.finish(1)
    assert inbound.owed == 1

    inbound.news()

    assert inbound.owed == 0


def test_a_probe_is_remembered_until_everything_up_to_it_is_finished():
    inbound = received(1, 2)
    inbound.probed(2)

    assert inbound.finish(1) < inbound.wanted
    assert inbound.finish(2) >= inbound.wanted
    inbound.news()
    assert inbound.handled < inbound.wanted


def test_a_probe_of_what_is_finished_already_waits_for_nothing():
    inbound = received(1, 2)
    inbound.finish(1)

    inbound.probed(1)

    assert inbound.finish(2) < inbound.wanted


DAY = 86_400.0


@pytest.mark.parametrize("drift", [20e-6, -20e-6], ids=["ours gains", "theirs gains"])
def test_the_difference_of_two_clocks_is_followed_for_days(drift):
    inbound = Inbound(1, 1)
    for second in range(0, int(3 * DAY), 60):
        ours = 1000.0 + second * (1.0 + drift)
        inbound.compare_clocks(ours, 400.0 + second)

    assert inbound.ahead == pytest.approx(600.0 + 3 * DAY * drift, abs=0.01)


def test_a_batch_that_was_late_hardly_counts_as_a_difference_of_the_clocks():
    inbound = Inbound(1, 1)
    inbound.compare_clocks(1000.0, 400.0)

    inbound.compare_clocks(1012.0, 402.0)

    assert inbound.ahead == pytest.approx(600.0, abs=0.002)
