"""Pictures of a density."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from supervisor.cli.app import main
from supervisor.cli.picture import colours, write_picture


def test_thin_fluid_is_darker_than_dense_fluid() -> None:
    density = np.linspace(0.0, 1.0, 16).reshape(4, 4)

    bright = colours(density).astype(int).sum(axis=-1)

    assert bright[-1, 0] == bright.min()
    assert bright[0, -1] == bright.max()


def test_x_goes_right_and_y_goes_up() -> None:
    density = np.zeros((3, 2))
    density[2, 0] = 1.0

    rows = colours(density).astype(int).sum(axis=-1)

    assert rows.shape == (2, 3)
    assert rows[1, 2] == rows.max()


def test_a_picture_is_written_at_a_size_one_can_see(tmp_path: Path) -> None:
    write_picture(tmp_path / "fluid.png", np.random.default_rng(0).random((64, 32)))

    with Image.open(tmp_path / "fluid.png") as image:
        assert image.size == (512, 256)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.txt", "ends in .png, .jpg"),
        ("x", "ends in .png, .jpg"),
        ("nowhere/x.png", "there is no directory nowhere"),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused_before_the_demo_begins(
    name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--picture", name]) == 2
    said = capsys.readouterr()

    assert text in said.err
    assert said.out == ""
