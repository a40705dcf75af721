"""What a configuration may say (actors/streams/configuration.py)."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.streams import new_ReaderInterface, new_WriterInterface
from actors.streams.configuration import Carrier, Role, read_configuration

GOOD = {"class_name": "zmq_pubsub", "endpoint": "tcp://localhost:15000"}


def _read(**changes):
    chosen = {key: value for key, value in (GOOD | changes).items() if value is not ...}
    return read_configuration(chosen, Role.READER)


@pytest.mark.parametrize(
    "spelling", ["", "dls::valkyrie::", "dls_::valkyrie::", "dls::pairstream::"]
)
@pytest.mark.parametrize("carrier", Carrier)
def test_1_03_every_spelling_of_every_carrier_is_accepted(carrier, spelling):
    endpoint = {"shm": "shm://a", "file": "file:///tmp/a"}.get(carrier, "tcp://localhost:1")
    given = {"class_name": spelling + carrier, "endpoint": endpoint}

    assert read_configuration(given, Role.WRITER).carrier is carrier


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"class_name": ...}, ["class_name", "zmq_pubsub"]),
        ({"class_name": "zmq_pubsup"}, ["class_name", "did you mean 'zmq_pubsub'"]),
        ({"class_name": "websockets"}, ["class_name", "websockets"]),
        ({"class_name": 7}, ["class_name"]),
        ({"endpoint": ...}, ["endpoint", "tcp://"]),
        ({"endpoint": 15000}, ["endpoint"]),
        ({"endpoint": "localhost:15000"}, ["endpoint", "tcp://"]),
        ({"endpoint": "tcp://"}, ["endpoint"]),
        ({"endpoint": "tcp://localhost"}, ["endpoint", "tcp://HOST:PORT"]),
        ({"endpoint": "tcp://localhost:65536"}, ["endpoint", "a port from 1 to 65535"]),
        ({"endpoint": "tcp://localhost:22x"}, ["endpoint", "a port from 1 to 65535"]),
        ({"endpoint": "inproc://here"}, ["endpoint", "ipc://PATH", "shm://NAME", "a queue"]),
        ({"endpoint": "tcp://*:15000"}, ["endpoint", "connects", "'tcp://localhost:15000'"]),
        ({"endpoint": "tcp://localhost:*"}, ["endpoint", "a port from 1 to 65535"]),
        ({"endpoint": "tcp://localhost:0"}, ["endpoint", "that both ends know"]),
        ({"high_water_mark": 0}, ["high_water_mark", "without limit"]),
        ({"high_water_mark": "many"}, ["high_water_mark"]),
        ({"high_water_mark": True}, ["high_water_mark"]),
        ({"recv_timeout_milliseconds": -1}, ["recv_timeout_milliseconds"]),
        ({"max_bytes": 0}, ["max_bytes"]),
        ({"topics": "a"}, ["topics"]),
        ({"log": {"level": "LOUD"}}, ["log.level"]),
        ({"log": "DEBUG"}, ["log"]),
        ({"console": "no"}, ["console", "True or False"]),
        ({"class_name": "shm", "endpoint": "shm://../x"}, ["endpoint", "shm://"]),
        ({"class_name": "file"}, ["file", "writer only"]),
    ],
    ids=str,
)
def test_1_01_what_is_wrong_is_refused_with_the_key(changes, words):
    with pytest.raises(ValueError, match=words[0]) as caught:
        _read(**changes)

    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("make", [new_ReaderInterface, new_WriterInterface])
@pytest.mark.parametrize("configuration", [None, "zmq_pubsub", ["class_name"]], ids=str)
def test_1_02_what_is_no_dict_is_a_type_error(make, configuration):
    with pytest.raises(TypeError, match="expected a dict"):
        make(configuration)


@given(
    st.dictionaries(
        st.sampled_from(
            [*GOOD, "log", "high_water_mark", "topics", "filename_pattern", "max_bytes"]
        ),
        st.none() | st.integers() | st.text() | st.lists(st.text()) | st.sampled_from(Carrier),
    )
)
def test_any_dict_is_a_configuration_or_a_value_error(configuration):
    try:
        checked = read_configuration(configuration, Role.WRITER)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either is right
    else:
        assert checked.carrier in Carrier


@pytest.mark.parametrize("role", Role)
def test_1_23_a_dummy_takes_the_place_of_any_end_whatever_its_endpoint(role):
    given = {"class_name": "dummy", "endpoint": "tcp://*:15000"}

    assert read_configuration(given, role).carrier is Carrier.DUMMY


def test_1_17_the_high_water_mark_is_one_unless_told():
    assert _read().high_water_mark == 1
    assert _read(high_water_mark="7").high_water_mark == 7


def test_every_interface_is_taken_for_this_host_and_an_address_at_its_word():
    def place(endpoint):
        return read_configuration(GOOD | {"endpoint": endpoint}, Role.WRITER).place

    assert place("tcp://*:15000") == "tcp://127.0.0.1:15000"
    assert place("tcp://0.0.0.0:15000") == "tcp://0.0.0.0:15000"
    assert place("ipc:///tmp/*:x") == "ipc:///tmp/*:x"


@pytest.mark.parametrize(
    ("carrier", "who"),
    [("zmq_pubsub", Role.WRITER), ("zmq_pushpull", Role.WRITER), ("zmq_pullpush", Role.READER)],
)
def test_one_end_binds_and_the_other_connects(carrier, who):
    assert [
        role for role in Role if read_configuration(GOOD | {"class_name": carrier}, role).binds
    ] == [who]


def test_a_key_that_means_nothing_is_said_where_nobody_has_set_up_logging(monkeypatch, capsys):
    for logger in (logging.getLogger("understudy"), logging.getLogger()):
        monkeypatch.setattr(logger, "handlers", [logging.NullHandler()])

    new_WriterInterface({"class_name": "dummy", "high_watermark": 7, "colour": "blue"})

    assert capsys.readouterr().err == (
        "understudy: dummy writer: keys without a meaning: colour, "
        "high_watermark (did you mean high_water_mark?)\n"
    )


def test_1_02_the_level_of_the_log_is_honoured(caplog):
    writer = new_WriterInterface(
        {"class_name": "dummy", "log": {"level": "DEBUG"}, "colour": "blue"}
    )
    with writer:
        writer.write({}, b"abc")

    assert logging.getLogger("understudy.streams.dummy").level == logging.DEBUG
    logging.getLogger("understudy.streams.dummy").setLevel(logging.NOTSET)
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "dummy writer: keys without a meaning: colour"
    assert "dummy writer: wrote 3 bytes" in said


@pytest.mark.parametrize(
    "pattern",
    [
        *("/tmp/a", "/tmp/%d/%d", "/tmp/%d/a", "/tmp/%s", "/tmp/%", "/tmp/%*d", "/tmp/\0%d"),
        *(7, None),
    ],
)
def test_1_22_a_pattern_of_files_has_one_number(pattern):
    given = {"class_name": "file", "filename_pattern": pattern}
    with pytest.raises(ValueError, match="filename_pattern"):
        read_configuration(given, Role.WRITER)
