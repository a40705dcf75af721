"""A door that other hosts can reach has to be wanted."""

from __future__ import annotations

import pytest

from actors.gateway.place import Bind, Connect


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://127.0.0.1:5555",
        "tcp://127.9.9.9:65535",
        "tcp://localhost:5555",
        "tcp://[::1]:5555",
        "ipc:///tmp/door",
        "inproc://door",
    ],
)
@pytest.mark.parametrize("side", [Bind, Connect])
def test_a_place_on_this_host_is_taken(side, endpoint):
    assert side(endpoint).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://192.168.1.7:5555", "tcp://eth0:1", "tcp://a.b:1"],
)
@pytest.mark.parametrize("side", [Bind, Connect])
def test_a_place_open_to_other_hosts_has_to_be_wanted(side, endpoint):
    with pytest.raises(ValueError, match="beyond_this_host=True"):
        side(endpoint)

    assert side(endpoint, beyond_this_host=True).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint", ["", "5555", "tcp://", "udp://127.0.0.1:5", "pgm://x;1.1.1.1:5"]
)
def test_what_is_no_endpoint_is_refused_with_how_to_write_one(endpoint):
    with pytest.raises(ValueError, match=r"write tcp://127\.0\.0\.1:PORT"):
        Bind(endpoint, beyond_this_host=True)


@pytest.mark.parametrize("port", ["", ":", ":65536", ":99999", ":22x", ":-1", ":²"])
@pytest.mark.parametrize("side", [Bind, Connect])
def test_a_port_that_zeromq_would_take_for_another_is_refused(side, port):
    with pytest.raises(ValueError, match="a number up to 65535"):
        side(f"tcp://127.0.0.1{port}")


def test_only_who_binds_can_have_any_port():
    assert Bind("tcp://127.0.0.1:*").endpoint == "tcp://127.0.0.1:*"
    with pytest.raises(ValueError, match="where it is bound"):
        Connect("tcp://127.0.0.1:*")
