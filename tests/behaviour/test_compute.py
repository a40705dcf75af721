"""One suite for computations over every transport (acceptance 0.28): steering, seeing, ending."""

from __future__ import annotations

import asyncio
import math

import pytest
from models import Aimed, Count, Hoarder, Onlooker

from actors.compute.client import Computation
from actors.compute.words import HandlerRequest, Look, Quit, Step
from actors.errors import ActorError, ActorStopped, InvalidMessage

ATTEMPTS = 200


@pytest.fixture
def count(system, spawn):
    def start(**fields):
        return Computation(system, spawn(Count, **{"frames_per_second": 200.0, **fields}))

    return start


def frame_where(view, true):
    """Return the first frame of which something is true, and how many came until then."""
    for number in range(1, ATTEMPTS):
        frame = view.wait(10.0)
        if true(frame):
            return frame, number
    raise AssertionError("no such frame")


def showing(name, value):
    return lambda frame: frame.moment.parameters[name] == value


def again_and_again(act):
    for _ in range(ATTEMPTS):
        act()


def paused(count, **fields):
    return count(start_paused=True, **fields)


def test_0_28_the_interface_is_the_same_here_and_there(count):
    made = paused(count, steps_per_frame=1)
    told = made.describe()
    assert (told.model, {one.name for one in told.commands}) == (
        "Count",
        {"start", "pause", "reset", "jump"},
    )
    for by_message in (False, True):
        with made.view("field", by_message=by_message) as view:
            made.set(by=3)
            made.step(2)
            frame, _ = frame_where(view, lambda frame: frame.moment.steps == 2)
            assert frame.array.tolist() == made.get_array("field").tolist() == [6.0] * 4
            assert (
                made.get("by", "total") == {"by": 3, "total": 6} == frame.moment.scalars | {"by": 3}
            )
            made.reset()


def test_0_05_a_paused_computation_makes_no_step_and_a_started_one_does(count):
    made = count(steps_per_frame=1)
    with made.view("field") as view:
        frame_where(view, lambda frame: frame.moment.steps > 3)
        made.pause()
        paused_at, total = made.heartbeat(), made.get("total")
        stood, _ = frame_where(view, lambda frame: not frame.moment.running)
        assert stood.moment.frame <= paused_at.frames + 1
        assert made.get("total") == total == {"total": stood.moment.steps}
        made.start()
        frame_where(view, lambda frame: frame.moment.steps > stood.moment.steps)


def test_single_steps_are_made_while_it_is_paused_and_only_then(count):
    made = paused(count, steps_per_frame=2)
    with made.view("field") as view:
        made.step(5)
        frame, _ = frame_where(view, lambda frame: frame.moment.steps == 5)
        assert frame.array.tolist() == [5.0] * 4
        assert frame.moment.scalars == {"total": 5}
    made.start()
    with pytest.raises(ValueError, match="pause it"):
        made.step()


@pytest.mark.parametrize("by_message", [False, True], ids=["shared", "messages"])
def test_0_01_a_viewer_sees_a_new_parameter_within_two_frames(count, by_message):
    made = count(steps_per_frame=1, frames_per_second=20.0)
    with made.view("field", by_message=by_message) as view:
        for by in (2, 3, 4):
            view.wait(10.0)
            made.set(by=by)
            # One may have been there, one in the making; how many a busy machine skips is its own.
            _, looked_at = frame_where(view, showing("by", by))
            assert looked_at <= 3


def test_a_parameter_is_seen_while_paused_too(count):
    made = paused(count)
    with made.view("field") as view:
        made.set(pull=(1.0, -2.5))
        frame, _ = frame_where(view, lambda frame: frame.moment.parameters["pull"] == [1.0, -2.5])
    assert not frame.moment.running


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"by": 9}, ValueError, "by"),
        ({"by": 1.5}, ValueError, "by is 1.5"),
        ({"mood": "odd"}, ValueError, "mood"),
        ({"size": 3}, ValueError, "fixed"),
        ({"bye": 3}, LookupError, "there are: .*by"),
        ({"mood": "wild", "by": 5}, ValueError, "too wild"),
        ({"mood": "wild", "by": 6}, ValueError, "by"),
    ],
)
def test_a_refused_value_changes_nothing(count, values, error, says):
    made = paused(count, by=2)
    before = made.get()
    with pytest.raises(error, match=says):
        made.set(**values)
    assert made.get() == before


