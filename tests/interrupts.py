"""Ctrl-C at every moment of an operation, one after the other.

CPython looks for signals where a function begins, directly after a call that Python code has made,
and where a loop begins anew; a handler that raises does so there, and nowhere else.  An opcode
tracer finds these moments, so no test waits for a signal that comes by chance.
"""

from __future__ import annotations

import dis
import sys
from itertools import count

LOOKS = ("CALL", "JUMP_BACKWARD", "POP_JUMP_BACKWARD", "RESUME")
"""What the names of the opcodes begin with after which CPython looks for signals."""


class _Interrupter:
    """A tracer that raises `KeyboardInterrupt` at one moment, by its number from 0."""

    def __init__(self, moment, rooms, spared):
        self._left = moment
        self._files = {room.__file__ for room in rooms}
        self._spared = spared
        self.latest = {}
        self.done = False

    def trace(self, frame, event, _):
        code = frame.f_code
        if self.done or code.co_filename not in self._files or code.co_name in self._spared:
            return None
        frame.f_trace_opcodes = True
        if event == "call":
            self.latest[frame] = "RESUME"
        elif event == "opcode":
            latest = self.latest.get(frame, "")
            self.latest[frame] = dis.opname[code.co_code[frame.f_lasti]]
            if latest.startswith(LOOKS):
                self._left -= 1
                if self._left < 0:
                    self.done = True
                    raise KeyboardInterrupt
        return self.trace


def interruptions(operation, *rooms, spared=()):
    """Run `operation` again and again, each time with Ctrl-C one moment later; yield after each.

    Only what runs in these rooms is interrupted, but for the functions that are `spared`.  The last
    time it comes to its end.
    """
    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # 3.12 must know before `settrace` that opcodes matter
    for moment in count():
        interrupter = _Interrupter(moment, rooms, spared)
        sys.settrace(interrupter.trace)
        try:
            operation()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
            interrupter.latest.clear()  # the frames hold whatever the operation had in its hands
        yield moment
        if not interrupter.done:
            assert moment, "there was no moment to interrupt it"
            return
