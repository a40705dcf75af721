"""A fence: order in what another processor sees of memory that processes share."""

from __future__ import annotations

import os
import threading
from typing import Final, final


@final
class _Fence:
    """Nothing after it is seen before what was before it.

    Processors but x86 reorder, and taking a lock and giving it back is the one barrier that Python
    has.  Once lets the two sides meet inside; twice does not.
    """

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may have held it

    def __call__(self) -> None:
        for _ in range(2):
            with self._lock:  # nothing comes between taking it and giving it back, no Ctrl-C either
                pass


fence: Final = _Fence()
