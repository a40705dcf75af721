"""Images in an HDF5 file that others read while it grows (actors/streams/hdf5.py)."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest

from actors.errors import InvalidMessage
from actors.streams import ImageSequence, MetaKeyword, Packet
from actors.streams.hdf5 import Hdf5Sink

READS = """
import sys, h5py
with h5py.File(sys.argv[1], "r", swmr=True) as file:
    print(file["numbers"][:].tolist(), file["images"].shape, int(file["images"][-1].sum()))
"""


def _packet(images, image):
    return Packet(images.frame(image, 0.0), memoryview(image.tobytes()))


def _read_elsewhere(path):
    done = subprocess.run(
        [sys.executable, "-c", READS, str(path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_another_program_reads_the_images_while_the_file_grows(tmp_path):
    images, path = ImageSequence(), tmp_path / "run.h5"
    with Hdf5Sink(path) as sink:
        assert not sink.write(Packet(images.start(0.0), memoryview(b"")))
        sink.write(_packet(images, np.full((3, 4), 1, "uint32")))
        sink.write(_packet(images, np.full((3, 4), 2, "uint32")))

        assert _read_elsewhere(path) == "[1, 2] (2, 3, 4) 24"
        sink.write(_packet(images, np.full((3, 4), 3, "uint32")))
        assert _read_elsewhere(path) == "[1, 2, 3] (3, 3, 4) 36"
        assert sink.written == 3

    with h5py.File(path) as file:
        assert file["images"].dtype == np.uint32


def test_an_image_that_does_not_fit_is_refused_and_the_others_stay(tmp_path):
    images, path = ImageSequence(), tmp_path / "run.h5"
    with Hdf5Sink(path) as sink:
        sink.write(_packet(images, np.ones((3, 4), "uint32")))
        wrong = _packet(images, np.ones((3, 4), "uint32"))
        for packet in (
            _packet(images, np.ones((4, 3), "uint32")),
            _packet(images, np.ones((3, 4), "float32")),
            Packet(wrong.meta | {MetaKeyword.IMAGE_SEQUENCE_NUMBER: "1"}, wrong.data),
        ):
            with pytest.raises(InvalidMessage):
                sink.write(packet)
        sink.write(_packet(images, np.ones((3, 4), "uint32")))

        assert sink.written == 2
    with pytest.raises(RuntimeError, match="closed"):
        sink.write(wrong)


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "run.h5").touch()

    with pytest.raises(FileExistsError):
        Hdf5Sink(tmp_path / "run.h5")


def test_without_its_library_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)

    with pytest.raises(ImportError, match=r"understudy\[hdf5\]"):
        Hdf5Sink(tmp_path / "run.h5")
