"""Computations whose process, or whose viewers, are killed, stopped and left alone."""

from __future__ import annotations

import math
import os
import signal
import sys
from pathlib import Path

import pytest
from programs import eventually

import supervisor
from actors import ActorRef
from actors.compute.client import Computation
from actors.compute.handler import ClientHandler, Serving
from actors.compute.words import HandlerRequest, Heartbeat, Leave, Look
from actors.notices import Terminated
from actors.requests import KnownNames
from actors.testing import Probe

sys.path.append(str(Path(__file__).parent.parent / "behaviour"))

from models import Absent, Band, Count, Nameless

RATE = 100.0
VIEWING = Path(__file__).with_name("viewing.py")
STEERING = Path(__file__).with_name("steering.py")


@pytest.fixture(scope="module")
def system():
    with supervisor.start() as system:
        yield system


@pytest.fixture
def count(system, request):
    name = f"c{abs(hash(request.node.name))}"
    made = system.spawn(Count, name=name, steps_per_frame=1, frames_per_second=RATE)

    yield Computation(system, made)

    if name in [actor.name for actor in system.status().actors]:
        system.stop(name)


def handlers(system):
    return [actor.name for actor in system.status().actors if "clienthandler" in actor.name]


@pytest.mark.parametrize("by_message", [False, True], ids=["shared", "messages"])
def test_a_killed_computation_goes_on_and_its_view_does_too(system, count, by_message):
    with count.view("field", by_message=by_message) as view:
        count.set(by=2)
        eventually(lambda: view.wait(10.0).moment.steps > 20)
        assert system.kill(count.ref) == 1
        frame = eventually(lambda: next(f for f in view if f.moment.incarnation == 2))
        # Steps and state are those of one snapshot, and the settings were never lost.
        assert frame.moment.steps > 0
        assert frame.moment.parameters["by"] == 2
        count.pause()
        assert count.get("total")["total"] <= 2 * count.heartbeat().steps

        def attended():
            view.newest()  # it hears of the end of the former life when it looks
            return count.heartbeat().clients == 1

        eventually(attended)


def test_a_view_that_is_closed_leaves_no_handler_behind(system, count):
    for _ in range(2):
        with count.view("field", by_message=True) as view:
            view.wait(10.0)
            assert len(handlers(system)) == 1
        eventually(lambda: not handlers(system))


def out_of_time(view):
    """Why no frame came."""
    with pytest.raises(TimeoutError) as caught:
        view.wait(0.2)
    return str(caught.value)


def test_parameters_that_are_compared_with_each_other_come_back_after_a_kill():
    with supervisor.start() as system:
        made = Computation(system, system.spawn(Band, name="band", start_paused=True))
        made.set(high=30.0, low=20.0)  # the first change of a life is kept before it is answered
        assert system.kill("band") == 1

        assert made.get("low", "high") == {"low": 20.0, "high": 30.0}


def unkept(caplog):
    """Why something was not kept, as often as that was said."""
    errors = [one.exc_info[1] for one in caplog.records if "cannot be kept" in one.getMessage()]
    return [str(error) for error in errors]


@pytest.fixture
def at_once(monkeypatch):
    """Each change is kept before it is answered, however busy the machine is."""
    monkeypatch.setattr("actors.compute.keeping.LITTLE", math.inf)


def test_a_computation_whose_state_cannot_be_taken_is_steered_all_the_same(at_once, caplog):
    with supervisor.start(inproc=True) as system:
        count = Computation(system, system.spawn(Absent, name="count", start_paused=True))
        count.set(by=2)
        count.set(trouble="no")
        count.set(by=3)
        count.do("jump")
        assert count.get("by", "total") == {"by": 3, "total": 1000}
        assert unkept(caplog) == ["no"]

        system.kill("count")
        assert count.get("by", "trouble") == {"by": 2, "trouble": ""}  # what was kept before
        count.set(by=4, trouble="no")
        count.set(by=5, trouble="")
        system.kill("count")
        assert count.get("by") == {"by": 5}


