"""The pace of a computation against a naive model: a loop that obeys, and a notebook.

The machine plays whoever commands, the loop that does what `next` says, and the clock.
"""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.compute.attendance import MOST_HANDLERS, Attendance, Service
from actors.compute.pacing import LATENESS, TURN_SECONDS, Pacing, Rest, Show, Step

SECONDS = st.floats(0.0, 0.5)
MANY = 60
RATES = st.sampled_from([0.01, 0.5, 5.0, 80.0])


class Paced(RuleBasedStateMachine):
    @initialize(
        per_frame=st.integers(1, 7),
        rate=RATES,
        cost=st.sampled_from([1e-4, 0.004, 0.3]),
        running=st.booleans(),
    )
    def begin(self, per_frame, rate, cost, running):
        self.now, self.cost = 1000.0, cost
        self.pacing = Pacing(steps_per_frame=per_frame, frames_per_second=rate, running=running)
        self.running, self.owed, self.steps = running, 0, 0
        self.unseen = True  # somebody has changed something that no frame has shown
        self.since_frame = 0
        self.shown = 0
        self.at_this_rate = []

    # --- who commands

    @rule()
    def start(self):
        self.pacing.start()
        self.running, self.owed, self.unseen = True, 0, True

    @rule()
    def pause(self):
        self.pacing.pause()
        self.running, self.owed, self.unseen = False, 0, True

    @rule(count=st.integers(-1, 9))
    def step(self, count):
        if count < 1 or self.running:
            with pytest.raises(ValueError, match=r"steps|running"):
                self.pacing.step(count)
        else:
            self.pacing.step(count)
            self.owed += count

    @rule(counts=st.lists(st.integers(1, 3), min_size=1, max_size=3))
    def pause_and_make_a_few_steps(self, counts):
        self.pause()
        for count in counts:
            self.step(count)
            self.run_until_it_rests_for_good_or_long()
            assert not self.owed

    @rule()
    def reset(self):
        self.pacing.reset()
        self.steps = self.since_frame = self.owed = 0
        self.unseen = True

    @rule(per_frame=st.integers(1, 7), rate=RATES)
    def change(self, per_frame, rate):
        self.pacing.steps_per_frame, self.pacing.frames_per_second = per_frame, rate
        self.pacing.changed()
        self.unseen, self.at_this_rate = True, []

    # --- the loop and the clock

    @rule(seconds=SECONDS)
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def turn(self):
        self.obey(self.pacing.next(self.now))

    @rule()
    def run_until_it_rests_for_good_or_long(self):
        for _ in range(MANY):
            todo = self.pacing.next(self.now)
            self.obey(todo)
            if todo == Rest(math.inf):
                break
            if isinstance(todo, Rest):
                self.now += todo.seconds
        else:
            assert self.running, "a paused computation comes to rest"
            assert self.shown, "a running one shows frames"

    def obey(self, todo):
        match todo:
            case Step(count):
                self.make_steps(count)
            case Show():
                self.show()
            case Rest(math.inf):
                assert not self.running
                assert not self.owed
                assert not self.unseen, "what has changed is shown before it rests"
            case Rest(seconds):
                # of the present rate, also when it was a lower one at the last frame
                assert 0 < seconds <= 1 / self.pacing.frames_per_second + 1e-6

    def make_steps(self, count):
        assert self.running or 1 <= count <= self.owed
        assert count == 1 or count * self.cost <= TURN_SECONDS * 1.01
        self.now += count * self.cost
        self.pacing.stepped(count, count * self.cost)
        self.steps += count
        self.since_frame += count
        if not self.running:
            self.owed -= count
            self.unseen = self.unseen or not self.owed

    def show(self):
        due = self.since_frame >= self.pacing.steps_per_frame
        assert due or self.unseen, "no frame without a reason"
        period = 1 / self.pacing.frames_per_second
        for frames, at in enumerate(reversed(self.at_this_rate[-10:]), start=1):
            assert self.now - at >= (frames - LATENESS) * period - 1e-6
        self.at_this_rate.append(self.now)
        self.shown += 1
        self.pacing.shown(self.now, 0.0)
        self.unseen = False
        if due or not self.running:
            self.since_frame = 0

    @invariant()
    def the_notebook_agrees(self):
        if hasattr(self, "pacing"):
            assert self.pacing.running is self.running
            assert self.pacing.owed == self.owed
            assert self.pacing.steps == self.steps
            assert self.pacing.frames == self.shown
            assert self.since_frame <= max(7, self.pacing.steps_per_frame)


