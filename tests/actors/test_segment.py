from __future__ import annotations

import errno
import mmap
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from actors.arrays import segment
from actors.arrays.segment import (
    HAS_MEMFD,
    PAGE,
    Segment,
    allocate,
    attach,
    create_memory,
    data_size,
    host_key,
    sweep,
    table_size,
)
from tests.descriptors import leading_to, opened

KINDS = ["memfd", "file"] if HAS_MEMFD else ["file"]


@pytest.fixture(params=KINDS)
def directory(request, tmp_path):
    return tmp_path if request.param == "file" else None


@pytest.fixture
def piece(directory):
    piece = Segment(4 * PAGE, directory=directory, serial=1)
    yield piece
    piece.close()


def attached(piece, directory):
    view, fd = attach(os.getpid(), piece.where, piece.cookie, directory)
    os.close(fd)
    return view


def test_a_reader_sees_what_the_owner_writes(piece, directory):
    view = attached(piece, directory)
    piece.memory[PAGE : PAGE + 5] = b"hello"
    piece.mark(PAGE, 77)

    assert view[PAGE : PAGE + 5] == b"hello"
    assert memoryview(view)[piece.data :].cast("Q").tolist() == [0, 77, 0, 0]


def test_a_reader_cannot_write(piece, directory):
    with pytest.raises(TypeError, match="readonly"):
        attached(piece, directory)[0] = 1


@pytest.mark.parametrize("data", [PAGE, 7 * PAGE, 512 * PAGE, 513 * PAGE, 1 << 24, 1 << 40])
def test_the_size_of_a_file_tells_how_much_of_it_is_data(data):
    assert data_size(data + table_size(data)) == data


@pytest.mark.parametrize("size", [-1, 0, 1, PAGE, PAGE + 7, PAGE + 9, 2 * PAGE + 8])
def test_files_of_other_sizes_are_no_segments(size):
    with pytest.raises(ValueError, match="not a segment"):
        data_size(size)


def test_another_inode_is_refused(piece, directory):
    with pytest.raises(ValueError, match="another file"):
        attach(os.getpid(), piece.where, piece.cookie + 1, directory)


def test_another_user_is_refused(piece, directory, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 54321)

    with pytest.raises(ValueError, match="another user"):
        attached(piece, directory)


def test_only_its_user_may_open_it(piece):
    assert stat.S_IMODE(os.fstat(piece._fd).st_mode) == 0o600


def test_a_closed_segment_cannot_be_attached_but_readers_keep_it(piece, directory):
    view = attached(piece, directory)
    piece.memory[:5] = b"hello"
    piece.close()
    piece.close()

    assert view[:5] == b"hello"
    with pytest.raises((OSError, ValueError)):
        attached(piece, directory)


def test_attaching_keeps_no_descriptor_but_the_map_has_its_own(piece, directory):
    before = leading_to(piece.cookie)
    view = attached(piece, directory)
    view.close()
    with pytest.raises(ValueError, match="another file"):
        attach(os.getpid(), piece.where, piece.cookie + 1, directory)

    assert leading_to(piece.cookie) == before > 0


