"""What `start` was given, looked at where it was given (supervisor/options.py)."""

from __future__ import annotations

import pytest

from supervisor.options import modules_of


def test_modules_are_named_one_by_one_or_alone():
    assert modules_of(()) == []
    assert modules_of("lab.detectors") == ["lab.detectors"]
    assert modules_of(["lab", "scipy.signal", "lab"]) == ["lab", "scipy.signal"]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (3, TypeError, r"preload=3: give names of modules, as \['lab.detectors'\]"),
        (["lab", 7], TypeError, "preload: 7 is no module's name: write 'lab.detectors'"),
        ("lab/detectors.py", ValueError, "write it with dots and without .py"),
        ("", ValueError, "is no module's name"),
        (".detectors", ValueError, "is no module's name"),
        ("__main__", ValueError, "the script itself cannot be imported in advance"),
    ],
)
def test_what_names_no_module_is_refused(given, error, said):
    with pytest.raises(error, match=said):
        modules_of(given)