def test_a_model_that_has_followed_what_it_then_refuses_follows_the_former_values_again(
    system, spawn
):
    made = Computation(system, spawn(Aimed, start_paused=True))
    made.set(pull=(1.0, 0.0))
    with pytest.raises(ValueError, match="too wild"):
        made.set(pull=(7.0, 0.0), mood="wild", by=5)

    assert made.get("aimed_at", "by") == {"aimed_at": 1.0, "by": 1}


def test_a_model_that_refuses_its_former_values_too_is_heard_about_the_new_ones(system, spawn):
    made = Computation(system, spawn(Aimed, stubborn=True, start_paused=True))
    with pytest.raises(ValueError, match="not by 3"):
        made.set(by=3)

    assert made.get("by") == {"by": 1}


def test_0_24_reset_begins_anew_with_the_parameters_of_now(count):
    made = paused(count)
    made.set(by=3)
    made.step(4)
    with made.view("field") as view:
        frame_where(view, lambda frame: frame.array[0] == 12.0)
        made.reset()
        frame, _ = frame_where(view, lambda frame: frame.moment.steps == 0)
        assert frame.array[0] == 0.0
        assert frame.moment.parameters["by"] == 3
        made.do("jump")
        frame_where(view, lambda frame: frame.array[0] == 1000.0)


def test_0_23_every_command_output_and_parameter_is_described_and_works(count):
    made = paused(count)
    described = made.describe()
    assert {one.name: one.doc for one in described.parameters}["by"] == "what a step adds"
    assert {one.name for one in described.parameters if not one.live} == {"size", "start_paused"}
    for one in described.commands:
        assert one.doc
        made.do(one.name)
    for one in described.outputs:
        assert one.doc
        if one.array:
            made.get_array(one.name)
        else:
            made.get(one.name)
    assert set(made.get()) == {one.name for one in described.parameters}


def test_0_30_an_unknown_name_is_a_typed_error_that_names_the_known_ones(count):
    made = paused(count)
    for act in (
        lambda: made.do("explode"),
        lambda: made.get("tot"),
        lambda: made.get_array("total"),
        lambda: made.view("total"),
    ):
        with pytest.raises(LookupError, match=r"there (is|are)|has no array"):
            act()
    assert made.get("total") == {"total": 0}


def test_0_25_heartbeats_say_how_it_fares(count):
    made = count(slow=0.001, steps_per_frame=5)
    with made.view("field") as view:
        frame_where(view, lambda frame: frame.moment.steps >= 10)
        made.get("by")
        made.get("by")
        beat = made.heartbeat()
    assert beat.counts["get"] == 2
    assert beat.ms_per_step >= 1.0
    assert 0 < beat.attainable_fps <= 200.0
    assert beat.clients == 1
    assert beat.ends_in == math.inf


def test_a_step_that_raises_pauses_and_says_why(count):
    made = count(break_at=7, steps_per_frame=1)
    with made.view("field") as view:
        frame_where(view, lambda frame: not frame.moment.running)
        assert "ZeroDivisionError: it broke" in made.heartbeat().error
        made.set(break_at=0)
        made.start()
        frame_where(view, lambda frame: frame.moment.steps > 10)
    assert made.heartbeat().error == ""


def test_a_step_that_raises_is_not_counted_and_those_before_it_are(count):
    made = paused(count, break_at=5)
    with made.view("field"):
        made.step(10)
        assert any(made.heartbeat().error for _ in range(ATTEMPTS))
    assert made.heartbeat().steps == 4
    assert made.get("total") == {"total": 5}


def test_a_parameter_of_whole_numbers_is_set_and_taken_over_as_such(count):
    made = paused(count)
    made.set(spot=(3, 4), pull=(1, 2.5))
    assert made.get("spot", "pull") == {"spot": [3, 4], "pull": [1, 2.5]}
    with pytest.raises(ValueError, match="spot"):
        made.set(spot=(3, 4.5))


