"""Who watches whom."""

from __future__ import annotations

from supervisor.desk import Desk


def test_a_watcher_that_is_gone_leaves_nothing_behind():
    desk = Desk().open(None, lambda name, msg: None)
    desk.watchers = {"a": {"w", "v"}, "b": {"w"}}

    desk.forget("w")

    assert desk.watchers == {"a": {"v"}}
