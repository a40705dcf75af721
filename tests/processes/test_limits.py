"""Limits that are the broker's alone, and what is said of one that makes no sense."""

from __future__ import annotations

import resource

import pytest

import supervisor
from actors.errors import SpawnError

pytestmark = pytest.mark.process


def test_a_system_of_threads_leaves_the_limits_of_its_program_alone():
    """More descriptors than 1,024 would break whoever uses select() in this program."""
    kinds = (resource.RLIMIT_NOFILE, resource.RLIMIT_DATA)
    found = [resource.getrlimit(kind) for kind in kinds]
    _, hard = found[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with supervisor.start(inproc=True):
            during = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, found[0])

    assert during == (512, hard)
    assert [resource.getrlimit(kind) for kind in kinds] == found


def test_a_broker_of_its_own_allows_for_more_connections():
    with supervisor.start() as system:
        soft, hard = resource.prlimit(system.status().broker_pid, resource.RLIMIT_NOFILE)

    wanted = 10_000 if hard == resource.RLIM_INFINITY else min(hard, 10_000)
    assert soft == resource.RLIM_INFINITY or soft >= wanted


@pytest.mark.parametrize("inproc", [True, False])
def test_a_limit_that_is_no_size_is_refused_with_the_name_of_its_variable(monkeypatch, inproc):
    monkeypatch.setenv("UNDERSTUDY_BROKER_MEMORY", "foo")

    with pytest.raises(SpawnError, match="UNDERSTUDY_BROKER_MEMORY: 'foo' is not a size"):
        supervisor.start(inproc=inproc)
