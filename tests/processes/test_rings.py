"""Live frames between processes: kill -9, restarts, many readers."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest
from programs import eventually

import supervisor
from actors import Actor, Request, message, receive

SHAPES = ((100, 400), (300, 201), (64,))


@message
class Go:
    pass


@message
class Show(Request[tuple[int, int]]):
    """Frames seen, and torn ones among them."""

    count: int


class Camera(Actor):
    """Writes as fast as it can; every element of a frame is the frame's number."""

    def on_start(self):
        self.ring = self.context.ring("live", slots=2)
        self.context.ref.tell(Go())

    @receive
    def go(self, msg: Go) -> None:
        for _ in range(20):
            number = self.ring.written + 1
            with self.ring.frame(
                SHAPES[number // 50 % 3], "float32", str(number).encode()
            ) as frame:
                frame[...] = number
        self.context.tell_after(0, msg)


class Viewer(Actor):
    """Looks on while it handles."""

    camera: str

    @receive
    async def show(self, msg: Show) -> tuple[int, int]:
        torn = seen = 0
        async for frame in self.context.frames(self.context.actor(self.camera), "live"):
            seen += 1
            torn += not whole(frame)
            if seen == msg.count:
                break
        return seen, torn


class Big(Actor):
    @receive
    def show(self, msg: Show) -> tuple[int, int]:
        ring = self.context.ring("big", limit=1 << 20)
        ring.write(np.zeros(msg.count))
        return ring.written, 0


class Artist(Actor):
    """A new ring for each picture."""

    @receive
    def show(self, msg: Show) -> tuple[int, int]:
        ring = self.context.ring("picture")
        return ring.write([msg.count]), 0


class Odd(Actor):
    @receive
    def show(self, msg: Show) -> tuple[int, int]:
        self.context.ring("../x" * msg.count)
        return 0, 0


def whole(frame):
    return bool((frame.array == frame.number).all()) and frame.meta == str(frame.number).encode()


@pytest.fixture(scope="module")
def system():
    with supervisor.start() as system:
        yield system


def now(system, name):
    return next(actor.current for actor in system.status().actors if actor.name == name)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_killed_writer_shows_no_torn_frame_and_its_next_life_is_read_on(system):
    camera = system.spawn(Camera, name="camera", restart=supervisor.Restart.PERMANENT)
    frames = system.frames(camera, "live")
    chance = random.Random(7)
    for life in range(1, 9):
        while frames.lives < life:
            assert whole(frames.wait(30.0))
        for _ in range(chance.randrange(30)):
            assert whole(frames.wait(30.0))
        system.kill("camera")
    assert whole(frames.wait(30.0))
    system.stop("camera")


def test_readers_that_die_hold_nobody_up_and_leave_nothing(system):
    camera = system.spawn(Camera, name="cam")
    viewers = [system.spawn(Viewer, name=f"viewer-{n}", camera="cam") for n in range(3)]
    frames = system.frames("cam", "live")
    frames.wait(30.0)
    for viewer in viewers:
        assert viewer.ask(Show(2)).result(30.0) == (2, 0)
    replies = [viewer.ask(Show(10**9)) for viewer in viewers[:2]]
    eventually(lambda: [now(system, f"viewer-{n}") for n in range(2)] == ["Show", "Show"])
    before = descriptors()
    pids = {actor.name: actor.pid for actor in system.status().actors}
    os.kill(pids["viewer-0"], signal.SIGKILL)
    os.kill(pids["viewer-1"], signal.SIGSTOP)
    last = frames.wait(30.0).number
    while frames.wait(30.0).number < last + 60:
        pass
    system.kill("viewer-1")
    assert viewers[2].ask(Show(20)).result(60.0) == (20, 0)
    assert descriptors() <= before
    for reply in replies:
        reply.cancel()
    for name in ("viewer-0", "viewer-1", "viewer-2", camera):
        system.stop(name)


def test_a_reader_may_come_before_its_actor_and_a_stopped_one_has_no_ring(system, caplog):
    frames = system.frames("later", "live")
    with pytest.raises(TimeoutError, match=r"live of later within 1.5 s: no actor is called later"):
        frames.wait(1.5)
    assert "waiting for live of later: no actor is called" in caplog.text
    system.spawn(Camera, name="later")
    assert whole(frames.wait(30.0))
    with pytest.raises(TimeoutError, match=r"later has no ring 'life' yet; its rings are: live"):
        system.frames("later", "life").wait(0.5)
    with pytest.raises(TimeoutError, match=r"Did you mean later\?"):
        system.frames("latter", "live").wait(0.5)
    system.stop("later")
    system.spawn(Viewer, name="later", camera="nobody")
    with pytest.raises(TimeoutError, match="it has made no ring"):
        system.frames("later", "live").wait(0.5)
    system.stop("later")


def test_a_ring_that_takes_the_name_of_another_is_read_on(system):
    artist = system.spawn(Artist, name="artist")
    assert artist.ask(Show(1)).result(30.0) == (1, 0)
    frames = system.frames(artist, "picture")
    assert frames.wait(30.0).array[0] == 1
    assert artist.ask(Show(2)).result(30.0) == (1, 0)

    assert frames.wait(30.0).array[0] == 2
    system.stop("artist")


def test_an_actor_in_a_thread_has_a_new_ring_in_each_life():
    with supervisor.start(inproc=True) as system:
        camera = system.spawn(Camera, name="camera")
        frames = system.frames(camera, "live")
        assert whole(frames.wait(30.0))
        system.restart("camera")
        while frames.lives < 2:
            assert whole(frames.wait(30.0))


def test_nobody_waits_for_a_supervisor_that_stands_still(system):
    frames = system.frames("nobody", "live")
    os.kill(system.pid, signal.SIGSTOP)
    try:
        for _ in range(1000):  # each could wait for ten seconds
            assert frames.newest() is None
    finally:
        os.kill(system.pid, signal.SIGCONT)


def test_frames_larger_than_memory_may_be_are_the_handlers_error(system):
    big = system.spawn(Big, name="big")
    with pytest.raises(MemoryError, match="raise limit="):
        big.ask(Show(10**6)).result(30.0)
    assert big.ask(Show(10**3)).result(30.0) == (1, 0)
    system.stop("big")


def test_a_name_of_a_ring_keeps_to_the_rule(system):
    with pytest.raises(ValueError, match="'a b' cannot name a ring"):
        system.frames("odd", "a b")
    with pytest.raises(ValueError, match="cannot name a ring"):
        system.spawn(Odd, name="odd").ask(Show(1)).result(30.0)
    system.stop("odd")
