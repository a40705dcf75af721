"""The ring in one process: what is written, what is read, what is skipped, what is refused."""

from __future__ import annotations

import os
import resource
import sys
import threading

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from actors.arrays import segment
from actors.arrays.allowance import Allowance
from actors.arrays.reader import RingReader
from actors.arrays.ring import FRAME, MOST_META, ROOT, RingAddress, SharedRing
from actors.arrays.segment import HAS_MEMFD, PAGE
from actors.attachments import Memory
from actors.errors import MessageError, SharedMemoryFull
from tests.descriptors import opened

assert HAS_MEMFD, "a ring needs Linux"


@pytest.fixture
def ring():
    ring = SharedRing()
    yield ring
    ring.close()


@pytest.fixture
def reader(ring):
    return RingReader(lambda: ring.address)


# --- what is read ---------------------------------------------------------------------------------


def test_the_newest_frame_is_read_once(ring, reader):
    assert reader.newest() is None
    ring.write(np.arange(6).reshape(2, 3), b"t=1")

    frame = reader.newest()

    assert frame.array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (frame.number, frame.meta, frame.skipped) == (1, b"t=1", 0)
    assert reader.newest() is None


def test_a_frame_is_a_copy_that_later_frames_leave_alone(ring, reader):
    ring.write([1.0])
    frame = reader.newest()
    for value in range(20):
        ring.write([value])

    assert frame.array.tolist() == [1.0]
    assert not frame.array.flags.writeable


def test_a_slow_reader_gets_the_newest_and_counts_the_others(ring, reader):
    for value in range(1, 4):
        ring.write([value])
    first = reader.newest()
    for value in range(4, 14):
        ring.write([value])
    second = reader.newest()

    assert (first.number, first.skipped) == (3, 0)  # what was before it came is not its own
    assert (second.number, second.skipped, second.array[0]) == (13, 9, 13)
    assert (reader.seen, reader.skipped) == (2, 9)


def test_a_buffer_of_ones_own_is_filled_when_it_fits(ring, reader):
    out = np.zeros((2, 2))
    ring.write(np.ones((2, 2)))
    assert reader.newest(out).array is out
    ring.write(np.ones((2, 3)))
    assert reader.newest(out).array.shape == (2, 3)
    assert out.tolist() == [[1, 1], [1, 1]]


def test_a_frame_that_failed_while_it_was_filled_is_never_seen(ring, reader):
    ring.write([1])

    def fill():
        with ring.frame((1,), "int64") as memory:
            memory[0] = 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill()

    assert reader.newest().array.tolist() == [1]
    assert ring.write([3]) == 2


shapes = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=40)
kinds = st.sampled_from(["?", "<i1", "<u2", ">i4", "<f4", "<f8", ">c16"])
written = st.tuples(kinds, shapes, st.binary(max_size=40))


@settings(max_examples=60)
@given(slots=st.integers(2, 6), script=st.lists(st.one_of(written, st.just("read")), max_size=30))
def test_whatever_is_written_and_read_the_newest_is_found(slots, script):
    """Against the naive model: a variable that holds the last frame."""
    ring = SharedRing(slots)
    reader, late = RingReader(lambda: ring.address), None
    newest = None
    for step in script:
        if step == "read":
            frame = reader.newest()
            assert (frame is None) == (newest is None)
            if frame is not None:
                assert _same(frame, newest)
            late, newest = late or newest, None
        else:
            kind, shape, meta = step
            array = np.full(shape, ring.written % 2 or 1).astype(kind)
            newest = (array, meta, ring.write(array, meta))
    fresh = RingReader(lambda: ring.address).newest()
    assert (fresh.number if fresh else 0) == ring.written
    assert reader.seen + reader.skipped <= ring.written
    ring.close()


def _same(frame, expected):
    array, meta, number = expected
    same = frame.array.dtype == array.dtype and np.array_equal(frame.array, array)
    return (
        same and frame.array.shape == array.shape and (frame.meta, frame.number) == (meta, number)
    )


class Interrupted(np.ndarray):
    """A buffer that is copied to in two halves, between which something happens."""

    meanwhile = staticmethod(lambda: None)

    def __array_function__(self, function, _types, arguments, _options):
        assert function is np.copyto
        target, source = (np.asarray(array) for array in arguments)
        half = len(target) // 2
        target[:half] = source[:half]
        self.meanwhile()
        target[half:] = source[half:]


def write_next(ring):
    ring.write(np.full(1000, ring.written + 1, "int64"))


