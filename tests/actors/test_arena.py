from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from actors.arrays import arena as room
from actors.arrays import shelves
from actors.arrays.allowance import Allowance
from actors.arrays.arena import Arena
from actors.arrays.mapper import Mapper, can_attach
from actors.arrays.segment import HAS_MEMFD, Segment
from actors.arrays.shelves import block_size
from actors.errors import MessageError
from tests.descriptors import leading_to, opened

MIB = 1 << 20
KINDS = [False, True] if HAS_MEMFD else [True]


@pytest.fixture(params=KINDS, ids=["memfd", "file"][-len(KINDS) :])
def arena(request, tmp_path):
    arena = Arena(Allowance(4 * MIB), tmp_path, named=request.param, segment=MIB)
    yield arena
    arena.close()


@pytest.fixture
def mapper(tmp_path):
    mapper = Mapper(tmp_path)
    yield mapper
    mapper.close()


def received(mapper, descriptor, array):
    return mapper.read(descriptor, array.dtype, array.shape)


def bytes_of(size, fill=1):
    return np.full(size, fill, np.uint8)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype="<f4").reshape(2, 3, 4),
        np.arange(24, dtype=">i8")[::-2],
        np.asfortranarray(np.arange(12, dtype=np.complex128).reshape(3, 4)),
        np.array(True),
        np.zeros((0, 7), np.uint16),
        np.broadcast_to(np.float16(2), (5, 5)),
        np.ones((1,) * 8, np.int8),
    ],
)
def test_what_is_shared_arrives(arena, mapper, array):
    copy = received(mapper, arena.share(array), array)

    assert copy.dtype == array.dtype
    assert copy.flags.c_contiguous
    np.testing.assert_array_equal(copy, array)


def test_the_senders_array_stays_its_own(arena, mapper):
    array = bytes_of(100)
    descriptor = arena.share(array)
    array[:] = 9

    assert received(mapper, descriptor, array).max() == 1


