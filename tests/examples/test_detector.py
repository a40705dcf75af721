"""The story of `examples/detector`, with real processes and a real kill."""

import hashlib
import importlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from actors.streams import ImageSequence, MetaKeyword, Packet
from actors.testing import Probe

STORY = Path(__file__).resolve().parents[2] / "examples" / "detector" / "detector.py"
FRAMES = 24
NUMBER = MetaKeyword.IMAGE_SEQUENCE_NUMBER


@pytest.mark.process
@pytest.mark.timeout(120)  # nine processes and 150 MB, on a machine that may be busy
def test_every_frame_is_written_once_or_counted_as_dropped_and_the_live_view_is_fresh(tmp_path):
    done = subprocess.run(
        [sys.executable, str(STORY), str(FRAMES)],
        capture_output=True,
        text=True,
        timeout=110,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "dead letter" not in done.stderr
    written, dropped = map(int, re.findall(r"(\d+) (?:written|dropped)", done.stdout))
    frames, oldest = map(int, re.findall(r"view: (\d+) .* oldest (\d+) ms", done.stdout)[0])
    assert written + dropped == FRAMES
    assert written >= FRAMES // 4  # the kill came then
    assert "none missing, none twice" in done.stdout
    assert frames
    assert oldest < 10_000  # milliseconds, of a machine that may be busy
    assert re.findall(r"^(\w+) [\d,]+ MB/s$", done.stdout, re.MULTILINE) == ["tcp", "ipc", "shm"]
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


@pytest.fixture
def roles(monkeypatch):
    monkeypatch.syspath_prepend(str(STORY.parent))
    return importlib.import_module("roles")


@pytest.fixture
def begun(roles, tmp_path):
    """A life of a writer whose former one was killed, and who hears what it stores."""
    probe = Probe()
    writer = roles.FileWriter(source={}, folder=str(tmp_path), detector=probe.ref)
    writer.context = SimpleNamespace(name="writer-1")
    return writer, probe


def sent(count):
    """Frames as a writer reads them."""
    images, packets = ImageSequence(), []
    for number in range(count):
        image = np.full((2, 3), number, "uint32")
        meta = images.frame(image, time.time())
        meta["sha256"] = hashlib.sha256(image.tobytes()).hexdigest()
        packets.append(Packet(meta, memoryview(image.tobytes())))
    return packets


def whole(folder, packet):
    """Whether both files of a frame are there, and its data is what was sent."""
    data = folder / f"{packet.meta[NUMBER]:05}.data"
    return data.read_bytes() == packet.data and data.with_suffix(".json").exists()


def test_a_frame_of_which_a_killed_writer_has_stored_one_file_gets_the_other(
    roles, begun, tmp_path
):
    writer, probe = begun
    (packet,) = sent(1)
    writer.put(packet.meta[NUMBER], "data", bytes(packet.data))
    for fresh in (True, False):
        writer.take(packet)
        assert probe.expect(roles.Stored).fresh is fresh

    assert whole(tmp_path, packet)


def test_a_frame_that_a_killed_writer_has_just_stored_is_not_written_over(begun, tmp_path):
    writer, _ = begun
    first, second = sent(2)
    writer.take(first)
    # It was killed when the file had its name already, and its former name still.
    os.link(tmp_path / "00001.data", tmp_path / ".writer-1.part")
    writer.take(second)

    assert whole(tmp_path, first)
    assert whole(tmp_path, second)