def test_0_32_nobody_ends_it_for_the_others_unless_forced(count, spawn):
    made = paused(count)
    spawn(Onlooker, server=made.ref)
    assert any(made.heartbeat().clients == 1 for _ in range(ATTEMPTS))
    with pytest.raises(PermissionError, match=r"others attend .* \(1\): leave it to them"):
        made.quit()
    made.quit(force=True)
    with pytest.raises(ActorError):
        again_and_again(made.heartbeat)


def test_what_one_looks_at_oneself_keeps_nobody_from_ending_it(count):
    made = paused(count)
    with made.view("field") as first, made.view("field"):
        first.wait(10.0)
        made.quit()
        with pytest.raises(ActorError):
            again_and_again(made.heartbeat)


def test_a_view_that_is_closed_says_so_and_is_no_client(count):
    made = paused(count)
    view = made.view("field")
    view.wait(10.0)
    view.close()
    view.close()
    with pytest.raises(RuntimeError, match="closed"):
        view.newest()
    assert any(made.heartbeat().clients == 0 for _ in range(ATTEMPTS))


@pytest.mark.parametrize("by_message", [False, True], ids=["shared", "messages"])
def test_the_view_of_an_ended_computation_says_so_and_why(count, by_message):
    made = paused(count)
    with made.view("field", by_message=by_message) as view:
        view.wait(10.0)
        made.quit(force=True)
        with pytest.raises(ActorStopped, match=r"stopped \((it was )?stopped\): no frame will"):
            view.wait()
        with pytest.raises(ActorStopped):
            again_and_again(view.newest)


@pytest.mark.parametrize("by_message", [False, True], ids=["shared", "messages"])
def test_a_view_is_read_in_asyncio_code_too_and_nobody_else_waits(count, by_message):
    made = paused(count, steps_per_frame=1)

    async def look():
        async def take_turns():
            for _ in range(20):
                await asyncio.sleep(0.001)

        with made.view("field", by_message=by_message) as view:
            frames = aiter(view)
            seen = await anext(frames)
            following = asyncio.ensure_future(anext(frames))
            await take_turns()
            assert not following.done()  # there is no frame: the view waits, and others do not
            made.ref.tell(Step(2))
            frame = await following
            while frame.moment.steps < seen.moment.steps + 2:
                frame = await anext(frames)
            made.ref.tell(Quit(force=True))
            with pytest.raises(ActorStopped):
                await asyncio.wait_for(anext(frames), 20)
        with pytest.raises(RuntimeError, match="closed"):
            await anext(aiter(view))

    asyncio.run(look())


@pytest.mark.parametrize("server", [3, None, Computation])
def test_what_names_no_computation_is_refused_in_words(system, server):
    with pytest.raises(TypeError, match="takes an actor's name or its ref, not "):
        Computation(system, server)


def test_a_model_calls_what_is_its_own_as_it_likes(system, spawn):
    made = Computation(system, spawn(Hoarder, start_paused=True))
    with made.view("field") as view:
        made.set(by=3)
        made.step(2)
        frame_where(view, lambda frame: frame.moment.steps == 2)
        made.do("jump")
    assert made.get("total") == {"total": 1006}
    assert made.heartbeat().error == ""


def test_a_number_of_steps_that_is_none_is_refused_in_words(count):
    made = paused(count)
    with pytest.raises(InvalidMessage, match=r"Step\.count is not valid: expected int, got str"):
        made.step("3")
    with pytest.raises(ValueError, match="0 steps: give one or more"):
        made.step(0)


def test_0_27_there_are_no_more_frames_a_second_than_asked_for(count):
    made = count(frames_per_second=50.0, steps_per_frame=1)
    with made.view("field") as view:
        first = view.wait(10.0).moment
        last, _ = frame_where(view, lambda frame: frame.moment.frame >= first.frame + 25)
    rate = (last.moment.frame - first.frame) / (last.moment.taken - first.taken)
    assert rate <= 50.0 * 1.05


def test_a_handler_refuses_an_output_that_is_no_array(count):
    handler = paused(count).ref.ask(HandlerRequest()).result()

    with pytest.raises(LookupError, match="no array 'total' here; there are: field"):
        handler.ask(Look("total")).result()
