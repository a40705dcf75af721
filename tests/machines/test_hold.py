"""What one sender can make a receiver keep, whether it heeds its credit or not: a naive model."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.arrivals import LIGHT
from actors.envelope import MAGIC, Batch, Envelope, Kind, Route, encode_batch, encode_route
from actors.letter import Letter
from actors.mailbox import Mailbox
from actors.outbox import FIRST_WINDOW, MOST_ANSWER_BYTES, MOST_ANSWERS, OUTBOX_BYTES
from actors.peer import Peer

HALF = bytes(OUTBOX_BYTES // 2)
"""Two of these, and no message of any size is taken."""

BODIES = st.sampled_from([(b"", ()), (b"", ()), (b"", (HALF,)), (bytes(LIGHT + 1), ())])
SEND = st.tuples(st.just("send"), st.integers(1, 400), st.integers(0, 3), BODIES)
FINISH = st.tuples(st.just("finish"), st.integers(1, 400), st.integers(0, 10), st.none())


@settings(max_examples=50)
@given(st.integers(1, 600), st.lists(SEND | FINISH, max_size=12))
def test_of_one_sender_no_more_is_kept_than_an_honest_one_would_send(mailbox, steps):
    most = max(mailbox, FIRST_WINDOW)
    peer = Peer("actor", 1, mailbox=mailbox)
    route = encode_route(Route(MAGIC, "actor", 1, "sender", 1))
    expected, held = 1, {}
    for step, count, shift, body in steps:
        if step == "send":
            first = max(1, expected - shift)  # some of them again
            payload, frames = body
            numbers = range(first, first + (min(count, 3) if frames else count))
            envelopes = [Envelope(Kind.TELL, n, 0, "t:T", payload, len(frames)) for n in numbers]
            batch = Batch(0.0, 1, numbers[-1], 0, 0, [], 100, 0, envelopes)
            full = sum(held.values()) >= OUTBOX_BYTES
            peer.receive([route, encode_batch(batch), *frames * len(numbers)], 0.0)
            for number in numbers:
                if len(held) >= most or full:
                    break
                if number == expected:
                    size = len(payload) + sum(map(len, frames))
                    held[number] = size if size > LIGHT else 0
                    expected += 1
        else:
            for _ in range(min(count, len(held))):
                delivery = peer.deliveries[shift % len(held)]
                del peer.deliveries[shift % len(held)]
                del held[delivery.envelope.seq]
                peer.finished(delivery.link, delivery.inbound, delivery.envelope.seq, 0.0)

        assert [delivery.envelope.seq for delivery in peer.deliveries] == list(held)
        assert len(held) <= most


def test_an_honest_sender_with_a_full_outbox_is_never_cut_short():
    sender, receiver = Peer("sender", 1), Peer("actor", 1)
    route = encode_route(Route(MAGIC, "actor", 1, "sender", 1))
    link = sender.link("actor")
    link.out.bind(1, 10_000)
    link.out.acknowledge(0, [], 10_000)
    body = bytes(1 << 20)
    offered = 0
    while not link.out.full:
        # The last one may be of any size.
        frames = (body * 100,) if link.out._bytes + len(body) >= OUTBOX_BYTES else (body,)
        link.out.offer(Letter(Envelope(Kind.TELL, 0, 0, "t:T", b"", 1), frames))
        offered += 1

    while letters := link.out.take():
        envelopes = [one.envelope for one in letters]
        batch = Batch(0.0, 1, link.out.last, 0, 0, [], 100, 0, envelopes)
        receiver.receive([route, encode_batch(batch), *(one.frames[0] for one in letters)], 0.0)

    assert len(receiver.deliveries) == offered
    assert receiver.bad_frames == 0


def test_whatever_has_no_bound_of_its_own_is_bounded_at_the_border():
    peer = Peer("actor", 1)
    route = encode_route(Route(MAGIC, "actor", 1, "sender", 1))
    for tag, chain in (("t" * 256, ()), ("t:T", ("n",) * 129), ("t:T", ("n" * 257,))):
        envelope = Envelope(Kind.ASK, 1, 1, tag, b"", chain=chain)
        batch = Batch(0.0, 1, 1, 0, 0, [], 100, 0, [envelope])
        peer.receive([route, encode_batch(batch)], 0.0)

    assert (peer.bad_frames, len(peer.deliveries)) == (3, 0)


STEPS = st.tuples(st.sampled_from(["ask", "serve", "acknowledge"]), st.integers(1, 6))


class Answering:
    """An actor that answers whatever a program on the network asks it, and what it has kept."""

    def __init__(self):
        self.peer, self.mailbox = Peer("actor", 1), Mailbox()
        self.asked = self.served = self.acknowledged = 0
        self.kept = deque()

    def ask(self, count):
        """Let so many questions come."""
        numbers = range(self.asked + 1, self.asked + 1 + count)
        self.asked += count
        self._hear([Envelope(Kind.ASK, number, number, "t:T", b"") for number in numbers])

    def acknowledge(self, count):
        """Let word come that so many more answers have arrived."""
        count = min(count, len(self.kept))
        self.acknowledged += count
        for _ in range(count):
            self.kept.popleft()
        self._hear([])

    def _hear(self, envelopes):
        route = encode_route(Route(MAGIC, "actor", 1, "client-net-1", 1))
        seen = self.acknowledged
        batch = Batch(0.0, 1, self.asked, seen, seen, [], 100, 0, envelopes)
        self.peer.receive([route, encode_batch(batch)], 0.0)
        while self.peer.deliveries:
            self.mailbox.put(self.peer.deliveries.popleft())

    def serve(self, count):
        """Answer so many, or as many as may be."""
        for _ in range(count):
            delivery = self.mailbox.take()
            waits = self.served == self.asked or sum(self.kept) > MOST_ANSWER_BYTES
            assert (delivery is None) == waits
            if delivery is None:
                return
            self.served += 1
            assert delivery.envelope.seq == self.served
            frames = (HALF,) * (self.served % 3)
            answer = Letter(Envelope(Kind.REPLY, 0, self.served, "", b"", len(frames)), frames)
            out = delivery.link.out
            out.cutter = None  # each answer has one number
            self.peer.answer(delivery.link, 1, answer)
            self.peer.finished(delivery.link, delivery.inbound, self.served, 0.0)
            assert out.take() == [answer]
            self.kept.append(answer.size)


@given(st.lists(STEPS, max_size=30))
def test_a_program_on_the_network_is_kept_no_more_answers_than_it_acknowledges(steps):
    actor = Answering()
    for step, count in steps:
        getattr(actor, step)(count)

        assert sum(actor.kept) <= MOST_ANSWER_BYTES + 2 * OUTBOX_BYTES
        assert len(actor.mailbox) == actor.asked - actor.served


def test_a_program_that_declines_keeps_no_answers_without_end_either():
    peer = Peer("client-1", 1, mailbox=0)
    route = encode_route(Route(MAGIC, "client-1", 1, "client-net-1", 1))
    for first in range(1, 2 * MOST_ANSWERS, 500):
        numbers = range(first, first + 500)
        envelopes = [Envelope(Kind.ASK, number, number, "t:T", b"") for number in numbers]
        batch = Batch(0.0, 1, numbers[-1], 0, 0, [], 100, 0, envelopes)
        peer.receive([route, encode_batch(batch)], 0.0)
    out = peer.links["client-net-1"].out

    assert len(out.unsent) == out.answers == MOST_ANSWERS + 1
