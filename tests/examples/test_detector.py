"""The story of `examples/detector`, with real processes and a real kill."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

STORY = Path(__file__).resolve().parents[2] / "examples" / "detector" / "detector.py"
FRAMES = 24


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
