"""The page of the protocol against a real system: its client, its refusals, its tables.

Server and client are the page's own code blocks; the client imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import zmq

from actors import arrivals, control, credit, departures, envelope, fates, letter, outbox
from actors.failure import Failure
from actors.wire.carrier import Part
from supervisor import broker, infrastructure, routing

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "reference" / "protocol.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|output)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SERVER, CLIENT, ANSWERS, WRONG, REFUSALS = (text for _, text in BLOCKS)
COMMAND = [sys.executable, "-c", "import sys; from supervisor.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stage")
    (directory / "calc.py").write_text(SERVER, encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def endpoint(stage):
    """The endpoint of the page's system, as `understudy status --json` shows it."""
    up = subprocess.Popen(
        [*COMMAND, "up", "calc:tree", "--name", "protocol"],
        cwd=stage,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert up.stdout is not None
    said = []
    for line in up.stdout:
        said.append(line)
        if line.startswith("ready"):
            break
    assert said
    assert said[-1].startswith("ready"), "".join(said)
    status = subprocess.run(
        [*COMMAND, "status", "--name", "protocol", "--json"],
        cwd=stage,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    yield json.loads(status.stdout)["endpoint"]
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=50)


def _run(code, endpoint, directory):
    script = directory / "raw.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        # -I: neither this directory nor an environment variable leads to our packages.
        [sys.executable, "-I", str(script), endpoint],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Raw:
    """A party that says whatever the test wants."""

    def __init__(self, endpoint, name=""):
        self.name = name or f"client-{os.urandom(8).hex()}"
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.ROUTING_ID, os.urandom(16))
        self.socket.setsockopt(zmq.RCVTIMEO, 5000)
        self.socket.setsockopt(zmq.LINGER, 200)
        self.socket.connect(endpoint)

    def send(self, target, life, body, *, sender=""):
        route = ["us1", target, life, sender or self.name, 1, b""]
        self.socket.send_multipart([msgspec.msgpack.encode(part) for part in (route, body)])

    def receive(self):
        return msgspec.msgpack.decode(self.socket.recv_multipart()[1])

    def say(self, *word):
        self.send("", 0, list(word))
        return self.receive()


@pytest.fixture
def party(endpoint):
    parties = []

    def make(name=""):
        parties.append(Raw(endpoint, name))
        return parties[-1]

    yield make
    for each in parties:
        each.send("", 0, ["Goodbye"])
        each.socket.close()


# --- section 11 -----------------------------------------------------------------------------------


@pytest.mark.process
def test_the_client_on_the_page_asks_an_actor_without_our_code(endpoint, tmp_path):
    printed = _run(CLIENT, endpoint, tmp_path)

    assert printed == ANSWERS
    assert not re.search(r"import .*(actors|supervisor)", CLIENT)
    assert len([line for line in CLIENT.splitlines() if line.strip()]) <= 25


@pytest.mark.process
def test_what_is_wrong_is_refused_as_the_page_shows(endpoint, tmp_path):
    printed = _run(CLIENT + WRONG, endpoint, tmp_path)

    assert printed == ANSWERS + REFUSALS


# --- section 8 ------------------------------------------------------------------------------------


@pytest.mark.process
def test_whoever_has_not_said_hello_is_told_to(party):
    raw = party()

    assert raw.say("Resolve", "calc")[:2] == ["Refused", "unregistered"]


@pytest.mark.process
def test_a_name_that_is_taken_and_a_life_that_is_not_present_are_refused(party):
    first = party()
    assert first.say("Hello", first.name, 1)[0] == "Welcome"

    assert party(first.name).say("Hello", first.name, 1)[:2] == ["Refused", "name-taken"]
    assert party("calc").say("Hello", "calc", 1)[:2] == ["Refused", "stale"]
    assert party("@supervisor").say("Hello", "@supervisor", 1)[:2] == ["Refused", "impostor"]


@pytest.mark.process
def test_nobody_may_speak_in_anothers_name_or_for_the_supervisor(party):
    raw = party()
    raw.say("Hello", raw.name, 1)

    raw.send("calc", 1, [0.0, 1, 0, 0, 0, [], 0, 0, []], sender="somebody")
    assert raw.receive()[:2] == ["Refused", "impostor"]
    assert raw.say("Synced")[:2] == ["Refused", "denied"]


@pytest.mark.process
def test_a_name_that_has_left_is_not_taken_again(party):
    raw = party()
    raw.say("Hello", raw.name, 1)
    raw.send("", 0, ["Goodbye"])

    assert raw.say("Hello", raw.name, 1)[:2] == ["Refused", "expelled"]


@pytest.mark.process
def test_bytes_that_are_no_protocol_at_all_are_refused_and_the_next_word_is_taken(party):
    raw = party()
    raw.socket.send_multipart([b"GET / HTTP/1.1", b""])

    assert raw.receive()[:2] == ["Refused", "unsupported"]
    assert raw.say("Hello", raw.name, 1) == ["Welcome", "@supervisor"]


@pytest.mark.process
def test_an_unknown_name_stands_unknown_and_the_supervisor_can_be_asked(party):
    raw = party()
    raw.say("Hello", raw.name, 1)
    assert raw.say("Resolve", "nobody")[1:3] == ["nobody", "unknown"]
    life = raw.say("Resolve", "@supervisor")[3]

    ask = [2, 1, 7, "understudy:StatusRequest", msgspec.msgpack.encode([])]
    raw.send("@supervisor", life, [0.0, 1, 1, 0, 0, [], 100, 0, [ask]])
    kind, _, correlation, _, payload, *_ = raw.receive()[8][0]

    assert (kind, correlation) == (envelope.Kind.REPLY, 7)
    assert msgspec.msgpack.decode(payload)[0] == "protocol"