@given(
    slots=st.integers(2, 5),
    bursts=st.lists(st.integers(0, 8), max_size=6),
    leases=st.booleans(),
)
def test_frames_written_in_the_middle_of_a_copy_do_not_tear_it(slots, bursts, leases):
    """Also on a system without locks, where the writer cannot know what is read."""
    ring = SharedRing(slots)
    reader = RingReader(lambda: ring.address)
    out = np.zeros(1000, "int64").view(Interrupted)
    left, newest = list(bursts), 0

    def meanwhile():
        nonlocal newest
        newest = ring.written
        for _ in range(left.pop() if left else 0):
            write_next(ring)

    out.meanwhile = meanwhile
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "HAS_LEASES", leases and segment.HAS_LEASES)
        write_next(ring)
        frame = reader.newest(out)
    ring.close()

    assert frame is not None
    assert set(np.asarray(frame.array).tolist()) == {frame.number}
    assert frame.number == newest  # when it began to be copied


def test_frames_that_are_copied_stay_and_newer_ones_go_elsewhere():
    """Each reader has a frame of its own to copy, which is copied once."""
    ring = SharedRing(4)
    copies = []

    def look_on(others):
        """Read the newest frame; while it is copied, others do, and many are written."""
        out = np.zeros(1000, "int64").view(Interrupted)

        def meanwhile():
            copies.append(ring.written)
            write_next(ring)
            if others:
                look_on(others - 1)
            for _ in range(10):
                write_next(ring)

        out.meanwhile = meanwhile
        frame = RingReader(lambda: ring.address).newest(out)
        assert set(np.asarray(frame.array).tolist()) == {frame.number}

    write_next(ring)
    look_on(1)
    ring.close()

    assert copies == [1, 2]


def test_a_ring_that_nobody_reads_stays_where_its_memory_is_warm(ring):
    places = set()
    for _ in range(20):
        with ring.frame((1000,)) as frame:
            places.add(frame.ctypes.data)

    assert len(places) == 2


