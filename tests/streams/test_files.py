"""Packets on disk, and the carrier that goes nowhere (actors/streams/files.py, dummy.py)."""

from __future__ import annotations

import errno
import json
import resource
import signal
import time

import numpy as np
import pytest

from actors.streams import Data, Reader, Writer


@pytest.fixture
def small_files():
    """No file of this process may grow beyond 64 KiB: EFBIG, as a full disk is ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def _writer(folder):
    return Writer({"class_name": "file", "filename_pattern": f"{folder}/run-%04d"})


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_1_22_each_packet_is_two_files_and_numbers_go_on_after_a_restart(tmp_path):
    image = np.arange(12, dtype="uint32").reshape(3, 4)
    for life in range(2):
        with _writer(tmp_path) as writer:
            writer.write({"life": life, "topic": "a"}, image)
            writer.write({}, None)

    assert _names(tmp_path) == [f"run-000{n}.{end}" for n in range(4) for end in ("data", "json")]
    assert np.array_equal(np.fromfile(tmp_path / "run-0002.data", "uint32"), image.ravel())
    assert json.loads((tmp_path / "run-0002.json").read_text()) == {"topic": "a", "life": 1}
    assert (tmp_path / "run-0001.data").stat().st_size == 0


def test_1_22_an_endpoint_may_name_the_folder(tmp_path):
    (tmp_path / "100%d").mkdir()
    with Writer({"class_name": "file", "endpoint": f"file://{tmp_path}/100%d"}) as writer:
        writer.write({}, b"abc")

    assert _names(tmp_path / "100%d") == ["0.data", "0.json"]


def test_a_name_may_have_a_percent_before_a_d(tmp_path):
    for _ in range(2):
        with Writer({"class_name": "file", "filename_pattern": f"{tmp_path}/a%%d%d"}) as writer:
            writer.write({}, b"abc")

    assert _names(tmp_path) == ["a%d0.data", "a%d0.json", "a%d1.data", "a%d1.json"]


@pytest.mark.parametrize("large", ["data", "meta"])
def test_1_22_without_room_there_is_an_error_and_no_half_packet(tmp_path, small_files, large):
    big = "x" * 100_000
    with _writer(tmp_path) as writer:
        writer.write({}, b"first")
        with pytest.raises(OSError, match="write again") as caught:
            writer.write(*(({"m": big}, b"") if large == "meta" else ({}, big.encode())))
        assert _names(tmp_path) == ["run-0000.data", "run-0000.json"]
        writer.write({}, b"second")

        assert caught.value.errno == errno.EFBIG
        assert _names(tmp_path) == [f"run-000{n}.{end}" for n in (0, 1) for end in ("data", "json")]
        assert (tmp_path / "run-0001.data").read_bytes() == b"second"
        assert (writer.stats().written, writer.stats().dropped) == (3, 1)


def test_1_22_a_folder_that_is_not_there_is_named_and_not_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/runs: .* Make it, or correct the pa"):
        _writer("runs").activate()
    assert _names(tmp_path) == []


def test_a_folder_that_is_none_is_an_error(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(NotADirectoryError, match="Look at the folder"):
        _writer(tmp_path / "file").activate()


def test_a_folder_that_goes_while_it_is_written_to_is_an_error_and_its_return_mends_it(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    with _writer(folder) as writer:
        folder.rmdir()
        with pytest.raises(FileNotFoundError, match="Look at the folder"):
            writer.write({}, b"abc")
        folder.mkdir()
        writer.write({}, b"abc")

    assert _names(folder) == ["run-0000.data", "run-0000.json"]


def test_1_23_the_dummy_is_silent_or_prints_a_line_for_each_packet(capsys):
    for console in (False, True):
        with Writer({"class_name": "dummy", "console": console}) as writer:
            writer.write({"n": 1}, bytes(1500))
            assert writer.stats().sent == 1

    assert capsys.readouterr().out == '{"n": 1} 1,500 bytes\n'


@pytest.mark.parametrize(("milliseconds", "least"), [(0, 0), (50, 0.05)])
def test_1_23_the_dummy_reads_nothing_and_respects_the_time_out(milliseconds, least):
    given = {"class_name": "dummy", "recv_timeout_milliseconds": milliseconds}
    with Reader(given) as reader:
        data, begun = Data(b"old"), time.monotonic()
        reader.read({}, data)

        assert data.memoryview is None
        assert time.monotonic() - begun >= least
