from __future__ import annotations

import errno
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.arrays import segment
from actors.arrays.allowance import Allowance
from actors.arrays.arena import Arena
from actors.arrays.mapper import Mapper, can_attach
from actors.arrays.segment import HAS_MEMFD
from actors.errors import MessageError

KINDS = [False, True] if HAS_MEMFD else [True]
ARRAY = np.arange(1000, dtype="<f4")


@pytest.fixture(params=KINDS, ids=["memfd", "file"][-len(KINDS) :])
def arena(request, tmp_path):
    arena = Arena(Allowance(1 << 20), tmp_path, named=request.param, segment=1 << 16)
    yield arena
    arena.close()


@pytest.fixture
def mapper(tmp_path):
    mapper = Mapper(tmp_path)
    yield mapper
    mapper.close()


@pytest.fixture
def copier(tmp_path):
    mapper = Mapper(tmp_path, leased=0)
    yield mapper
    mapper.close()


@pytest.fixture
def descriptor(arena):
    return arena.share(ARRAY)


def changed(descriptor, index, value):
    return (*descriptor[:index], value, *descriptor[index + 1 :])


def test_a_copy_is_read_only_and_stays_when_all_else_is_gone(arena, copier, descriptor):
    copy = copier.read(descriptor, "<f4", (10, 100))
    copier.close()
    copier.close()
    arena.close()

    assert not copy.flags.writeable
    assert copy.base is None
    np.testing.assert_array_equal(copy.ravel(), ARRAY)


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, 0),
        (0, -1),
        (0, 2**22 + 7),
        (0, 2**63),
        (1, 999),
        (1, -999),
        (1, 2**62),
        (1, -(2**62)),
        (1, 2**64),
        (2, 12345),
        (2, -1),
        (3, -4096),
        (3, 1),
        (3, 4096),
        (3, 1 << 16),
        (3, (1 << 16) - 4096 + 4),
        (3, 2**63 - 1),
        (3, 2**63 - 4096),
        (4, 3999),
        (4, 4001),
        (4, -4000),
        (4, 0),
        (5, 0),
        (5, -1),
        (5, 2**40),
        *((index, odd) for index in range(6) for odd in (None, 1.0, True, "one", b"two", [1])),
    ],
)
def test_a_wrong_number_is_refused(mapper, descriptor, index, value):
    with pytest.raises(MessageError):
        mapper.read(changed(descriptor, index, value), ARRAY.dtype, ARRAY.shape)


@pytest.mark.parametrize("count", [0, 5, 7])
def test_too_many_or_too_few_numbers_are_refused(mapper, descriptor, count):
    with pytest.raises(MessageError, match="six"):
        mapper.read((*descriptor, 1)[:count], "<f4", (1000,))


@pytest.mark.parametrize("odd", [None, 7, "123456", b"six by", [1] * 6])
def test_what_is_no_tuple_is_refused(mapper, odd):
    with pytest.raises(MessageError, match="six"):
        mapper.read(odd, "<f4", (1000,))


@pytest.mark.parametrize(
    "shape",
    [
        (-1,),
        (-10, -100),
        (999,),
        (1001,),
        (2**40, 2**40),
        (2**62, 2**62, 4),
        (2**64 // 4 + 1000,),
        (1,) * 8 + (1000,),
        (1000.0,),
        (True, 1000),
        (None,),
        ("1000",),
        [1000],
        None,
        1000,
    ],
)
def test_a_wrong_shape_is_refused(mapper, descriptor, shape):
    with pytest.raises(MessageError):
        mapper.read(descriptor, "<f4", shape)


@pytest.mark.parametrize(
    "dtype",
    [
        "O",
        "|O8",
        "f4,O",
        "V4",
        "V2147483648",
        "S4",
        "U1",
        "M8[s]",
        "m8[ns]",
        "f3",
        "i99",
        "<c32",
        "c32",
        ",".join(["i4"] * 100_000),
        "<f4\n",
        "",
        "float32",
        np.dtype(object),
        np.dtype([("x", "f4")]),
        np.dtype(("f4", (2,))),
        np.dtype("M8[s]"),
        np.dtype(np.clongdouble),
        None,
        float,
        7,
    ],
)
def test_a_dtype_that_means_nothing_elsewhere_is_refused(mapper, descriptor, dtype):
    with pytest.raises(MessageError, match="dtype"):
        mapper.read(descriptor, dtype, (1000,))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "=f4", "f4", "<i4", "|u1", "c8", np.dtype("f4")])
