"""What one sender can make a receiver keep, whether it heeds its credit or not: a naive model."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.envelope import MAGIC, Batch, Envelope, Kind, Route, encode_batch, encode_route
from actors.outbox import FIRST_WINDOW
from actors.peer import Peer

SEND = st.tuples(st.just("send"), st.integers(1, 400), st.integers(0, 3))
FINISH = st.tuples(st.just("finish"), st.integers(1, 400), st.integers(0, 10))


@settings(max_examples=50)
@given(st.integers(1, 600), st.lists(SEND | FINISH, max_size=12))
def test_of_one_sender_no_more_is_kept_than_an_honest_one_would_send(mailbox, steps):
    most = max(mailbox, FIRST_WINDOW)
    peer = Peer("actor", 1, mailbox=mailbox)
    route = encode_route(Route(MAGIC, "actor", 1, "sender", 1))
    expected, held = 1, []
    for step, count, shift in steps:
        if step == "send":
            first = max(1, expected - shift)  # some of them again
            numbers = range(first, first + count)
            envelopes = [Envelope(Kind.TELL, number, 0, "t:T", b"") for number in numbers]
            batch = Batch(0.0, 1, numbers[-1], 0, 0, [], 100, 0, envelopes)
            peer.receive([route, encode_batch(batch)], 0.0)
            for number in numbers:
                if len(held) >= most:
                    break
                if number == expected:
                    held.append(number)
                    expected += 1
        else:
            for _ in range(min(count, len(held))):
                delivery = peer.deliveries[shift % len(held)]
                del peer.deliveries[shift % len(held)]
                held.remove(delivery.envelope.seq)
                peer.finished(delivery.link, delivery.inbound, delivery.envelope.seq, 0.0)

        assert [delivery.envelope.seq for delivery in peer.deliveries] == held
        assert len(held) <= most
