"""Fixtures of the streams' tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.streams import stage


@pytest.fixture
def folder():
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="us-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture(params=stage.LINES, ids="-".join)
def line(request, folder):
    """Every carrier over every transport."""
    return stage.line(*request.param, folder)


@pytest.fixture(params=stage.SOCKETS)
def socket_line(request, folder):
    """Every ZeroMQ carrier, over tcp."""
    return stage.line(request.param, "tcp", folder)
