"""Numbers become colours, and colours become files."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from supervisor.cli.picture import ANCHORS, PillowMissingError, save, shades

BRIGHTNESS = np.array([0.2126, 0.7152, 0.0722])  # of red, green and blue: Rec. 709


def film(frames=3, shape=(12, 8)):
    heights = np.linspace(0, 1, shape[0] * shape[1]).reshape(shape)
    return [shades(np.roll(heights, n, axis=0), low=0, high=1) for n in range(frames)]


def test_the_ends_of_the_scale_have_the_colours_of_the_ends():
    colours = shades(np.array([[-1.0, 0.0, 1.0, 2.0, np.nan, np.inf]]).T, low=0, high=1)

    dark, bright = list(ANCHORS[0]), list(ANCHORS[-1])
    assert colours[0].tolist() == [dark, dark, bright, bright, dark, bright]


def test_more_is_always_brighter():
    colours = shades(np.linspace(2, 5, 200)[:, None], low=2, high=5)[0]

    assert np.all(np.diff(colours @ BRIGHTNESS) > -0.5)  # but for the rounding to whole numbers
    assert np.all(np.diff(colours[::10] @ BRIGHTNESS) > 0)


def test_x_goes_right_and_y_goes_up():
    field = np.zeros((4, 3))
    field[3, 0] = 1  # the right end of the lowest row

    colours = shades(field, low=0, high=1)

    assert colours.shape == (3, 4, 3)
    assert colours[2, 3].tolist() == list(ANCHORS[-1])
    assert np.sum(np.all(colours == ANCHORS[0], axis=-1)) == 11


@given(
    field=hnp.arrays(
        st.sampled_from([np.float32, np.float64]), hnp.array_shapes(min_dims=2, max_dims=2)
    )
)
def test_any_numbers_have_colours(field):
    with np.errstate(all="ignore"):  # the largest numbers overflow on their way, and are clipped
        colours = shades(field, low=-1.0, high=1.0)

    assert colours.shape == (field.shape[1], field.shape[0], 3)
    assert colours.dtype == np.uint8


def test_a_still_is_written_to_the_pixel(tmp_path):
    frames = film()

    save(tmp_path / "still.png", frames, zoom=3)

    with Image.open(tmp_path / "still.png") as still:
        pixels = np.asarray(still)
    assert pixels.shape == (24, 36, 3)
    np.testing.assert_array_equal(pixels[1::3, 1::3], frames[-1])


def test_a_film_has_all_frames_and_plays_for_ever(tmp_path):
    frames = film(5)

    save(tmp_path / "film.GIF", frames, fps=25)

    with Image.open(tmp_path / "film.GIF") as played:
        assert played.n_frames == 5
        assert played.info["loop"] == 0
        for number, frame in enumerate(frames):
            played.seek(number)
            assert played.info["duration"] == 40
            shown = np.asarray(played.convert("RGB")).astype(int)
            assert np.abs(shown - frame).max() <= 8  # 256 colours for all


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("film.mp4", {}),
        ("film", {}),
        ("film.gif", {"frames": []}),
        ("film.gif", {"fps": 0.0}),
        ("film.png", {"zoom": 0}),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path, name, wrong):
    given_frames = wrong.pop("frames", film())

    with pytest.raises(ValueError, match="Cannot write"):
        save(tmp_path / name, given_frames, **wrong)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "low", "high"), [(np.zeros(3), 0.0, 1.0), (np.zeros((3, 3)), 1.0, 1.0)]
)
def test_what_cannot_be_drawn_is_refused(field, low, high):
    with pytest.raises(ValueError, match="Cannot draw"):
        shades(field, low=low, high=high)


def test_without_pillow_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)

    with pytest.raises(PillowMissingError, match=r"pip install 'understudy\[demo\]'") as caught:
        save(tmp_path / "still.png", film())

    assert isinstance(caught.value, ImportError)
    assert list(tmp_path.iterdir()) == []