def test_another_process_can_read(arena, tmp_path):
    array = np.arange(1000.0)
    descriptor = arena.share(array)
    program = (
        "import sys, pathlib; from actors.arrays.mapper import Mapper, can_attach\n"
        f"directory = pathlib.Path({str(tmp_path)!r})\n"
        f"assert can_attach(*{arena.probe()}, directory)\n"
        f"print(Mapper(directory).read({descriptor}, '<f8', (1000,)).sum())\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )

    assert float(answer.stdout) == array.sum()


def test_a_freed_block_is_used_again(arena):
    first = arena.share(bytes_of(5000))
    assert arena.free(first[-1])
    second = arena.share(bytes_of(5000))

    assert second[:5] == first[:5]
    assert second[-1] != first[-1]


def test_a_block_is_freed_once(arena):
    descriptor = arena.share(bytes_of(5000))

    assert arena.free(descriptor[-1])
    assert not arena.free(descriptor[-1])
    assert not arena.free(-5)
    assert not arena.free(10**30)
    assert arena.statistics().blocks == 0


def test_a_freed_block_is_not_delivered(arena, mapper):
    array = bytes_of(5000)
    descriptor = arena.share(array)
    arena.free(descriptor[-1])
    with pytest.raises(MessageError, match="let go"):
        received(mapper, descriptor, array)

    arena.share(bytes_of(5000, 2))
    with pytest.raises(MessageError, match="let go"):
        received(mapper, descriptor, array)


def test_nothing_is_shared_beyond_the_limit(arena):
    shared = [arena.share(bytes_of(MIB)) for _ in range(5)]

    assert [one is not None for one in shared] == [True] * 4 + [False]
    assert arena.statistics().refused == 1
    arena.free(shared[2][-1])
    assert arena.share(bytes_of(MIB)) is not None


def test_an_array_beyond_the_limit_costs_nothing_that_is_kept(arena):
    arena.free(arena.share(bytes_of(MIB))[-1])
    before = arena.statistics().reserved

    assert arena.share(bytes_of(5 * MIB)) is None
    assert arena.statistics().reserved == before


def test_at_the_limit_idle_memory_makes_room_for_other_sizes(arena, mapper):
    for _ in range(2):
        small = [arena.share(bytes_of(4096)) for _ in range(1024)]
        assert None not in small
        for one in small:
            arena.free(one[-1])
        array = bytes_of(4 * MIB)
        large = arena.share(array)
        np.testing.assert_array_equal(received(mapper, large, array), array)
        arena.free(large[-1])

    assert arena.statistics().reserved <= 4 * MIB


def test_idle_memory_is_not_given_up_when_that_would_not_help(arena):
    arena.share(bytes_of(3 * MIB))
    arena.free(arena.share(bytes_of(4096))[-1])
    before = arena.statistics()

    assert arena.share(bytes_of(2 * MIB)) is None
    assert arena.statistics().reserved == before.reserved


def test_trim_gives_idle_memory_back_and_keeps_the_living(arena, mapper):
    array = bytes_of(8192, 7)
    kept = arena.share(array)
    idle = arena.share(bytes_of(MIB))
    arena.free(idle[-1])
    assert leading_to(idle[2])

    assert arena.trim() == MIB
    assert arena.trim() == 0
    assert not leading_to(idle[2])
    assert leading_to(kept[2])
    assert received(mapper, kept, array).min() == 7


def test_a_full_system_means_no_room_instead_of_a_crash(arena, monkeypatch, mapper):
    array = bytes_of(8192)
    kept = arena.share(array)

    def full(self, offset, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Segment, "reserve", full)
        assert arena.share(bytes_of(MIB)) is None
        assert arena.statistics().reserved == 8192
    assert arena.share(bytes_of(MIB)) is not None
    assert received(mapper, kept, array).min() == 1


def test_a_full_system_gets_idle_memory_back_first(arena, monkeypatch):
    arena.free(arena.share(bytes_of(MIB))[-1])
    reserve = Segment.reserve

    failures = [OSError(errno.ENOSPC, "No space left on device")]

    def full_at_first(self, offset, size):
        if failures:
            raise failures.pop()
        reserve(self, offset, size)

    monkeypatch.setattr(Segment, "reserve", full_at_first)

    assert arena.share(bytes_of(2 * MIB)) is not None
    assert arena.statistics().reserved == 2 * MIB


def test_too_many_segments_means_no_room(arena, monkeypatch):
    monkeypatch.setattr(shelves, "_MOST_SEGMENTS", 2)
    shared = [arena.share(bytes_of(size)) for size in (4096, 8192, 12288)]

    assert [one is not None for one in shared] == [True, True, False]
    arena.free(shared[0][-1])
    assert arena.share(bytes_of(12288)) is not None


def test_no_memory_at_all_means_no_probe(arena, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(room, "Segment", full)
        assert arena.probe() is None
        assert arena.share(bytes_of(1)) is None
    assert arena.probe() is not None


def test_a_probe_stays_good_whatever_is_trimmed(arena, tmp_path):
    probe = arena.probe()
    arena.free(arena.share(bytes_of(MIB))[-1])
    arena.trim()

    assert can_attach(*probe, tmp_path)
    arena.close()
    assert not can_attach(*probe, tmp_path)


def test_statistics_count_whole_blocks(arena):
    kept, freed = arena.share(bytes_of(1)), arena.share(bytes_of(5000))
    arena.free(freed[-1])

    found = arena.statistics()
    assert kept is not None
    assert (found.limit, found.reserved, found.living) == (4 * MIB, 4096 + 8192, 4096)
    assert (found.blocks, found.segments, found.shared, found.refused) == (1, 2, 2, 0)


def test_a_closed_arena_shares_nothing_and_leaves_nothing(arena, tmp_path):
    before = opened()
    block = arena.share(bytes_of(5000))[-1]
    arena.probe()
    arena.close()
    arena.close()

    assert arena.share(bytes_of(5000)) is None
    assert not arena.free(block)
    assert arena.probe() is None
    assert not opened() - before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["O", "S5", "U3", "M8[s]", "V4", [("x", "f4")], np.clongdouble])
def test_what_means_nothing_elsewhere_is_refused(arena, dtype):
    with pytest.raises(TypeError, match="cannot be shared"):
        arena.share(np.zeros(3, dtype))
    assert arena.statistics().blocks == 0


def test_a_copy_that_fails_keeps_no_block(arena, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(np, "copyto", fail)

    with pytest.raises(MemoryError):
        arena.share(bytes_of(5000))
    assert arena.statistics().blocks == 0


@pytest.mark.process
def test_a_forked_child_cannot_use_its_parents_arena(arena, mapper):
    array = bytes_of(5000)
    descriptor = arena.share(array)
    arena._lock.acquire()  # as if another thread was at it: in the child it is never let go
    pid = os.fork()
    if pid:
        arena._lock.release()
    else:
        code = 1
        try:
            with pytest.raises(RuntimeError, match="new Arena"):
                arena.share(array)
            assert not arena.free(descriptor[-1])
            assert arena.probe() is None
            arena.close()
            code = 0
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert received(mapper, descriptor, array).min() == 1


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"segment": 0}, "segment"),
        ({"segment": 5000}, "segment"),
        ({"named": True}, "session directory"),
    ],
)
def test_arguments_without_sense_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        Arena(**arguments)


@pytest.mark.parametrize(
    ("nbytes", "size"),
    [
        (0, 4096),
        (1, 4096),
        (4096, 4096),
        (4097, 8192),
        (16385, 20480),
        (65536, 65536),
        (65537, 81920),
        (MIB + 1, MIB * 5 // 4),
        (8 * MIB, 8 * MIB),
    ],
)
def test_block_sizes(nbytes, size):
    assert block_size(nbytes) == size


def test_a_block_wastes_at_most_a_quarter():
    for nbytes in range(16384, 300_000, 77):
        assert nbytes <= block_size(nbytes) < nbytes * 1.25 + 1
        assert block_size(block_size(nbytes)) == block_size(nbytes)


def test_many_threads_share_while_another_frees(arena, mapper):
    wrong = []

    def work(fill):
        for size in range(1, 60_000, 401):
            array = bytes_of(size, fill)
            descriptor = arena.share(array)
            if descriptor is None:
                continue
            if (received(mapper, descriptor, array) != fill).any():
                wrong.append(descriptor)
            freer = threading.Thread(target=arena.free, args=(descriptor[-1],))
            freer.start()
            freer.join()

    threads = [threading.Thread(target=work, args=(fill,)) for fill in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert arena.statistics().blocks == 0
    assert arena.statistics().living == 0
