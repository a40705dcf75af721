"""What looks through a window at a computation, with nobody behind it."""

from __future__ import annotations

import time
from types import SimpleNamespace

import msgspec
import numpy as np

from actors.compute.client import View
from actors.compute.words import Moment


class Beats:
    """Heartbeats of one life; none has come, and nothing of its end is known yet."""

    def __init__(self):
        self.closed = False

    def done(self):
        return False

    def close(self):
        self.closed = True


class Window:
    """A system, its computation, and the reader of its ring."""

    name = "count"

    def __init__(self):
        self.attended = []
        self.frame = None

    def frames(self, _server, _output):
        return self

    def stream(self, _msg):
        self.attended.append(Beats())
        return self.attended[-1]

    def newest(self):
        return self.frame

    def show(self, incarnation, frame):
        moment = Moment(frame, incarnation, frame, True, time.monotonic(), {}, {})
        self.frame = SimpleNamespace(meta=msgspec.msgpack.encode(moment), array=np.zeros(2))


def test_a_frame_of_the_next_life_that_overtakes_the_news_of_the_end_is_enough_to_attend_there():
    window = Window()
    view = View(window, window, "field")
    for incarnation, frame in ((1, 7), (1, 8), (2, 8), (2, 9)):
        window.show(incarnation, frame)
        assert view.newest().moment.incarnation == incarnation

    assert [beats.closed for beats in window.attended] == [True, False]
