"""When changes of a computation are kept, and what is said when they cannot be."""

from __future__ import annotations

import logging
import math

import pytest

from actors.compute.keeping import Keep, Keeping
from actors.compute.pacing import Pacing
from actors.compute.turns import Turns


class Room:
    """A context that notes what it is asked to do, and a state that may be out of reach."""

    name = "count"
    log = logging.getLogger("of a computation")

    def __init__(self):
        self.value = 0
        self.kept = []
        self.planned = []
        self.keeping = Keeping(self, self.snapshot)

    def snapshot(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def save(self, state):
        self.kept.append(state)

    def tell_after(self, seconds, msg):
        self.planned.append((seconds, msg))

    def change(self, value):
        self.value = value
        self.keeping.changed()


@pytest.fixture
def quick(monkeypatch):
    """Keeping counts as quick, however busy this machine is."""
    monkeypatch.setattr("actors.compute.keeping.LITTLE", math.inf)


@pytest.fixture
def slow(monkeypatch):
    """Keeping takes so long that the next must wait."""
    monkeypatch.setattr("actors.compute.keeping.LITTLE", -1.0)
    monkeypatch.setattr("actors.compute.keeping.SHARE", 1e15)


def test_what_takes_no_time_is_kept_at_each_change(quick):
    room = Room()
    for value in (1, 2, 3):
        room.change(value)

    assert room.kept == [1, 2, 3]
    assert not room.planned


def test_what_takes_a_while_is_kept_together_with_what_follows(slow, monkeypatch):
    room = Room()
    for value in (1, 2, 3):
        room.change(value)
    assert room.kept == [1]
    ((seconds, msg),) = room.planned
    assert seconds > 0
    assert msg == Keep()

    room.keeping.due()  # a timer may be early
    assert room.kept == [1]
    assert len(room.planned) == 2
    monkeypatch.setattr("actors.compute.keeping.SHARE", 0)
    room.keeping.due()
    assert room.kept == [1, 3]


def test_the_reason_why_nothing_is_kept_is_said_once_until_it_is_another_one(quick, caplog):
    room = Room()
    for value in (1, OSError("full"), OSError("full"), OSError("gone"), 2, OSError("gone")):
        room.change(value)

    assert room.kept == [1, 2]
    assert [str(record.exc_info[1]) for record in caplog.records] == ["full", "gone", "gone"]
    assert "count" in caplog.text


def test_a_state_that_cannot_be_taken_is_not_tried_more_often_than_one_that_can(slow, caplog):
    room = Room()
    for _ in range(3):
        room.change(OSError("full"))

    assert len(room.planned) == 1
    assert len(caplog.records) == 1


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def test_a_reason_that_cannot_be_said_is_no_reason_to_fail(quick, caplog):
    room = Room()
    for value in (MuteError(), MuteError(), 1):
        room.change(value)

    assert room.kept == [1]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("error", [MuteError(), ValueError("cannot read \udcff.fits")], ids=repr)
def test_a_frame_that_fails_pauses_it_for_a_reason_that_a_heartbeat_can_carry(caplog, error):
    def show(_number):
        raise error

    # What pytest shows of the log must be Unicode.
    caplog.set_level(logging.CRITICAL + 1, logger=Room.log.name)
    pacing = Pacing(steps_per_frame=1, frames_per_second=1.0)
    turns = Turns(Room(), pacing, advance=int, show=show)
    turns.turn()

    assert not pacing.running
    assert turns.error.startswith(type(error).__name__)
    assert turns.error.encode()
