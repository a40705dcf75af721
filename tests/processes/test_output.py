"""What actors print is visible, with their names, and never stops anybody else."""

from __future__ import annotations

import pytest
from programs import eventually

pytestmark = pytest.mark.process


def test_everything_an_actor_prints_is_shown_with_its_name(scene):
    program = scene("output")

    assert program.end() == 0, program.errors
    label = "[player/1] "
    assert all(line.startswith(label) for line in program.output)
    lines = [line.removeprefix(label) for line in program.output]
    assert lines[:4] == [
        "a whole line",
        "half a line, and its other half",
        "ünï¢ødé ☃",
        "an escape \\x1b[2J in it",
    ]
    assert lines[4:-1] == ["x" * 99] * 10_000
    assert lines[-1] == "no end of line"
    assert f"{label}an error" in program.lines["stderr"]


def test_a_terminal_that_takes_no_more_stops_nobody_but_who_prints(scene):
    program = scene("flood", listen=["stderr"])
    eventually(lambda: "answered 3.0" in program.errors)

    program.listen("stdout")
    program.process.stdin.write(b"\n")
    program.process.stdin.flush()

    assert program.end() == 0, program.errors
    assert program.output == ["[player/1] " + "x" * 99] * 200_000
