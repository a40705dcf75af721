"""Lines of children on their way to the terminal."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading

import pytest

from supervisor.output import (
    ENOUGH,
    TOO_MUCH,
    WHOLE,
    Output,
    Printer,
    standard_streams,
    visible,
)


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        os.close(descriptor)


def read(descriptor, size):
    data = b""
    while len(data) < size:
        data += os.read(descriptor, size - len(data))
    return data


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"plain", "plain"),
        (b"a\ttab", "a\ttab"),
        ("ünï".encode(), "ünï"),
        (b"windows\r", "windows"),
        (b" 10 %\r 20 %\r", " 20 %"),
        (b"\x1b[2J", "\\x1b[2J"),
        ("\u202eevil".encode(), "\\u202eevil"),
        (b"\xff", "\ufffd"),
    ],
)
def test_a_line_cannot_steer_the_terminal(line, shown):
    assert visible(line) == shown


def test_lines_arrive_in_order_and_whole(pipe):
    printer = Printer(pipe[1])
    text = "".join(f"line {number}\n" for number in range(2000))

    printer.write(text)

    assert read(pipe[0], len(text)) == text.encode()
    assert printer.finish(5.0)


def test_a_stuck_terminal_stops_readers_and_then_loses_lines_with_a_count(pipe):
    printer, room = Printer(pipe[1]), threading.Event()
    line = "x" * (WHOLE - 1) + "\n"
    while printer.when_room(room.set):
        printer.write(line)
    written = ENOUGH
    while written <= TOO_MUCH + ENOUGH:
        printer.write(line)
        written += WHOLE
    assert not room.is_set()
    assert not printer.finish(0.0)

    def drain():
        while not room.is_set():
            os.read(pipe[0], 1 << 20)

    reader = threading.Thread(target=drain)
    reader.start()
    assert room.wait(10.0)
    reader.join(10.0)
    printer.write("after\n")
    rest = b""
    while not rest.endswith(b"after\n"):
        rest += os.read(pipe[0], 1 << 20)

    assert b" lines were lost: nobody read them]\nafter\n" in rest


def test_a_terminal_that_is_gone_is_no_reason_to_fail():
    reader, writer = os.pipe()
    os.close(reader)
    printer = Printer(writer)

    printer.write("nobody reads this\n")

    assert printer.finish(5.0)
    os.close(writer)


def test_all_children_share_one_printer_for_each_stream():
    out, err = standard_streams()

    assert standard_streams() == (out, err)
    assert out is not err


def test_a_stranger_who_writes_without_end_does_not_hold_up_the_end_of_a_child(pipe):
    reader, writer = pipe
    os.set_blocking(reader, False)

    async def close():
        output = Output(reader, "child/1", Printer(-1))
        output.close()

    with subprocess.Popen(["yes"], stdout=writer) as stranger:
        try:
            asyncio.run(close())
            still_writes = stranger.poll() is None
        finally:
            stranger.kill()

    assert still_writes