def test_a_computation_whose_state_is_too_large_is_steered_and_the_log_says_what_to_do(
    at_once, monkeypatch, caplog
):
    monkeypatch.setattr("actors.saving.LARGEST_STATE", 1)
    with supervisor.start(inproc=True) as system:
        count = Computation(system, system.spawn(Count, name="count", start_paused=True))
        for by in (2, 3):
            count.set(by=by)
        assert count.get("by") == {"by": 3}
    (why,) = unkept(caplog)
    assert "too large" in why
    assert "save less" in why


def test_a_state_that_is_no_message_is_said_to_be_lost(at_once, caplog):
    with supervisor.start(inproc=True) as system:
        count = Computation(system, system.spawn(Nameless, name="count", start_paused=True))
        count.set(by=2)
        assert count.get("by") == {"by": 2}
    (why,) = unkept(caplog)
    assert "make its class with @message" in why


@pytest.mark.parametrize("by_message", [False, True], ids=["shared", "messages"])
def test_a_wait_for_a_frame_that_does_not_come_says_what_holds_it_up(count, by_message):
    with count.view("field", by_message=by_message) as view:
        count.set(break_at=7)
        eventually(lambda: not view.wait(10.0).moment.running)

        eventually(lambda: "is paused, because its computation raised Zero" in out_of_time(view))
    with pytest.raises(TypeError, match="timeout='3': give seconds"):
        view.wait("3")


def given(count):
    """A handler, or why there is none."""
    try:
        return count.ref.ask(HandlerRequest()).result()
    except RuntimeError as error:
        return error


def test_a_client_has_so_many_handlers_and_no_more_until_it_leaves_one(monkeypatch):
    monkeypatch.setattr("actors.compute.attendance.MOST_HANDLERS", 2)
    with (
        supervisor.start(inproc=True) as system,
        supervisor.connect(system.status().endpoint) as other,
    ):
        ref = system.spawn(Count, name="count")
        count, theirs = Computation(system, ref), Computation(other, ref)
        first, second = given(count), given(count)

        assert "has 2 handlers of count already" in str(given(count))
        assert given(theirs).name != second.name
        system.stop(second.name)  # by hand
        assert isinstance(given(count), ActorRef)
        assert "has 2 handlers" in str(given(count))
        first.tell(Leave())
        assert eventually(lambda: isinstance(given(count), ActorRef))


def test_handlers_that_are_stopped_before_they_begin_are_counted_no_more(monkeypatch):
    monkeypatch.setattr("actors.compute.attendance.MOST_HANDLERS", 2)
    with supervisor.start(inproc=True) as system:
        count = Computation(system, system.spawn(Count, name="count"))
        for _ in range(30):
            handler = given(count)
            assert isinstance(handler, ActorRef), handler
            system.stop(handler.name)


def test_the_supervisor_is_asked_who_is_there_only_when_a_client_can_have_no_more(monkeypatch):
    # Its answer is read between two steps, and a step may take longer than a viewer's patience.
    monkeypatch.setattr("actors.compute.attendance.MOST_HANDLERS", 2)
    with supervisor.start(inproc=True) as system, Probe(system) as clerk:
        monkeypatch.setattr("actors.compute.server.SUPERVISOR", clerk.ref.name)
        count = Computation(system, system.spawn(Count, name="count"))
        names = [given(count).name for _ in range(2)]  # although nobody answers
        clerk.expect_nothing()

        third = count.ref.ask(HandlerRequest())
        assert clerk.expect(KnownNames, within=10.0).names == names
        clerk.answer(names[1:])
        assert third.result().name not in names


