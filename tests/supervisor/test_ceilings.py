"""What the operating system allows, and what is said when it allows no more."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from supervisor.ceilings import check_room, explained


def opened():
    """Return how many descriptors are in use."""
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "fs.file-max"),
        (errno.EAGAIN, "ulimit -u"),
        (errno.ENOMEM, "memory"),
    ],
)
def test_an_error_of_a_limit_says_what_to_raise(code, raised):
    text = explained(OSError(code, "no new process"))

    assert "no new process" in text
    assert raised in text


def test_any_other_error_says_what_it_says():
    assert explained(ImportError("no module named 'numpy'")) == "no module named 'numpy'"


@pytest.mark.parametrize("left", [0, 1, 12, 23])
def test_a_program_with_too_few_descriptors_left_is_told_and_keeps_those(left):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open() as lowest:
        before = opened()
        held = [os.dup(lowest.fileno()) for _ in range(256)]  # no gap among the lower numbers
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(held) + 1 + left, hard))
            with pytest.raises(OSError, match=r"raise that .*ulimit -n") as caught:
                check_room()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in held:
                os.close(one)
        assert caught.value.errno == errno.EMFILE
        assert opened() == before


def test_a_program_with_enough_left_loses_none():
    before = opened()

    check_room()

    assert opened() == before
