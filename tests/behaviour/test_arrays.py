"""Arrays in messages, answers, streams and spawn arguments; small as frames, large shared."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from troupe import Album, Born, Circulate, Gallery, Image, Images, Mirror, Strict, Turn, Writeable

from actors.errors import InvalidMessage, SharedMemoryFull

ARRAYS = {
    "float64": np.linspace(0, 1, 12).reshape(3, 4),
    "int8": np.arange(-4, 4, dtype=np.int8),
    "bool": np.array([[True, False], [False, True]]),
    "complex": np.array([1 + 2j, 3 - 4j]),
    "big endian": np.arange(5, dtype=">i4"),
    "scalar": np.array(7.5),
    "empty": np.zeros((0, 3)),
    "strided": np.arange(40)[::3],
    "backwards": np.arange(40)[::-1],
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "five axes": np.arange(32.0).reshape(2, 2, 2, 2, 2),
    "just below": np.arange((64 << 10) - 1, dtype=np.uint8),
    "just shared": np.arange(64 << 10, dtype=np.uint8),
    "large": np.arange(300_000, dtype=np.float64),
    "large strided": np.arange(300_000, dtype=np.float32).reshape(3, 100_000)[:, ::2],
    "large fortran": np.asfortranarray(np.arange(90_000.0).reshape(300, 300)),
}
EVERY = pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())


@pytest.fixture(scope="module")
def gallery(system):
    ref = system.spawn(Gallery, name="gallery", first=np.arange(3.0))
    yield ref
    system.stop("gallery")


@EVERY
def test_an_array_comes_back_as_it_went(gallery, array):
    mirrored = gallery.ask(Mirror(array)).result()

    np.testing.assert_array_equal(mirrored, array)
    assert (mirrored.dtype, mirrored.shape) == (array.dtype, array.shape)
    assert not mirrored.flags.writeable


def test_an_answer_is_gone_when_nobody_holds_it_without_a_search_for_cycles(gallery):
    gc.disable()
    try:
        array = gallery.ask(Mirror(np.zeros(100_000))).result()
        gone = weakref.ref(array)
        del array
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("size", [10, 100_000])
def test_what_arrives_is_read_only(gallery, size):
    assert gallery.ask(Writeable(np.zeros(size))).result() is False


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_sender_may_change_its_own_array_afterwards(spawn, size):
    ref = spawn(Gallery)
    array = np.zeros(size)

    for n in range(5):
        array[:] = n
        ref.tell(Image(array))
    array[:] = -1

    _, *images = ref.ask(Images()).result()
    assert [set(image) for image in images] == [{float(n)} for n in range(5)]


@pytest.mark.parametrize("size", [10, 100_000])
def test_what_was_received_goes_from_hand_to_hand_and_back(spawn, size):
    hands = spawn(Gallery, friend=spawn(Gallery, friend=None))
    array = np.arange(float(size))

    for _ in range(3):
        array = hands.ask(Circulate(array)).result()
        assert not array.flags.writeable
    np.testing.assert_array_equal(array, np.arange(float(size)))


def test_what_is_kept_stays_as_it_came_whatever_is_sent_afterwards(spawn):
    ref = spawn(Gallery)
    kept = [ref.ask(Mirror(np.full(20_000, float(n)))).result() for n in range(30)]
    for n in range(30):
        ref.tell(Image(np.full(20_000, float(n))))

    for n, array in enumerate(kept):
        assert set(array) == {float(n)}
    _, *images = ref.ask(Images()).result()
    assert [set(image) for image in images] == [{float(n)} for n in range(30)]


def test_several_arrays_in_one_message_keep_their_places(gallery):
    points = np.ones((5, 3), np.float32)
    square = np.full((200, 200), 2.0)

    assert gallery.ask(Strict(points, square)).result() == 15.0 + 80_000.0


def test_arrays_within_lists_dicts_and_other_messages_keep_their_places(system, gallery):
    """Small ones travel in the message, large ones are copied or born shared: all mixed."""
    sizes = [3, 20_000, 5, 30_000, 0]
    pages = [np.full(size, n, np.float64) for n, size in enumerate(sizes)]
    born = system.empty((200, 100))
    born[:] = 7.0
    inside = Album(np.full(40_000, 8.0), [born, born[:100]])
    turned = gallery.ask(Turn(Album(np.zeros(2), pages, {"a": born, "b": pages[1]}, inside)))

    album = turned.result()
    for page, expected in zip(album.pages, pages[::-1], strict=True):
        np.testing.assert_array_equal(page, expected)
    np.testing.assert_array_equal(album.marked["a"], born)
    np.testing.assert_array_equal(album.marked["b"], pages[1])
    assert album.inside is not None
    assert album.inside.cover.tolist() == [8.0] * 40_000
    assert [page.shape for page in album.inside.pages] == [(200, 100), (100, 100)]
    assert all(page.min() == page.max() == 7.0 for page in album.inside.pages)


def test_an_array_of_the_wrong_form_is_refused_where_it_is_sent(gallery):
    good = np.ones((5, 3), np.float32)

    with pytest.raises(InvalidMessage, match=r"Strict\.points"):
        gallery.ask(Strict(np.ones((5, 3)), np.eye(2)))
    with pytest.raises(InvalidMessage, match=r"Strict\.square"):
        gallery.ask(Strict(good, np.ones((2, 3))))


def test_an_array_that_no_memory_could_hold_is_refused_before_it_is_copied(gallery):
    vast = np.broadcast_to(np.float64(0.0), (1 << 20, 1 << 20))  # 8 TiB, of one number

    with pytest.raises(
        InvalidMessage, match=r"Mirror.* 8388608 MiB in one piece.*Send it in parts"
    ):
        gallery.ask(Mirror(vast))


def test_arrays_are_spawn_arguments(spawn):
    first = np.arange(50_000.0)

    images = spawn(Gallery, first=first).ask(Images()).result()

    np.testing.assert_array_equal(images[0], first)


def test_spawn_arguments_that_are_too_large_are_refused(system, name):
    with pytest.raises(InvalidMessage, match="message"):
        system.spawn(Gallery, name=name, first=np.zeros(5_000_000))


def test_many_large_arrays_do_not_use_up_the_shared_memory(gallery):
    array = np.zeros(1 << 18)

    for n in range(60):
        array[0] = n
        assert gallery.ask(Mirror(array)).result()[0] == n


@pytest.mark.parametrize("size", [10, 100_000])
def test_arrays_born_shared_go_both_ways_to_several_and_again(system, spawn, size):
    galleries = [spawn(Gallery), spawn(Gallery)]
    array = system.empty((size,), "float64")
    array[:] = 3.0

    for gallery in galleries * 2:
        gallery.tell(Image(array))
    del array

    for gallery in galleries:
        _, *images = gallery.ask(Images()).result()
        assert [(len(image), set(image)) for image in images] == [(size, {3.0})] * 2
        assert set(gallery.ask(Born(size, 7.0)).result()) == {7.0}


@pytest.mark.parametrize("size", [10, 100_000])
def test_an_array_born_shared_is_frozen_when_it_is_sent(system, gallery, size):
    array = system.empty((size,))
    array[:] = 1.0
    assert gallery.ask(Mirror(array)).result()[5] == 1.0

    with pytest.raises(ValueError, match="read-only"):
        array[:] = 2.0
    assert gallery.ask(Mirror(array)).result()[5] == 1.0


@pytest.mark.parametrize("rows", [slice(5, 6), slice(100, 900)])
def test_a_part_of_an_array_born_shared_is_copied_and_leaves_it_alone(system, gallery, rows):
    array = system.empty((1000, 100))
    array[:] = 1.0
    assert gallery.ask(Mirror(array[rows])).result().mean() == 1.0
    array[:] = 2.0
    assert gallery.ask(Mirror(array[rows])).result().mean() == 2.0


def test_many_arrays_born_shared_do_not_use_up_the_memory(system, gallery):
    for n in range(40):
        array = system.empty((1 << 17,), "float64")
        array[0] = n
        assert gallery.ask(Mirror(array)).result()[0] == n
        assert gallery.ask(Born(1 << 17, n)).result()[-1] == n

    assert system._portal.memory.arena.statistics().blocks <= 3  # what is on its way, and `array`


def test_no_room_for_an_array_says_so(system):
    with pytest.raises(SharedMemoryFull, match="1,073,741,824 bytes that this process may share"):
        system.empty((1 << 40,))
    with pytest.raises(TypeError, match="convert it"):
        system.empty((10,), "U5")


@pytest.mark.parametrize(
    ("shape", "error", "text"),
    [
        ("x", TypeError, "'x' is no shape: give a length such as 100"),
        ((2.5,), TypeError, "is no shape"),
        (None, TypeError, "is no shape"),
        ((3, -1), ValueError, "none of them below 0"),
        ((1,) * 9, ValueError, "at most 8 lengths"),
    ],
)
def test_what_is_no_shape_is_refused_in_words(system, shape, error, text):
    with pytest.raises(error, match=text):
        system.empty(shape)


def test_a_length_may_be_an_integer_of_numpy(system):
    assert system.empty(np.int64(7)).shape == (7,)


def test_arrays_outlive_their_actor(system, spawn):
    ref = spawn(Gallery)
    mirrored = ref.ask(Mirror(np.arange(100_000.0))).result()

    system.kill(ref.name)

    assert mirrored[99_999] == 99_999.0
    assert ref.ask(Mirror(np.arange(100_000.0))).result()[-1] == 99_999.0