def test_a_computation_that_has_come_back_is_told_whom_its_handlers_serve(system):
    with Probe(system, name="server") as server, Probe(system, name="client") as client:
        handler = system.spawn(ClientHandler, server=server.ref, client=client.ref)
        for restarting in (True, True, False):
            handler.tell(Terminated(server.ref.name, 1, "killed", restarting=restarting))

        assert [server.expect(Serving) for _ in range(2)] == [Serving(client.ref.name)] * 2
        eventually(lambda: handler.name not in [actor.name for actor in system.status().actors])
        server.expect_nothing()


def test_a_handler_that_is_restarted_by_hand_is_counted_again(system):
    with Probe(system, name="server") as server, Probe(system, name="client") as client:
        handler = system.spawn(ClientHandler, server=server.ref, client=client.ref)
        system.restart(handler.name)

        assert server.expect(Serving) == Serving(client.ref.name)


def test_a_handler_that_is_left_while_it_looks_ends_by_itself(system, count):
    handler = given(count)
    handler.ask(Look("field", after=(1, 1 << 40), seconds=10.0))
    ends = system.watch(handler)
    handler.tell(Leave())
    ended = ends.next(timeout=20.0)

    assert ended.signal is None  # it was not killed when its grace was over


def test_stopped_viewers_slow_neither_the_computation_nor_others_and_dead_ones_go(
    system, count, run
):
    endpoint, name = system.status().endpoint, count.ref.name
    frozen = [run(VIEWING, endpoint, name, road) for road in ("shared", "message")]
    for viewer in frozen:
        viewer.fact("frame")
    assert handlers(system)
    with count.view("field") as view:
        eventually(lambda: count.heartbeat().clients == 3)
        for viewer in frozen:
            os.kill(viewer.pid, signal.SIGSTOP)
        begun = view.wait(10.0).moment
        moments = [frame.moment for frame, _ in zip(view, range(100), strict=False)]
        took = moments[-1].taken - begun.taken
        assert moments[-1].frame - begun.frame >= 0.2 * RATE * took  # held up, it would be none
        assert count.heartbeat().clients == 3
        for viewer in frozen:
            os.kill(viewer.pid, signal.SIGKILL)
        eventually(lambda: count.heartbeat().clients == 1)
        eventually(lambda: not handlers(system))


def test_0_01_three_viewers_see_within_two_frames_what_a_fourth_process_sets(system, count, run):
    endpoint, name = system.status().endpoint, count.ref.name
    count.set(frames_per_second=20.0)
    viewers = [run(VIEWING, endpoint, name, road) for road in ("shared", "shared", "message")]
    for viewer in viewers:
        viewer.fact("frame")
    setter = run(STEERING, endpoint, name, 2, 3, 4)
    for by in (2, 3, 4):
        done = setter.fact("by")
        for viewer in viewers:
            seen = viewer.fact("frame")
            while seen["by"] != by:  # none is late, however many it has skipped
                assert seen["frame"] < done["frame"] + 2, (seen, done)
                seen = viewer.fact("frame")
        assert count.heartbeat().clients == 3
        setter.process.stdin.write(b"\n")
        setter.process.stdin.flush()
    assert setter.end() == 0


def test_0_26_it_ends_by_itself_when_nobody_has_come_for_so_many_minutes(system):
    made = Computation(system, system.spawn(Count, name="lonely"))
    ends = system.watch("lonely")
    with made.view("field") as view:
        view.wait(10.0)
        made.set(shutdown=0.0)
        eventually(lambda: view.wait(10.0).moment.steps > 100)
        assert made.heartbeat().clients == 1
    ended = ends.next(timeout=10.0)
    assert (ended.incarnation, ended.restarting) == (1, False)
    assert "lonely" not in [actor.name for actor in system.status().actors]


def test_0_25_a_heartbeat_a_second_is_published(system, count):
    beats = system.subscribe(Heartbeat)
    seen = [beats.next(timeout=10.0) for _ in range(2)]
    assert {beat.name for beat in seen} == {count.ref.name}
    assert seen[1].steps > seen[0].steps
