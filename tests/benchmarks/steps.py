"""Steps on the way of a message that are there for its guarantees: what does each cost?

Everything happens in one process and in memory, so nothing but the step itself is measured.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from actors.control import BROKER, Standing, Stands, Welcome, encode_word
from actors.envelope import (
    MAGIC,
    Batch,
    Envelope,
    Kind,
    Route,
    decode_batch,
    decode_route,
    encode_batch,
    encode_route,
)
from actors.letter import Letter
from actors.outbox import BATCH_ENVELOPES
from actors.peer import Peer
from actors.recorder import Recorder, create_page
from supervisor.bench.figures import Figure, compared, rounds

COUNT = 20_000
TAG = "supervisor.bench.cast:Note"
PAYLOAD = b"\x92\xcb?\xf8\x00\x00\x00\x00\x00\x00\xcb@\x04\x00\x00\x00\x00\x00\x00"
NO_LINK = "the same batches without a link"
NO_RECORDER = "reading the clock"


def steps(repeats: int) -> list[Figure]:
    """The flight recorder and the link, per message."""
    descriptor, page = create_page()
    recorder = Recorder(page)
    slot = recorder.link(os.urandom(16))
    times = rounds(
        repeats,
        {
            "recorder": _each(lambda: _record(recorder, slot)),
            NO_RECORDER: _each(_read_the_clock),
            "links": _each(_over_a_link),
            NO_LINK: _each(_without_a_link),
        },
    )
    os.close(descriptor)
    return [
        compared(
            "recorder, begin and finish",
            "us",
            times["recorder"],
            times[NO_RECORDER],
            beside=NO_RECORDER,
        ),
        compared("link, one way, per tell", "us", times["links"], times[NO_LINK], beside=NO_LINK),
    ]


def _each(act: Callable[[], None]) -> Callable[[], float]:
    """Microseconds per message, over `COUNT` of them."""

    def run() -> float:
        begun = time.perf_counter()
        act()
        return (time.perf_counter() - begun) / COUNT * 1e6

    return run


_numbers = iter(range(1, 1 << 62))


def _record(recorder: Recorder, slot: int) -> None:
    """What the runtime does around a handler."""
    for _ in range(COUNT):
        number = next(_numbers)
        index = recorder.begin(slot, number, TAG, time.monotonic())
        recorder.alive(time.monotonic())
        recorder.finish(index, slot, number, number)


def _read_the_clock() -> None:
    for _ in range(COUNT):
        next(_numbers)
        time.monotonic()
        time.monotonic()


def _over_a_link() -> None:
    """From one party's outbox to the other's mailbox, handled, acknowledged."""
    one, other = _online("one", "other"), _online("other", "one")
    link = one.links["other"]
    for _ in range(COUNT // BATCH_ENVELOPES):
        for _ in range(BATCH_ENVELOPES):
            one.post(link, Letter(Envelope(Kind.TELL, 0, 0, TAG, PAYLOAD)))
        _carry(one, other)
        while other.deliveries:
            delivery = other.deliveries.popleft()
            other.finished(delivery.link, delivery.inbound, delivery.envelope.seq, 0.0)
        _carry(other, one)
    assert link.out.unfinished == 0


def _without_a_link() -> None:
    """Write and read the same batches, and one acknowledgement for each, for nobody."""
    route = encode_route(Route(MAGIC, "other", 1, "one", 1))
    for first in range(0, COUNT - BATCH_ENVELOPES + 1, BATCH_ENVELOPES):
        envelopes = [
            Envelope(Kind.TELL, first + number, 0, TAG, PAYLOAD)
            for number in range(BATCH_ENVELOPES)
        ]
        for batch in (envelopes, []):
            wire = [route, encode_batch(Batch(0.0, 1, first, 0, 0, [], 1000, 0, batch))]
            for _ in decode_batch(wire[1]).envelopes:
                pass


def _online(name: str, other: str) -> Peer:
    """Return a party that has heard that the other one is there."""
    peer = Peer(name, 1)
    peer.connected()
    peer.link(other)
    broker = encode_route(Route(MAGIC, name, 1, BROKER, 0))
    for word in (Welcome(""), Stands(other, Standing.UP, 1, 10_000)):
        peer.receive([broker, encode_word(word)], 0.0)
    peer.outgoing(0.0)
    return peer


def _carry(sender: Peer, receiver: Peer) -> None:
    while messages := sender.outgoing(0.0):
        for message in messages:
            if decode_route(bytes(message[0])).target != BROKER:
                receiver.receive([bytes(frame) for frame in message], 0.0)
