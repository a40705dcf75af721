from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from actors.arrays import lease as lease_room
from actors.arrays import locks, segment, turn
from actors.arrays import mapper as mapper_room
from actors.arrays.allowance import Allowance
from actors.arrays.arena import Arena
from actors.arrays.census import Census
from actors.arrays.lease import Lease
from actors.arrays.mapper import Mapper
from actors.arrays.segment import HAS_MEMFD
from actors.arrays.shelves import IDLE_LOOKS
from actors.errors import MessageError
from tests.interrupts import interruptions

KINDS = [False, True] if HAS_MEMFD else [True]
SIZE = 5000
ROOMS_OF_A_DROP = (lease_room, locks, mapper_room, segment, turn)


@pytest.fixture(params=KINDS, ids=["memfd", "file"][-len(KINDS) :])
def arena(request, tmp_path):
    arena = Arena(Allowance(1 << 20), tmp_path, named=request.param, segment=1 << 16)
    yield arena
    arena.close()


@pytest.fixture
def mappers(tmp_path):
    mappers = [Mapper(tmp_path) for _ in range(3)]
    yield mappers
    for mapper in mappers:
        mapper.close()


@pytest.fixture
def mapper(mappers):
    return mappers[0]


def shared(arena, fill=1):
    return arena.share(np.full(SIZE, fill, np.uint8))


def read(mapper, descriptor):
    return mapper.read(descriptor, "u1", (SIZE,))


def lent(arena):
    return arena.statistics().lent