TestPaced = Paced.TestCase
TestPaced.settings = settings(stateful_step_count=25)


@given(
    limit=st.integers(0, 100),
    events=st.lists(st.tuples(st.sampled_from(["enter", "leave", "hear"]), st.integers(0, 30))),
    later=st.integers(0, 200),
)
def test_it_is_over_when_nobody_was_there_and_nobody_heard_for_so_long(limit, events, later):
    now, present, last = 50, [], 50
    attendance = Attendance(now, limit=limit)
    for what, after in events:
        now += after
        if what == "enter":
            present.append(attendance.enter(f"client-{len(present) % 3}"))
        elif what == "hear":
            attendance.heard(now)
            last = now
        elif present:
            number = present.pop(len(present) // 2)
            attendance.leave(number, now)
            attendance.leave(number, now + 1000)
            last = now
    now += later

    names = {attendance._present[number] for number in present}
    assert attendance.clients == len(present)
    assert attendance.others("client-0") == len(names - {"client-0"})
    assert attendance.others("nobody") == len(names)
    assert attendance.over(now) == (not present and now - last >= limit)
    assert attendance.left(now) == (limit if present else max(0, limit - (now - last)))


def test_nobody_ends_what_has_no_limit():
    attendance = Attendance(0.0, limit=math.inf)

    assert attendance.left(1e12) == math.inf
    assert not attendance.over(1e12)


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 2 * MOST_HANDLERS), st.sampled_from("ab")),
        max_size=4 * MOST_HANDLERS,
    )
)
def test_a_client_is_full_while_so_many_handlers_serve_it(events):
    service, notebook = Service(), {}
    for begins, number, client in events:
        handler = f"handler-{number}"
        if begins:
            service.begin(handler, client)
            notebook[handler] = client
        else:
            service.end(handler)
            notebook.pop(handler, None)

    assert sorted(service.handlers) == sorted(notebook)
    for client in "ab":
        full = [*notebook.values()].count(client) >= MOST_HANDLERS
        assert service.is_full(client) == full
        if full:
            with pytest.raises(RuntimeError, match=rf"{client} has {MOST_HANDLERS} handlers of it"):
                service.check(client, "it")
        else:
            service.check(client, "it")


def test_a_client_that_leaves_one_of_its_handlers_may_have_another():
    service = Service()
    for number in range(MOST_HANDLERS):
        assert not service.is_full("a")
        service.begin(str(number), "a")
    assert service.is_full("a")

    service.end("0")
    service.end("0")
    assert not service.is_full("a")


def test_a_rate_that_is_raised_again_holds_from_then_on():
    pacing = Pacing(steps_per_frame=1, frames_per_second=0.01, running=False)
    assert pacing.next(1000.0) == Show()
    pacing.shown(1000.0, 0.0)
    pacing.changed()
    assert pacing.next(1001.0) == Rest(74.0)

    pacing.frames_per_second = 80.0
    assert pacing.next(1002.0) == Rest(pytest.approx(1 / 80))
    assert pacing.next(1002.0 + 1 / 80) == Show()


def test_what_could_be_attained_is_the_time_of_a_frames_steps_and_of_showing_it():
    pacing = Pacing(steps_per_frame=10, frames_per_second=1.0)
    assert pacing.attainable == 0.0
    pacing.stepped(4, 0.04)
    pacing.shown(0.0, 0.1)

    assert pacing.attainable == pytest.approx(5.0)
