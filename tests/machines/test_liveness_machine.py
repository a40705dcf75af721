"""The judge against a model of processes: nobody innocent is judged, everybody guilty is in time.

The model runs a process in steps of 25 ms and knows what it really did; the judge sees only what
a page and the operating system show, whenever it happens to look.
"""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from actors.blackbox import InProgress, Pulse
from actors.recorder import State
from supervisor.limits import Limits
from supervisor.liveness import Condition, Fault, Liveness, Reading, Sample

STEP = 0.025
SLICE = 0.003
BEAT = 0.5
LIMIT = 4.0


class Process:
    """One process, on a machine that may have better things to do."""

    def __init__(self, *, statistics):
        self.now = 1000.0
        self.statistics = statistics  # whether the kernel tells how long it waited
        self.condition = Condition.SLEEPING
        self.cpu = 0.0
        self.waited = 0.0
        self.slice = 0.0
        self.waiting = 0.0  # not shown before it runs again
        self.alive_at = self.now
        self.since = None
        self.engaged = 0

    def live(self, kind, seconds, share=1.0):
        """Do one thing for so long; yield after every step."""
        self.since = self.now if kind in ("awaiting", "handling", "busy sleep") else None
        self.engaged = int(kind in ("streaming", "stream step"))
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            getattr(self, "_" + kind.replace(" ", "_"))(share)
            yield

    def _run(self, share):
        """Get a share of a processor in slices of 3 ms; return whether one has just ended."""
        self.condition = Condition.RUNNING
        self.slice += STEP * share
        self.waiting += STEP * (1.0 - share)
        if self.slice < SLICE:
            return False
        self.cpu, self.slice = self.cpu + self.slice, 0.0
        self.waited, self.waiting = self.waited + self.waiting, 0.0
        return True

    def _turning(self, share):
        """A loop that turns: it beats when it is due and gets a processor."""
        if self.now - self.alive_at < BEAT:
            self.condition = Condition.SLEEPING
        elif self._run(share):
            self.alive_at = self.now

    _idle = _awaiting = _streaming = _turning

    def _starved(self, _share):
        if self.now - self.alive_at < BEAT:
            self.condition = Condition.SLEEPING
        else:
            self.condition = Condition.RUNNING
            self.waiting += STEP

    def _on_disk(self, _share):
        self.condition = Condition.EXCUSED

    def _stopped(self, _share):
        self.condition = Condition.STOPPED

    def _deadlocked(self, _share):
        self.condition = Condition.SLEEPING

    _busy_sleep = _deadlocked

    def _handling(self, share):
        self._run(share)

    _spinning = _stream_step = _handling

    def reading(self):
        """Return what is to be seen."""
        doing = None if self.since is None else InProgress(b"r" * 16, 1, "m:Job", self.since)
        state = State.BUSY if doing else State.IDLE
        pulse = Pulse(state, self.alive_at, self.since, self.engaged, doing)
        waited = self.waited if self.statistics else None
        sample = Sample(self.condition, round(self.cpu, 2), 0, self.cpu, waited)
        return Reading(("a", 1), Limits(handler_seconds=LIMIT), pulse, sample)


def judged(process, steps, gaps):
    """Look at a process after these gaps, again and again; return the first verdict."""
    liveness = Liveness()
    gap = iter(gaps)
    due = process.now
    for _ in steps:
        if process.now >= due:
            for verdict in liveness.look(process.now, [process.reading()]):
                return verdict
            due = process.now + next(gap, 0.5)
    return None


def lives(process, pieces):
    for kind, seconds, share in pieces:
        yield from process.live(kind, seconds, share)


def piece(kinds, longest):
    return st.tuples(st.sampled_from(kinds), st.floats(0.1, longest), st.floats(0.02, 1.0))


TURNING = ("idle", "awaiting", "streaming")
AT_ANY_PACE = st.lists(st.one_of(st.floats(0.05, 1.0), st.floats(1.0, 30.0)), max_size=200)
PROMPT = st.lists(st.floats(0.1, 0.7), min_size=100, max_size=100)


@given(
    pieces=st.lists(
        st.one_of(
            piece((*TURNING, "starved", "on disk"), 20.0),
            piece(("handling", "busy sleep", "stream step"), LIMIT - 0.1),
            piece(("deadlocked", "spinning"), 2.4),
        ),
        min_size=1,
        max_size=8,
    ),
    gaps=AT_ANY_PACE,
    statistics=st.booleans(),
)
@settings(max_examples=300)
def test_nobody_innocent_is_judged_however_rarely_the_judge_looks(pieces, gaps, statistics):
    process = Process(statistics=statistics)
    # Between two pieces its loop turns, else two short faults are a long one.
    whole = [each for one in pieces for each in (one, ("idle", 1.0, 1.0))]

    assert judged(process, lives(process, whole), gaps) is None


@given(
    before=st.lists(piece(TURNING, 5.0), max_size=3),
    seconds=st.floats(0.1, 1.9),
    gaps=AT_ANY_PACE,
)
def test_who_is_continued_soon_is_not_judged(before, seconds, gaps):
    process = Process(statistics=True)
    whole = [*before, ("stopped", seconds, 1.0), ("idle", 10.0, 1.0)]

    assert judged(process, lives(process, whole), gaps) is None


@given(
    before=st.lists(piece((*TURNING, "starved"), 3.0), max_size=3),
    fault=st.sampled_from(
        [("stopped", Fault.STOPPED), ("deadlocked", Fault.LOOP), ("spinning", Fault.LOOP)]
    ),
    gaps=PROMPT,
    statistics=st.booleans(),
)
def test_who_stands_still_is_judged_within_five_seconds(before, fault, gaps, statistics):
    process = Process(statistics=statistics)
    for _ in lives(process, [*before, ("idle", 1.0, 1.0)]):
        pass
    began = process.now

    verdict = judged(process, lives(process, [(fault[0], 60.0, 1.0)]), gaps)

    assert verdict.fault is fault[1]
    assert process.now - began < 4.5  # and the rest is for the restart


@given(
    kind=st.sampled_from(["handling", "busy sleep", "stream step"]),
    share=st.floats(0.02, 1.0),
    gaps=PROMPT,
    statistics=st.booleans(),
)
def test_who_does_not_come_back_is_judged_within_twice_its_limit(kind, share, gaps, statistics):
    process = Process(statistics=statistics)
    for _ in lives(process, [("idle", 1.0, 1.0)]):
        pass
    began = process.now

    verdict = judged(process, lives(process, [(kind, 60.0, share)]), gaps)

    assert verdict.fault is Fault.HANDLER
    assert LIMIT <= process.now - began < 2 * LIMIT - 0.5