@pytest.mark.parametrize("size", [1 << 18, 1 << 25], ids=["256 KiB", "32 MiB"])
def test_0_11_an_array_of_any_size_is_read_where_it_lies(tmp_path, mapper, size):
    arena = Arena(Allowance(2 * size), tmp_path)
    born = arena.empty(size // 16, np.complex128)
    cells = born[:]  # from before it was sent: it can still be written to
    array = mapper.read(arena.share(born), "c16", born.shape)
    cells[0], cells[-1] = 1j, 2j

    assert (array[0], array[-1], array.nbytes) == (1j, 2j, size)
    arena.close()


def test_an_array_is_read_where_its_owner_wrote_it(arena, mapper):
    born = arena.empty(SIZE, np.uint8)
    born[:] = 1
    view = born[:]  # from before it was sent: it can still be written to
    array = read(mapper, arena.share(born))
    view[7] = 9

    assert array[7] == 9
    assert (array.dtype, array.shape) == (np.uint8, (SIZE,))


def test_nobody_can_write_to_what_is_read(arena, mapper):
    array = read(mapper, shared(arena))

    assert not array.flags.writeable
    for attempt in (array, array[5:], array.reshape(-1, 5)):
        with pytest.raises(ValueError, match="WRITEABLE"):
            attempt.flags.writeable = True
    assert memoryview(array).readonly


def test_a_block_stays_as_it_is_while_somebody_reads_it(arena, mapper):
    descriptor = shared(arena, 1)
    array = read(mapper, descriptor)
    assert arena.free(descriptor[-1])

    other = shared(arena, 2)
    assert other[3] != descriptor[3]
    assert array.max() == 1
    assert (arena.statistics().blocks, lent(arena)) == (1, 1)


@pytest.mark.parametrize(
    "part",
    [lambda a: a, lambda a: a[10:], lambda a: a[::-7], lambda a: a.view("u4")[3:].T],
    ids=["all", "tail", "steps", "other elements"],
)
def test_a_block_is_used_again_when_the_last_view_of_it_has_gone(arena, mapper, part):
    descriptor = shared(arena)
    view = part(read(mapper, descriptor))
    arena.free(descriptor[-1])
    assert lent(arena) == 1

    del view
    assert lent(arena) == 0
    assert shared(arena)[:5] == descriptor[:5]


def test_each_reading_of_a_block_is_a_claim_of_its_own(arena, mappers):
    descriptor = shared(arena)
    arrays = [read(mapper, descriptor) for mapper in mappers[:2] * 2]
    arena.free(descriptor[-1])

    while arrays:
        assert lent(arena) == 1
        arrays.pop()
    assert lent(arena) == 0


def test_a_block_that_was_freed_cannot_be_held_any_more(arena, mapper):
    first, second = shared(arena), shared(arena)
    read(mapper, first)
    arena.free(first[-1])
    held = read(mapper, second)
    shared(arena, 3)

    with pytest.raises(MessageError, match="let go"):
        read(mapper, first)
    assert held.max() == 1
    assert arena.statistics().blocks == 2


def test_what_is_received_goes_to_a_third_process_without_a_copy(arena, mappers):
    descriptor = shared(arena)
    array = read(mappers[0], descriptor)
    arena.free(descriptor[-1])

    lease = Lease.of(array.reshape(50, 100))
    assert lease is not None
    passed_on = lease.forward(array)
    third = read(mappers[1], passed_on)
    assert passed_on[2:] == descriptor[2:]
    assert Lease.of(third) is not None

    del array, lease
    mappers[0].tidy()
    assert lent(arena) == 1  # the owner knows of the third, though it never heard of it
    del third
    assert lent(arena) == 0


def test_what_is_received_can_be_passed_on_after_its_owners_end(mappers):
    arena = Arena()
    array = read(mappers[0], shared(arena))
    arena.close()
    lease = Lease.of(array)
    assert lease is not None

    third = read(mappers[1], lease.forward(array))
    del array, lease
    assert third.min() == third.max() == 1


@pytest.mark.parametrize(
    "part",
    [lambda a: a[1:], lambda a: a[::2], lambda a: np.broadcast_to(a, (2, SIZE))],
    ids=["tail", "steps", "twice"],
)
def test_a_part_is_passed_on_only_if_it_begins_where_the_block_begins(arena, mapper, part):
    array = read(mapper, shared(arena))
    lease = Lease.of(array)
    assert lease is not None

    assert lease.forward(part(array)) is None
    assert read(mapper, lease.forward(array)).max() == 1
    assert mapper.read(lease.forward(array[:100]), "u1", (100,)).max() == 1


def test_ordinary_arrays_are_read_under_no_claim(arena):
    assert Lease.of(np.zeros(3)) is None
    assert Lease.of(np.frombuffer(b"abc", np.uint8)) is None
    assert Lease.of(arena.empty(SIZE, np.uint8)) is None


def test_who_keeps_much_reads_copies_of_the_rest(arena, tmp_path):
    mapper = Mapper(tmp_path, leased=2 * SIZE)
    arrays = [read(mapper, shared(arena, n)) for n in range(3)]
    assert [Lease.of(array) is not None for array in arrays] == [True, True, False]
    assert [array.max() for array in arrays] == [0, 1, 2]

    del arrays[0]
    assert Lease.of(read(mapper, shared(arena))) is not None
    mapper.close()


def test_segments_that_are_read_stay_attached_and_the_next_is_copied(tmp_path):
    arena = Arena(Allowance(1 << 20), tmp_path, named=not HAS_MEMFD, segment=4096)
    mapper = Mapper(tmp_path, most=2)
    arrays = [mapper.read(arena.share(np.full(9, n, "u1")), "u1", (9,)) for n in range(4)]

    assert [Lease.of(array) is not None for array in arrays] == [True, True, False, False]
    assert [array.max() for array in arrays] == [0, 1, 2, 3]
    del arrays
    assert Lease.of(mapper.read(arena.share(np.zeros(9, "u1")), "u1", (9,))) is not None
    mapper.close()
    arena.close()


def test_arrays_stay_when_their_reader_detaches_and_their_owner_ends(arena, mapper):
    descriptor = shared(arena)
    array = read(mapper, descriptor)
    mapper.close()
    arena.free(descriptor[-1])
    assert lent(arena) == 1
    arena.close()

    assert array.min() == array.max() == 1
    lease = Lease.of(array)
    assert lease is not None
    assert lease.forward(array) is None


def test_a_claim_that_ends_while_the_books_are_open_is_entered_later(arena, mapper):
    descriptor = shared(arena)
    array = read(mapper, descriptor)
    arena.free(descriptor[-1])
    with mapper._lock:
        del array  # as the collector does it, in the midst of anything
        assert lent(arena) == 1

    mapper.tidy()
    assert lent(arena) == 0


def test_where_the_system_keeps_no_such_locks_all_is_copied(arena, mapper, monkeypatch):
    monkeypatch.setattr(segment, "HAS_LEASES", False)
    descriptor = shared(arena)
    array = read(mapper, descriptor)
    arena.free(descriptor[-1])

    assert Lease.of(array) is None
    assert shared(arena, 2)[3] == descriptor[3]
    assert array.max() == 1


def test_memory_that_is_not_used_is_given_back_after_a_while(arena, mapper):
    kept, passing = shared(arena), arena.share(np.zeros(100_000))
    array = read(mapper, kept)
    for descriptor in (kept, passing):
        arena.free(descriptor[-1])
    for _ in range(IDLE_LOOKS - 1):
        arena.tidy()
    assert arena.statistics().segments == 2

    for _ in range(2):
        arena.tidy()
    assert arena.statistics().segments == 1
    assert array.max() == 1
    del array
    for _ in range(IDLE_LOOKS + 1):
        arena.tidy()
    assert arena.statistics().reserved == 0


def test_what_is_read_no_more_is_detached_after_a_while_though_its_owner_keeps_it(arena, mapper):
    kept, passing = shared(arena), arena.share(np.full(100_000, 2, np.uint8))
    array = read(mapper, kept)
    assert mapper.read(passing, "u1", (100_000,)).max() == 2
    for _ in range(IDLE_LOOKS - 1):
        mapper.tidy()
    assert len(mapper._maps) == 2

    for _ in range(2):
        mapper.tidy()
    assert len(mapper._maps) == 1
    assert array.max() == 1
    assert mapper.read(passing, "u1", (100_000,)).max() == 2


def test_a_forked_child_leaves_its_parents_claims_alone(arena, mapper):
    descriptor = shared(arena)
    array = read(mapper, descriptor)
    arena.free(descriptor[-1])
    pid = os.fork()
    if not pid:
        del array
        os._exit(0)
    os.waitpid(pid, 0)

    assert lent(arena) == 1
    assert array.max() == 1


@contextmanager
def reader_of(descriptor, tmp_path):
    """Another process that reads an array, and keeps it."""
    program = (
        "import pathlib, sys, time; from actors.arrays.mapper import Mapper\n"
        f"array = Mapper(pathlib.Path({str(tmp_path)!r})).read({descriptor}, 'u1', ({SIZE},))\n"
        "print(array.max(), flush=True); time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "1\n"
        yield reader


@pytest.mark.process
def test_what_a_killed_reader_held_comes_back_at_once(arena, tmp_path):
    descriptor = shared(arena)
    with reader_of(descriptor, tmp_path) as reader:
        arena.free(descriptor[-1])
        assert lent(arena) == 1
        reader.send_signal(signal.SIGKILL)

    assert lent(arena) == 0


def test_the_readers_of_a_process_can_be_counted(mappers):
    arena = Arena()
    descriptors = [shared(arena), shared(arena)]
    before = Census().readers_of(os.getpid())
    arrays = [read(mapper, one) for mapper in mappers for one in descriptors * 2]
    taken = Census()
    assert taken.readers_of(os.getpid()) == before + 6

    del arrays
    assert Census().readers_of(os.getpid()) == before
    assert taken.readers_of(os.getpid()) == before + 6  # it is of its moment
    assert Census().readers_of(2**22 + 7) == 0
    arena.close()


@pytest.mark.process
def test_what_a_process_itself_reads_of_others_is_not_counted_as_read_by_others(tmp_path):
    arena = Arena()
    before = Census().readers_of(os.getpid())
    with reader_of(shared(arena), tmp_path) as reader:
        assert Census().readers_of(os.getpid()) == before + 1
        assert Census().readers_of(reader.pid) == 0
        reader.kill()
    arena.close()


def test_many_threads_read_and_let_go(arena, mapper):
    descriptors = [shared(arena, n) for n in range(8)]
    seen: list[bool] = []

    def look(n):
        for k in range(100):
            fill = (n + k) % 8
            array = read(mapper, descriptors[fill])
            seen.append(array.min() == array.max() == fill)

    threads = [threading.Thread(target=look, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for descriptor in descriptors:
        arena.free(descriptor[-1])

    assert (len(seen), all(seen)) == (400, True)
    assert lent(arena) == 0
    assert not mapper._reading


def test_ctrl_c_while_an_array_is_dropped_ends_its_lease_all_the_same(arena, tmp_path, monkeypatch):
    """It is printed then, as whatever a finalizer raises."""
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: printed.append(it.exc_type))
    mapper, descriptor = Mapper(tmp_path), shared(arena)
    kept, held = read(mapper, descriptor), [read(mapper, descriptor)]
    for _ in interruptions(held.clear, *ROOMS_OF_A_DROP, spared=("__del__", "_drop")):
        assert not mapper._lock.locked()
        mapper.tidy()
        assert mapper._reading == {os.getpid(): SIZE}
        held.append(read(mapper, descriptor))
    assert printed
    assert set(printed) == {KeyboardInterrupt}

    arena.free(descriptor[-1])
    held.clear()
    assert lent(arena) == 1
    del kept
    assert lent(arena) == 0
    assert not mapper._reading
    mapper.close()


def test_ctrl_c_while_the_last_array_of_a_block_is_dropped_does_not_keep_the_block(
    arena, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    mapper, descriptor = Mapper(tmp_path), shared(arena)
    held = [read(mapper, descriptor)]
    for _ in interruptions(held.clear, *ROOMS_OF_A_DROP, spared=("__del__", "_drop")):
        assert not mapper._lock.locked()
        held.append(read(mapper, descriptor))  # before anybody has tidied up
        arena.free(descriptor[-1])
        assert lent(arena) == 1

        held.clear()
        assert lent(arena) == 0
        assert not mapper._reading
        descriptor = shared(arena)
        held.append(read(mapper, descriptor))
    held.clear()
    mapper.close()
