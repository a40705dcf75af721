"""Who hangs, and who takes too much (supervisor/liveness.py)."""

from __future__ import annotations

import math

import pytest

from actors.blackbox import InProgress, Pulse
from actors.recorder import State
from supervisor.limits import Limits
from supervisor.liveness import LATEST, Condition, Fault, Liveness, Reading, Sample

LIMITS = Limits(handler_seconds=4.0)


def idle(alive_at, engaged=0, state=State.IDLE):
    return Pulse(state, alive_at, None, engaged, None)


def busy(alive_at, since, tag="shop:Order"):
    return Pulse(State.BUSY, alive_at, since, 0, InProgress(b"r" * 16, 1, tag, since, "till/1"))


def seen(condition=Condition.SLEEPING, cpu=0.0, memory=0, waited=0.0):
    return Sample(condition, cpu, memory, cpu, waited)


class Court:
    """One life, looked at again and again."""

    def __init__(self, limits=LIMITS):
        self.liveness = Liveness()
        self.limits = limits

    def look(self, now, pulse, sample):
        verdicts = self.liveness.look(now, [Reading(("a", 1), self.limits, pulse, sample)])
        return verdicts[0] if verdicts else None

    def until_judged(self, pulse, sample, begin=100.0, step=0.5, end=200.0):
        """Look at something that does not change; return when it was judged, and for what."""
        now = begin
        while now <= end:
            verdict = self.look(now, pulse, sample)
            if verdict is not None:
                return now - begin, verdict
            now += step
        return None


@pytest.mark.parametrize(
    "pulse", [None, idle(99.9), busy(99.9, 99.9), idle(0.0, 0, State.STARTING)]
)
def test_a_stopped_process_is_judged_after_two_seconds_whatever_it_was_doing(pulse):
    seconds, verdict = Court().until_judged(pulse, seen(Condition.STOPPED))

    assert seconds == 2.0
    assert verdict.fault is Fault.STOPPED
    assert (
        verdict.text
        == "killed because it hung: stopped by a signal (SIGSTOP or the like) for 2.0 s"
    )


def test_who_is_stopped_for_a_moment_is_forgiven():
    court = Court()
    now = 100.0
    for _ in range(10):
        for condition in (*[Condition.STOPPED] * 4, Condition.SLEEPING):
            assert court.look(now, idle(now), seen(condition)) is None
            now += 0.5


def test_an_idle_loop_that_does_not_turn_is_judged_after_three_seconds():
    seconds, verdict = Court().until_judged(idle(99.9), seen())

    assert seconds == 3.0
    assert verdict.fault is Fault.LOOP
    assert (
        verdict.text
        == "killed because it hung: its loop had not turned for 3.0 s, with nothing to handle"
    )


def test_a_busy_one_has_as_long_as_its_limit():
    seconds, verdict = Court().until_judged(busy(99.9, 100.0), seen())

    assert seconds == 4.0
    assert verdict.fault is Fault.HANDLER
    assert "it did not come back to its loop for 4.0 s (handler_seconds=4)" in verdict.text


def test_a_busy_one_that_got_little_processor_has_longer_but_not_twice_as_long():
    court = Court()
    for tick in range(100):
        sample = seen(Condition.RUNNING, cpu=tick * 0.05, waited=tick * 0.45)
        if court.look(100.0 + tick * 0.5, busy(99.9, 100.0), sample):
            break

    assert tick * 0.5 == 6.0
    assert LATEST * 4.0 <= 6.0


@pytest.mark.parametrize("pulse", [idle(99.9, engaged=1), idle(99.9, state=State.STOPPING)])
def test_a_stream_or_a_hook_has_as_long_as_a_handler(pulse):
    seconds, verdict = Court().until_judged(pulse, seen())

    assert (seconds, verdict.fault) == (4.0, Fault.HANDLER)
    where = " in on_stop" if pulse.state is State.STOPPING else " in a stream or a snapshot"
    assert f"for 4.0 s{where} (handler_seconds=4)" in verdict.text


def test_one_that_gets_no_processor_is_judged_when_the_last_moment_has_come():
    court = Court(Limits(handler_seconds=10.0))
    judged = []
    for tick in range(16):
        sample = seen(Condition.RUNNING, cpu=tick * 0.01, waited=tick * 0.99)
        if court.look(100.0 + tick, busy(99.9, 100.0), sample):
            judged.append(tick)

    assert judged == [LATEST * 10.0]


@pytest.mark.parametrize("known_at", ["first", "later"])
def test_waiting_that_is_measured_only_now_and_then_is_not_believed(known_at):
    court = Court()
    for tick in range(20):
        known = (tick % 2 == 0) is (known_at == "first")
        sample = seen(Condition.RUNNING, cpu=tick * 0.25, waited=tick * 0.5 if known else None)
        judged = court.look(100.0 + tick * 0.5, idle(99.9), sample)
        if judged:
            break

    assert judged.fault is Fault.LOOP
    assert tick * 0.25 == 3.0


def test_progress_begins_the_time_anew():
    court = Court()
    for tick in range(200):
        now = 100.0 + tick * 0.5
        assert court.look(now, busy(99.9, now - now % 3.0), seen(Condition.RUNNING)) is None


def test_without_a_limit_a_handler_may_take_for_ever():
    court = Court(Limits(handler_seconds=math.inf))

    assert court.until_judged(busy(99.9, 100.0), seen(), end=10_000.0, step=10.0) is None