def test_a_full_system_is_an_error_at_once_and_leaves_nothing(monkeypatch, tmp_path):
    def full(fd, offset, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(segment, "allocate", full)
    before = opened()

    for directory in (tmp_path, *([None] if HAS_MEMFD else [])):
        with pytest.raises(OSError, match="space"):
            Segment(PAGE, directory=directory, serial=1)
    assert not opened() - before
    assert list(tmp_path.iterdir()) == []


def test_memory_is_set_aside_where_the_system_has_no_call_for_it(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    path = tmp_path / "file"
    with path.open("wb", buffering=0) as file:
        file.truncate(1 << 20)
        allocate(file.fileno(), PAGE, 200_000)

    assert path.stat().st_blocks * 512 >= 200_000
    assert path.read_bytes() == bytes(1 << 20)


def test_a_file_is_never_created_over_another(tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / f"arena-{os.getpid()}-1").symlink_to(target)

    with pytest.raises(FileExistsError):
        Segment(PAGE, directory=tmp_path, serial=1)
    assert target.read_text() == "mine"


def test_a_file_that_cannot_get_its_size_is_removed(tmp_path):
    with pytest.raises(OSError, match=r"File too large|Invalid argument|space"):
        Segment(1 << 62, directory=tmp_path, serial=1)

    assert list(tmp_path.iterdir()) == []


def test_files_are_not_opened_through_links_nor_without_a_directory(tmp_path):
    piece = Segment(PAGE, directory=tmp_path, serial=1)
    other = tmp_path / "other"
    other.mkdir()
    (other / piece.path.name).symlink_to(piece.path)

    with pytest.raises(OSError, match="symbolic"):
        attached(piece, other)
    with pytest.raises(ValueError, match="no session directory"):
        attached(piece, None)
    piece.close()


def test_a_file_others_may_open_is_refused(tmp_path):
    piece = Segment(PAGE, directory=tmp_path, serial=1)
    piece.path.chmod(0o644)

    with pytest.raises(ValueError, match="others may open"):
        attached(piece, tmp_path)
    piece.close()


def test_a_pipe_in_the_place_of_a_file_is_refused_without_waiting(tmp_path):
    path = tmp_path / f"arena-{os.getpid()}-1"
    os.mkfifo(path, 0o600)

    with pytest.raises(ValueError, match="not a file"):
        attach(os.getpid(), -1, path.stat().st_ino, tmp_path)


def test_the_key_of_a_host_is_eight_bytes_and_the_same_every_time():
    assert len(host_key()) == 8
    assert host_key() == host_key()


def test_the_key_of_a_host_depends_on_the_user_and_needs_no_proc(monkeypatch):
    first = host_key()
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert host_key() != first

    def missing(self, **_):
        raise OSError(errno.ENOENT, "no /proc here")

    monkeypatch.setattr(Path, "read_text", missing)
    assert len(host_key()) == 8


def test_without_memfd_there_is_no_nameless_memory(monkeypatch):
    monkeypatch.setattr(segment, "HAS_MEMFD", False)

    with pytest.raises(OSError, match="session directory"):
        create_memory("x", PAGE)


if HAS_MEMFD:

    def test_nobody_can_shrink_the_memory_under_a_reader(piece_of_memory):
        with pytest.raises(PermissionError):
            os.ftruncate(piece_of_memory._fd, 0)
        with pytest.raises(PermissionError):
            os.ftruncate(piece_of_memory._fd, 1 << 20)

    @pytest.fixture
    def piece_of_memory():
        piece = Segment(4 * PAGE)
        yield piece
        piece.close()

    def test_memory_that_could_shrink_is_refused():
        fd = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
        os.fchmod(fd, 0o600)
        os.ftruncate(fd, PAGE + table_size(PAGE))

        with pytest.raises(ValueError, match="not sealed"):
            attach(os.getpid(), fd, os.fstat(fd).st_ino)
        os.close(fd)

    def test_an_ordinary_file_is_refused(tmp_path):
        with (tmp_path / "secret").open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            with pytest.raises(OSError, match="Invalid argument"):  # only memfds have seals
                attach(os.getpid(), file.fileno(), os.fstat(file.fileno()).st_ino)

    def test_a_pipe_or_socket_is_refused_without_waiting():
        ends = os.pipe()
        before = opened()
        for end in ends:
            with pytest.raises(ValueError, match="not a file"):
                attach(os.getpid(), end, os.fstat(end).st_ino)

        assert not opened() - before
        for end in ends:
            os.close(end)

    def test_sealed_memory_of_another_size_is_refused():
        fd = create_memory("odd", PAGE)

        with pytest.raises(ValueError, match="not a segment"):
            attach(os.getpid(), fd, os.fstat(fd).st_ino)
        os.close(fd)

    def test_discarded_memory_is_given_back_though_a_reader_holds_it(piece_of_memory):
        piece = piece_of_memory
        view = attached(piece, None)
        piece.reserve(0, 4 * PAGE)
        piece.memory[: 4 * PAGE] = b"x" * 4 * PAGE
        piece.mark(0, 5)
        piece.discard()

        assert os.fstat(piece._fd).st_blocks == 0
        assert view[: 4 * PAGE] == bytes(4 * PAGE)
        assert memoryview(view)[piece.data :].cast("Q")[0] == 0

    def test_the_owner_of_memory_is_not_held_by_its_descriptor():
        fd = create_memory("page", PAGE)
        memory = mmap.mmap(fd, PAGE)
        os.close(fd)
        memory[:1] = b"x"

        assert memory[:1] == b"x"


def test_the_files_of_owners_that_have_ended_are_swept(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    mine = Segment(PAGE, directory=tmp_path, serial=7)
    for name in (f"arena-{ended.pid}-1", f"arena-{ended.pid}-2", f"arena-{10**30}-1", "arena-a-1"):
        (tmp_path / name).touch()
    sweep(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    mine.close()

    assert left == {f"arena-{os.getpid()}-7", f"arena-{10**30}-1", "arena-a-1"}
