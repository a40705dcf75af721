"""Locks that belong to an open file (actors/arrays/locks.py)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from actors.arrays import locks


@pytest.fixture
def openings(tmp_path):
    """The same file, opened three times."""
    path = tmp_path / "file"
    opened = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for _ in range(3)]
    yield opened
    for fd in opened:
        os.close(fd)


def test_many_share_a_byte_and_nobody_excludes_them(openings):
    one, other, third = openings
    assert locks.share(one, 7)
    assert locks.share(other, 7)
    assert not locks.exclude(third, 7)
    assert locks.exclude(third, 8)

    locks.unlock(one, 7)
    assert not locks.exclude(third, 7)
    locks.unlock(other, 7)
    assert locks.exclude(third, 7)


def test_whoever_excludes_others_is_alone(openings):
    one, other, _ = openings
    assert locks.exclude(one, 0, 2)

    assert not locks.share(other, 1)
    assert not locks.exclude(other, 1)
    assert locks.share(other, 2)


def test_a_lock_is_seen_by_others_and_not_by_its_holder(openings):
    one, other, _ = openings
    locks.share(one, 3)

    assert locks.is_locked(other, 3)
    assert not locks.is_locked(one, 3)
    assert not locks.is_locked(other, 4)


def test_what_was_not_locked_can_be_unlocked(openings):
    locks.unlock(openings[0], 5)

    assert not locks.is_locked(openings[1], 5)


def test_a_lock_goes_with_the_open_file_and_not_with_another_descriptor_of_it(tmp_path, openings):
    one, other, _ = openings
    assert locks.exclude(one, 0)
    os.close(os.open(tmp_path / "file", os.O_RDWR))
    assert locks.is_locked(other, 0)

    second = os.dup(one)
    os.close(one)
    assert locks.is_locked(other, 0)
    os.close(second)
    assert not locks.is_locked(other, 0)
    openings[0] = os.open(tmp_path / "file", os.O_RDWR)


_HOLD = """
import os, sys
from actors.arrays import locks
fd = os.open(sys.argv[1], os.O_RDWR)
locks.exclude(fd, 0)
print("held", flush=True)
sys.stdin.read()
"""


def test_the_kernel_gives_the_locks_of_a_killed_process_back_and_whoever_waits_gets_on(
    tmp_path, openings
):
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert locks.is_locked(openings[0], 0)
        holder.kill()
        locks.wait_to_share(openings[0], 0)

    assert locks.is_locked(openings[1], 0)


def test_a_descriptor_that_is_no_good_is_an_error_and_no_lock_of_another():
    with pytest.raises(OSError, match="Bad file descriptor"):
        locks.exclude(2**20 + 17, 0)