@pytest.mark.parametrize(
    ("pulse", "sample"),
    [
        (idle(0.0, 0, State.STARTING), seen()),
        (idle(99.0, 0, State.STARTING), seen()),
        (idle(0.0), seen()),
        (None, seen()),
        (idle(99.9), seen(Condition.EXCUSED)),
        (busy(99.9, 100.0), seen(Condition.EXCUSED)),
        (idle(99.9), seen(Condition.RUNNING)),
        (idle(99.9), None),
    ],
    ids=["import", "on_start", "no beat", "no page", "disk", "busy on disk", "waits", "unknown"],
)
def test_who_cannot_be_blamed_is_never_judged(pulse, sample):
    assert Court().until_judged(pulse, sample) is None


def test_where_waiting_is_not_measured_the_processor_time_used_counts():
    court = Court()
    judged = None
    for tick in range(100):
        sample = seen(Condition.RUNNING, cpu=tick * 0.25, waited=None)
        judged = court.look(100.0 + tick * 0.5, idle(99.9), sample)
        if judged:
            break

    assert judged.fault is Fault.LOOP
    assert tick * 0.25 == 3.0


def test_waiting_that_shows_only_afterwards_is_taken_back():
    court = Court()
    for tick in range(200):
        # It ran a little in every interval, and had waited for all the rest of it.
        sample = seen(Condition.RUNNING, cpu=tick * 0.01, waited=tick * 0.49)
        assert court.look(100.0 + tick * 0.5, idle(99.9), sample) is None


def test_a_judge_who_was_away_blames_nobody_for_that_time():
    court = Court()
    assert court.look(100.0, idle(99.9), seen()) is None
    assert court.look(160.0, idle(99.9), seen()) is None
    assert court.look(161.0, idle(99.9), seen()) is None
    assert court.look(162.0, idle(99.9), seen()).fault is Fault.LOOP


def test_a_clock_that_stands_still_blames_nobody():
    court = Court()
    for _ in range(1000):
        assert court.look(100.0, idle(50.0), seen()) is None


def test_memory_over_its_limit_is_judged_at_the_first_look():
    court = Court(Limits(memory="200 MB"))
    assert court.look(100.0, idle(100.0), seen(memory=200_000_000)) is None

    verdict = court.look(100.5, idle(100.5), seen(memory=312_000_000))

    assert verdict.fault is Fault.MEMORY
    assert verdict.text == "killed because of its memory: 312 MB resident, the limit is 200 MB"


def test_processor_time_is_averaged_over_ten_seconds():
    court = Court(Limits(cpu=0.5))
    used, judged = 0.0, None
    for tick in range(100):
        now = 100.0 + tick * 0.5
        judged = court.look(now, idle(now), seen(Condition.RUNNING, cpu=used))
        if judged:
            break
        # Idle for 20 s, then all of one core.
        used += 0.5 if tick >= 40 else 0.0

    assert judged.fault is Fault.CPU
    assert 5.0 < (tick - 40) * 0.5 <= 6.0
    assert judged.text.startswith(
        "killed because of its processor time: 0.55 cores over 10 s, the limit is 0.5"
    )


def test_whoever_looks_seldom_averages_over_the_last_interval():
    court = Court(Limits(cpu=0.5))
    looks = [(100.0, 0.0), (120.0, 0.0), (140.0, 20.0)]

    judged = [court.look(now, idle(now), seen(cpu=used)) for now, used in looks]

    assert judged[:2] == [None, None]
    assert "1.00 cores over 20 s" in judged[2].text


def test_the_average_begins_with_the_oldest_look_in_the_window():
    court = Court(Limits(cpu=0.5))
    looks = [(100.0, 0.0), (105.0, 1.0), (110.0, 7.0)]

    judged = [court.look(now, idle(now), seen(cpu=used)) for now, used in looks]

    assert "0.70 cores over 10 s" in judged[2].text


def test_a_burst_of_work_is_no_runaway():
    court = Court(Limits(cpu=0.5))
    used = 0.0
    for tick in range(400):
        now = 100.0 + tick * 0.5
        assert court.look(now, idle(now), seen(Condition.RUNNING, cpu=used)) is None
        used += 0.5 if tick % 40 < 8 else 0.0


def test_a_life_is_judged_once_and_its_next_one_afresh():
    court = Court()
    for now in (100.0, 101.0, 102.0, 103.0, 104.0, 105.0):
        verdict = court.look(now, idle(99.0), seen())
        assert (verdict is not None) is (now == 103.0)
    reading = Reading(("a", 2), LIMITS, idle(99.0), seen())

    verdicts = [court.liveness.look(106.0 + each, [reading]) for each in range(4)]

    assert [len(each) for each in verdicts] == [0, 0, 0, 1]
    assert court.liveness.look(111.0, []) == []
    assert not court.liveness._judged
    assert not court.liveness._cases


@pytest.mark.parametrize(
    ("seconds", "period"), [(60.0, 0.5), (4.0, 0.5), (1.0, 0.125), (0.01, 0.05), (math.inf, 0.5)]
)
def test_the_shortest_handler_says_how_often_to_look(seconds, period):
    liveness = Liveness()
    assert liveness.period == 0.5
    limits = (Limits(), Limits(handler_seconds=seconds))
    readings = [Reading((str(n), 1), each, None, None) for n, each in enumerate(limits)]
    liveness.look(0.0, readings)

    assert liveness.period == period
    liveness.look(1.0, [])
    assert liveness.period == 0.5
