"""What a user installs: the two packages, typed, and nothing of the workshop."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import actors
import supervisor

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"actors", "supervisor"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=50,
    )
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def _metadata(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (entry for entry in archive.namelist() if entry.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def test_the_wheel_holds_the_two_packages_only(names):
    top = {name.partition("/")[0] for name in names}

    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES


def test_the_wheel_holds_every_room(names):
    rooms = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }

    assert rooms - set(names) == set()


def test_the_wheel_is_typed_and_licensed(names):
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_brings_the_command(wheel):
    assert "understudy = supervisor.cli:main" in _metadata(wheel, "entry_points.txt")


def test_the_wheel_asks_for_no_test_library(wheel):
    required = [
        line
        for line in _metadata(wheel, "METADATA").splitlines()
        if line.startswith("Requires-Dist:") and "extra ==" not in line
    ]

    assert sorted(line.split()[1].partition(">")[0] for line in required) == [
        "attrs",
        "cyclopts",
        "msgspec",
        "numpy",
        "psutil",
        "pyzmq",
        "rich",
    ]


def test_the_installed_packages_import_from_the_wheel_alone(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import actors, supervisor, supervisor.cli\n"
        "print(actors.__file__); print(supervisor.__file__)\n"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert [Path(line).parent for line in done.stdout.splitlines()] == [
        tmp_path / "actors",
        tmp_path / "supervisor",
    ]


@pytest.mark.parametrize("package", [actors, supervisor], ids=lambda package: package.__name__)
def test_the_imported_package_is_ours_and_not_another_of_that_name(package):
    assert Path(package.__file__).resolve().parent == ROOT / package.__name__
