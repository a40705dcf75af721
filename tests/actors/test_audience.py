"""What a viewer notes of the frames it gets."""

from __future__ import annotations

import time

import numpy as np

from actors.compute.audience import Seen, SeenRequest, Viewer
from actors.compute.live import Frame
from actors.ref import ActorRef


def frame(number: int, incarnation: int = 1, level: float = 1.0) -> Frame:
    return Frame(number, incarnation, 0.0, time.monotonic(), np.full((4, 4), level))


def viewer(*frames: Frame) -> Viewer:
    made = Viewer(ActorRef("handler", None))
    made.frame, made.seen, made.norm, made.at = None, Seen(0, [], 0.0, 0.0, 0, 0.0), 0.0, 0.0
    for each in frames:
        made.check(each, made.frame)
        made.frame = each
    return made


def test_frames_are_counted_and_lives_listed_once() -> None:
    seen = viewer(frame(1), frame(2), frame(2, incarnation=2), frame(3, incarnation=2)).seen

    assert (seen.frames, seen.incarnations, seen.disorder) == (4, [1, 2], 0)


def test_an_older_frame_of_the_same_life_is_disorder() -> None:
    assert viewer(frame(2), frame(1)).seen.disorder == 1


def test_a_frame_that_has_lost_fluid_is_noticed() -> None:
    seen = viewer(frame(1), frame(2, level=0.5)).seen

    assert seen.worst_norm == 0.5


def test_the_report_is_what_was_seen() -> None:
    made = viewer(frame(1))

    assert made.report(SeenRequest()) is made.seen
