"""Order in what other processors see (actors/arrays/fence.py)."""

from __future__ import annotations

from actors.arrays import fence as fence_room
from actors.arrays.fence import fence
from tests.interrupts import interruptions


def test_ctrl_c_in_a_fence_shuts_nobody_out_of_it():
    for _ in interruptions(fence, fence_room):
        assert not fence._lock.locked()
