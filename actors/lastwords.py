"""The stack of a process that crashes in C, or that is asked for it while it hangs.

`faulthandler` writes it without the interpreter's help, even while C code holds the lock, to the
end of the flight recorder's page: there it survives the process.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from typing import Final

from actors.recorder import LAST_WORDS

ASK: Final[int] = getattr(signal, "SIGRTMIN", signal.SIGUSR2 - 8) + 8
"""The signal that asks for the stack; one that no program is known to use, where there are any."""


def write_to(page: int) -> None:
    """Have this process write its stack, at a crash or when asked, to a page's descriptor.

    Only the main thread may call this.
    """
    try:
        # Opened anew, for a place of its own to write at: a duplicate would share the other's.
        fd = os.open(f"/dev/fd/{page}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        fd = os.dup(page)
    os.lseek(fd, LAST_WORDS, os.SEEK_SET)
    faulthandler.enable(fd)
    faulthandler.register(ASK, fd, all_threads=True, chain=False)