def test_plain_dtypes_are_taken_as_text_or_as_they_are(mapper, descriptor, dtype):
    copy = mapper.read(descriptor, dtype, (4000 // np.dtype(dtype).itemsize,))

    assert copy.dtype == np.dtype(dtype)


def test_an_empty_shape_numpy_refuses_is_refused(arena, mapper):
    descriptor = arena.share(np.zeros((0, 3)))

    assert mapper.read(descriptor, "<f8", (0, 3)).shape == (0, 3)
    with pytest.raises(MessageError, match="no array"):
        mapper.read(descriptor, "<f8", (0, 2**62, 2**62))


def test_refusing_allocates_nothing(mapper, descriptor):
    wrong = changed(descriptor, 4, 2**40)
    tracemalloc.start()
    with pytest.raises(MessageError):
        mapper.read(wrong, "<f4", (2**38,))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 100_000


@given(
    numbers=st.lists(st.integers(-3, 3) | st.integers(-(2**65), 2**65), min_size=6, max_size=6),
    own=st.sets(st.integers(0, 5)),
)
def test_no_descriptor_does_more_than_be_refused(shared_for_fuzzing, numbers, own):
    descriptor, mapper = shared_for_fuzzing
    mixed = tuple(descriptor[i] if i in own else numbers[i] for i in range(6))
    if mixed == descriptor:
        return

    with pytest.raises(MessageError):
        mapper.read(mixed, "<f4", (1000,))


@pytest.fixture(scope="module")
def shared_for_fuzzing(tmp_path_factory):
    directory = tmp_path_factory.mktemp("session")
    arena = Arena(Allowance(1 << 20), directory, named=not HAS_MEMFD)
    yield arena.share(ARRAY), Mapper(directory)
    arena.close()


def test_few_segments_are_kept_attached(tmp_path):
    arena = Arena(Allowance(1 << 20), tmp_path, named=not HAS_MEMFD, segment=4096)
    mapper = Mapper(tmp_path, most=3)
    shared = [arena.share(np.full(100, n, np.uint8)) for n in range(8)]
    for _ in range(2):
        for n, descriptor in enumerate(shared):
            assert mapper.read(descriptor, "u1", (100,)).max() == n

    assert arena.statistics().segments == 8
    assert len(mapper._maps) == 3
    arena.close()


def test_the_segment_not_used_longest_is_the_one_detached(tmp_path):
    arena = Arena(Allowance(1 << 20), tmp_path, named=not HAS_MEMFD, segment=4096)
    mapper = Mapper(tmp_path, most=2)
    first, second, third = (arena.share(np.full(100, n, np.uint8)) for n in range(3))
    for descriptor in (first, second, first, third):
        mapper.read(descriptor, "u1", (100,))
    arena.close()  # only what is attached can still be read

    assert mapper.read(first, "u1", (100,)).max() == 0
    assert mapper.read(third, "u1", (100,)).max() == 2
    with pytest.raises(MessageError, match="cannot be attached"):
        mapper.read(second, "u1", (100,))


def test_what_its_owner_has_closed_is_detached_once_nobody_reads_it(arena, mapper, descriptor):
    array = mapper.read(descriptor, "<f4", (1000,))
    mapper.tidy()
    assert len(mapper._maps) == 1
    arena.close()
    mapper.tidy()
    np.testing.assert_array_equal(mapper.read(descriptor, "<f4", (1000,)), array)

    del array
    mapper.tidy()
    with pytest.raises(MessageError, match="cannot be attached"):
        mapper.read(descriptor, "<f4", (1000,))


def test_a_block_taken_back_while_it_is_copied_is_noticed(arena, copier, descriptor, monkeypatch):
    class Slow(np.ndarray):
        def copy(self, *args, **kwargs):
            arena.free(descriptor[-1])
            return np.array(self)

    monkeypatch.setattr(np, "ndarray", Slow)
    with pytest.raises(MessageError, match="let go"):
        copier.read(descriptor, np.dtype("<f4"), (1000,))


def test_can_attach_says_so_before_anything_is_sent(arena, tmp_path):
    pid, where, cookie = arena.probe()

    assert can_attach(pid, where, cookie, tmp_path)
    assert not can_attach(pid, where, cookie + 1, tmp_path)
    assert not can_attach(2**22 + 7, where, cookie, tmp_path)
    assert not can_attach(-1, where, cookie, tmp_path)


def test_can_attach_is_false_where_the_system_forbids_it(arena, tmp_path, monkeypatch):
    def forbidden(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(segment, "attach", forbidden)

    assert not can_attach(*arena.probe(), tmp_path)