# --- section 6 ------------------------------------------------------------------------------------


def _ask(raw, life, number, *, base=1, flags=0):
    payload = msgspec.msgpack.encode([float(number), 0.0])
    ask = [2, number, number, "calc:Add", payload]
    raw.send("calc", life, [0.0, base, number, 0, 0, [], 100, flags, [ask]])


@pytest.mark.process
def test_a_repeated_number_is_acknowledged_and_not_handled_again(party):
    raw = party()
    raw.say("Hello", raw.name, 1)
    life = raw.say("Resolve", "calc")[3]
    _ask(raw, life, 1)
    answered = raw.receive()
    _ask(raw, life, 1)

    repeated = raw.receive()

    assert len(answered[8]) == 1
    assert repeated[8] == []
    assert repeated[3:5] == [1, 1]


@pytest.mark.process
def test_a_gap_is_answered_with_a_demand_to_send_again(party):
    raw = party()
    raw.say("Hello", raw.name, 1)
    life = raw.say("Resolve", "calc")[3]
    _ask(raw, life, 2)

    demand = raw.receive()

    assert demand[7] & envelope.Flags.RESEND
    assert demand[3] == 0
    assert demand[8] == []


@pytest.mark.process
def test_another_version_of_a_class_is_refused_with_both_fingerprints(party):
    raw = party()
    raw.say("Hello", raw.name, 1)
    life = raw.say("Resolve", "calc")[3]
    payload = msgspec.msgpack.encode([1.0, 2.0])
    ask = [2, 1, 1, "calc:Add", payload, 0, 0.0, [], 1, b"somebody"]
    raw.send("calc", life, [0.0, 1, 1, 0, 0, [], 100, 0, [ask]])

    failure = msgspec.msgpack.decode(raw.receive()[8][0][4])

    assert failure[0] == ["InvalidMessage"]
    assert b"somebody".hex() in str(failure)


# --- the tables -----------------------------------------------------------------------------------


def _section(number):
    head = rf"^##+ {re.escape(number)}\.? .*?$"
    return re.split(r"^##+ ", re.split(head, PAGE, flags=re.MULTILINE)[1], flags=re.MULTILINE)[0]


def _column(section, column):
    rows = [line.split(" | ") for line in _section(section).splitlines() if line.startswith("| ")]
    return [row[column].strip(" |`") for row in rows if not row[0].startswith("| #")]


@pytest.mark.parametrize(
    ("section", "record", "named"),
    [
        (
            "2.1",
            envelope.Route,
            {"target life": "target_incarnation", "sender life": "sender_incarnation"},
        ),
        ("3", envelope.Batch, {}),
        ("7.3", Part, {}),
        ("7.4", Failure, {"type name": "type_name", "traceback": "remote_traceback"}),
    ],
)
def test_a_records_fields_stand_in_the_page_in_their_order(section, record, named):
    fields = [named.get(name, name) for name in _column(section, 1)]

    assert fields == list(record.__struct_fields__)


def test_the_fields_and_kinds_of_an_envelope_stand_in_the_page():
    fields, _, kinds = _section("4").partition("Fields with a default")
    names = re.findall(r"^\| \d+ \| (\w+) \|", fields, re.MULTILINE)
    numbers = re.findall(r"^\| (\d+) \| ([A-Z]+) \|", kinds, re.MULTILINE)

    assert names == list(envelope.Envelope.__struct_fields__)
    assert [(int(number), name) for number, name in numbers] == [
        (kind.value, kind.name) for kind in envelope.Kind
    ]


@pytest.mark.parametrize("word", [control.Hello, control.Resolve, control.Stands, control.Obituary])
def test_the_fields_of_a_word_stand_in_the_page_in_their_order(word):
    row = re.search(rf"^\| `{word.__name__}` \| (.*?) \|", PAGE, re.MULTILINE)
    assert row is not None
    fields = re.sub(r" \(.*?\)", "", row[1]).split(", ")

    assert fields == list(word.__struct_fields__)


def test_the_page_names_every_code_of_a_refusal():
    source = Path(routing.__file__).read_text(encoding="utf-8")
    source += Path(infrastructure.__file__).with_name("broker.py").read_text(encoding="utf-8")
    used = set(re.findall(r'Refused\(\s*"([a-z-]+)"', source))

    assert used == set(_column("8", 0)[1:])


def test_the_limits_of_the_page_are_those_of_the_code():
    assert f"version described here is **`{envelope.MAGIC}`**" in PAGE
    assert envelope.LARGEST_FRAME == 256 << 20
    assert outbox.FIRST_WINDOW == 256
    assert (outbox.BATCH_ENVELOPES, outbox.BATCH_BYTES) == (256, 4 << 20)
    assert (outbox.OUTBOX_MESSAGES, outbox.OUTBOX_BYTES) == (10_000, 64 << 20)
    assert (outbox.MOST_ANSWERS, outbox.MOST_ANSWER_BYTES) == (10_000, 64 << 20)
    assert (credit.WINDOW, credit.WINDOW_BYTES, credit.FREE) == (64, 32 << 20, 8)
    assert (departures.ACK_DELAY, arrivals.ACK_EVERY, departures.PROBE_DELAY) == (0.05, 128, 1.0)
    assert (routing.CLIENT_SILENCE, routing.QUESTIONS) == (5.0, 100_000)
    assert (letter.REDELIVERY_LIMIT, fates.ANSWER_GRACE) == (3, 0.1)
    assert (broker.LONGEST_ROUTE, broker.REFUSALS) == (1024, 20)