def test_a_thread_that_writes_without_a_pause_never_shows_a_torn_frame(ring, reader):
    over = threading.Event()

    def write():
        value, sizes = 0, (60_000, 90_000, 30_000)
        while not over.is_set():
            value += 1
            ring.write(np.full(sizes[value // 500 % 3], value, "int64"), str(value).encode())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            frame = reader.wait(20.0)
            assert frame.array.min() == frame.array.max() == frame.number
            assert frame.meta == str(frame.number).encode()
    finally:
        over.set()
        writer.join()


# --- how it ends, and begins again ----------------------------------------------------------------


def test_a_reader_may_come_first():
    rings = []
    reader = RingReader(lambda: rings[0].address if rings else None)
    assert reader.newest() is None
    rings.append(SharedRing())
    rings[0].write([1])

    assert reader.wait(10.0).array.tolist() == [1]
    rings[0].close()


def test_the_next_life_of_a_ring_is_read_on(ring):
    rings = [ring]
    reader = RingReader(lambda: rings[-1].address)
    ring.write([1])
    assert reader.wait(10.0).number == 1
    ring.write([2])
    rings.append(SharedRing())
    ring.close()
    assert reader.wait(10.0).array.tolist() == [2]  # it was whole, and nothing newer was there
    rings[-1].write([3])

    frame = reader.wait(10.0)
    assert (frame.number, frame.skipped, reader.lives) == (1, 0, 2)
    rings[-1].close()


def test_closing_gives_the_descriptors_back():
    def use():
        ring = SharedRing()
        reader = RingReader(lambda: ring.address)
        ring.write(np.zeros(100))
        ring.write(np.zeros(100_000))
        assert reader.newest().number == 2
        reader.close()
        ring.close()
        ring.close()

    before = opened()
    for _ in range(20):
        use()
    assert not opened() - before


def test_a_larger_frame_gives_the_smaller_slots_back(ring):
    ring.write(np.zeros(10))
    small = ring.reserved
    ring.write(np.zeros(100_000))
    large = ring.reserved
    ring.write(np.zeros(10))

    assert small < 10 * PAGE
    assert large == ring.reserved < 1.1 * 4 * 800_000


def test_waiting_for_a_frame_that_does_not_come_says_which(ring):
    reader = RingReader(lambda: ring.address, "density of compute")

    with pytest.raises(TimeoutError, match=r"no new frame of density of compute within 0.01 s"):
        reader.wait(0.01)


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [-1, 0, 1, 65])
def test_a_number_of_slots_must_make_sense(slots):
    with pytest.raises(ValueError, match="2 to 64 slots"):
        SharedRing(slots)


@pytest.mark.parametrize("given", [{"slots": "4"}, {"slots": 4.0}, {"limit": "1 GiB"}])
def test_what_is_no_number_is_refused_in_words(given):
    with pytest.raises(TypeError, match="give whole numbers; limit= is in bytes"):
        SharedRing(**given)


@pytest.mark.parametrize(
    ("array", "meta", "error", "text"),
    [
        (np.array([object()]), b"", TypeError, "convert it"),
        (np.array(["a"]), b"", TypeError, "convert it"),
        (np.zeros((1,) * 9), b"", ValueError, "at most 8 lengths"),
        (np.zeros(1), bytes(MOST_META + 1), ValueError, "3840 at most"),
        (np.zeros(1), "words", TypeError, "meta of a frame is bytes, not 'words'"),
    ],
)
def test_what_cannot_be_shared_is_refused(ring, reader, array, meta, error, text):
    ring.write([7])
    with pytest.raises(error, match=text):
        ring.write(array, meta)

    assert reader.newest().array.tolist() == [7]


def test_an_array_that_cannot_be_filled_is_the_readers_own_mistake(ring, reader):
    ring.write([7])
    mine = np.zeros(1, np.int64)
    mine.flags.writeable = False

    with pytest.raises(ValueError, match="read-only"):
        reader.newest(out=mine)


def test_a_frame_beyond_the_limit_is_an_error_and_the_last_one_stays(reader, ring):
    ring.limit = 100_000
    ring.write([7])
    with pytest.raises(SharedMemoryFull, match=r"30,000 bytes take 147,456 bytes.*raise limit="):
        ring.write(np.zeros(30_000, "uint8"))

    assert reader.newest().array.tolist() == [7]
    with pytest.raises(SharedMemoryFull), ring.frame((1 << 62, 8)):
        pytest.fail("there is no such memory")


def test_a_system_without_descriptors_is_an_error_and_the_last_one_stays(reader, ring):
    ring.write([7])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        with pytest.raises(SharedMemoryFull, match="Too many open files"):
            ring.write(np.zeros(30_000))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert reader.newest().array.tolist() == [7]


def test_a_first_larger_frame_that_fails_leaves_the_older_ones(ring, reader):
    ring.write([7])
    held = ring.reserved
    with pytest.raises(ZeroDivisionError), ring.frame((100_000,)):
        raise ZeroDivisionError

    assert RingReader(lambda: ring.address).newest().array.tolist() == [7]
    assert ring.reserved == held


def test_frames_that_grow_by_little_seldom_need_new_slots(ring, reader):
    places = set()
    for size in range(1000, 9000, 100):
        ring.write(np.full(size, size))
        places.add(ring.reserved)
        assert reader.newest().array.min() == size

    assert len(places) < 15


def test_a_ring_that_nobody_holds_gives_its_descriptors_back():
    before = opened()
    for _ in range(20):
        SharedRing().write(np.zeros(10_000))
    assert not opened() - before


@pytest.mark.parametrize("wrong", ["density", None, 7])
def test_a_reader_is_made_of_a_function_that_finds_the_ring(wrong):
    with pytest.raises(TypeError, match=r"RingReader\(lambda: ring.address\).*system.frames\("):
        RingReader(wrong)


@pytest.mark.parametrize("read", [RingReader.newest, RingReader.wait], ids=["newest", "wait"])
def test_a_frame_is_copied_into_an_array_or_not_at_all(ring, reader, read):
    ring.write([1, 2])
    with pytest.raises(TypeError, match=r"out= is a numpy array.*got list.*np.empty"):
        read(reader, out=[1, 2])

    frame = read(reader)
    ring.write([3, 4])
    with pytest.raises(ValueError, match=r"out= is read-only.*np.empty"):
        read(reader, out=frame.array)

    with pytest.raises(TypeError, match="timeout='1': give seconds"):
        reader.wait("1")
    assert read(reader, out=np.empty(2, int)).array.tolist() == [3, 4]


def test_the_ring_of_another_host_says_so(ring):
    far = attrs.evolve(ring.address, host=b"elsewhere")

    with pytest.raises(MessageError, match="memory of another host"):
        RingReader(lambda: far).newest()


def test_a_reader_without_descriptors_says_so(ring, reader):
    ring.write([1])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        with pytest.raises(MessageError, match="cannot be attached"):
            reader.newest()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert reader.newest().array.tolist() == [1]


def test_a_shape_that_numpy_refuses_is_an_error_of_the_frame(ring, reader):
    """It holds no bytes, so it passes every check of sizes."""
    ring.write(np.zeros((0, 3)))
    memory, at = ring._present.part.memory, ring._present._starts[-1]
    when, nbytes, kind, rank, _, _, *rest = FRAME.unpack_from(memory, at)
    FRAME.pack_into(memory, at, when, nbytes, kind, rank, 0, 2**62, *rest)

    with pytest.raises(MessageError, match="can be made here"):
        reader.newest()


def test_a_closed_ring_takes_nothing(ring):
    ring.close()
    with pytest.raises(RuntimeError, match="closed"):
        ring.write([1])


def test_a_ring_that_is_closed_while_a_frame_is_filled_goes_after_it():
    allowance = Allowance(1 << 30)
    ring = SharedRing(allowance=allowance)
    ring.write([1])
    with ring.frame((1 << 16,)) as larger:  # in slots of its own
        ring.close()
        larger[:] = 2.0
        with pytest.raises(RuntimeError, match="closed"):
            ring.write([3])
        assert ring.reserved

    assert (ring.written, ring.reserved, allowance.taken) == (2, 0, 0)
    with pytest.raises(RuntimeError, match="closed"):
        ring.write([3])


def test_memory_of_arrays_that_are_gone_makes_room_for_a_ring():
    memory = Memory(limit=1 << 20)
    array = memory.empty(200 << 10, "u1")
    ring = SharedRing(3, allowance=memory.allowance)
    frame = np.zeros(300 << 10, np.uint8)

    with pytest.raises(SharedMemoryFull, match="in use"):
        ring.write(frame)
    del array
    ring.write(frame)

    assert memory.arena.statistics().reserved == 0
    ring.close()
    memory.close()


def test_what_found_no_room_is_reported_by_a_process_that_has_only_rings_too():
    memory = Memory(limit=1 << 20)
    memory.keep("frames", ring := SharedRing(3, allowance=memory.allowance))
    reports = []
    memory.report = reports.append

    with pytest.raises(SharedMemoryFull, match="may share"):
        ring.write(np.zeros(1 << 20, np.uint8))
    memory.tidy()

    assert reports[-1].refused == 1
    memory.close()


def test_two_frames_are_not_filled_at_once(ring):
    with ring.frame((2,)), pytest.raises(RuntimeError, match="finish the frame"):
        ring.write([1])


def test_a_forked_child_cannot_write():
    ring = SharedRing()
    pid = os.fork()
    if not pid:
        try:
            ring.write([1])
        except RuntimeError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    ring.close()


@pytest.mark.parametrize("change", [{"pid": 0}, {"pid": 2**22 + 7}, {"where": -3}, {"cookie": 1}])
def test_an_address_that_leads_nowhere_is_no_ring_yet(ring, change):
    address = {"pid": os.getpid(), "where": ring.address.where, "cookie": ring.address.cookie}

    assert RingReader(lambda: RingAddress(**address | change)).newest() is None


@given(data=st.data())
def test_odd_memory_is_an_error_never_a_crash(data):
    """Whatever another process wrote there, numpy sees only what was checked."""
    ring = SharedRing()
    ring.write(np.arange(100), b"abc")
    reader = RingReader(lambda: ring.address)
    memory, at, size = data.draw(
        st.sampled_from(
            [
                (ring._root.memory, 0, ROOT.size),
                (ring._present.part.memory, ring._present._starts[-1], FRAME.size),
            ]
        )
    )
    start = at + data.draw(st.integers(0, size - 1))
    noise = data.draw(st.binary(min_size=1, max_size=16))
    memory[start : start + len(noise)] = noise
    try:
        frame = reader.newest()
    except MessageError:
        frame = None
    assert frame is None or frame.array.nbytes <= 5 * PAGE
    ring.close()


def test_write_returns_the_number_of_its_own_frame_whoever_writes_next(ring):
    """Another thread writes at the first moment at which it can: when the lock is given back."""
    numbers, left = [], threading.Event()

    def write_too():
        left.wait()
        ring.write(np.zeros(4))
        numbers.append(ring.written)

    other = threading.Thread(target=write_too)

    def trace(frame, event, _):
        if frame.f_code is not SharedRing.write.__code__:
            return None
        if event == "line" and ring.written == 1 and not ring._lock._is_owned():
            left.set()
            other.join()
        return trace

    other.start()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        mine = ring.write(np.zeros(4))
    finally:
        sys.settrace(before)
        left.set()
        other.join()

    assert (mine, numbers) == (1, [2])
