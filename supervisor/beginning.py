"""The command `understudy` while it is still being read: Ctrl-C ends it, without a word.

Nothing has begun that would have to end in order.  A KeyboardInterrupt in the midst of our imports
would show where they stood, and in the midst of numpy's it crashes the interpreter now and then.
So the signal ends the process as it ends any other, until the command begins.

This room is imported before all others, in `supervisor`.  It does nothing in other programs.
"""

from __future__ import annotations

import signal
import sys
import threading


def end_quietly() -> None:
    """From now on Ctrl-C ends the command at once."""
    named = bool(sys.argv) and sys.argv[0].rpartition("/")[2] == "understudy"
    # Where it is ignored (`nohup`, a background job) it stays so.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if named and ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def begin() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt, as in every Python program."""
    # Python never leaves it so by itself, nor does it inherit it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


end_quietly()
