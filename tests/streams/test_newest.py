"""Which packet gives way (actors/streams/newest.py)."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.streams.newest import GRACE, Attempt, Latest, Newest


class WriterMachine(RuleBasedStateMachine):
    """Readers with room for one packet each, that take theirs whenever they like."""

    spread = True

    def __init__(self):
        super().__init__()
        self.packets = Newest(spread=self.spread)
        self.now = 0.0
        self.serial = 0
        self.rooms: list[int | None] = []  # what lies before each reader
        self.left_out: set[int] = set()  # had no room at a lenient attempt, and have none yet
        self.got: list[list[int]] = []
        self.nobody = 0  # written while nobody was there

    def carry(self, attempt):
        """What a transport does with an attempt."""
        asked = [n for n in range(len(self.rooms)) if n not in self.left_out]
        free = [n for n in asked if self.rooms[n] is None]
        if not self.spread:
            taken, takers = bool(free), free[:1]
        elif attempt.strict:
            taken = free == asked
            takers = free if taken else []
        else:
            taken, takers = True, free
            self.left_out |= set(asked) - set(free)
        for n in takers:
            self.rooms[n] = attempt.packet
            self.got[n].append(attempt.packet)
        self.packets.ended(attempt, self.now, taken=taken, readers=bool(self.rooms))

    @rule()
    def a_reader_comes(self):
        self.rooms.append(None)
        self.got.append([])

    @rule(data=st.data())
    def a_reader_takes(self, data):
        if self.rooms:
            n = data.draw(st.integers(0, len(self.rooms) - 1))
            self.rooms[n] = None
            self.left_out.discard(n)

    @rule()
    def all_readers_go(self):
        self.rooms, self.got, self.left_out = [], [], set()

    @rule()
    def write(self):
        self.serial += 1
        self.nobody += not self.rooms
        self.carry(self.packets.offer(self.serial))

    @rule(seconds=st.sampled_from([0.0, GRACE / 2, GRACE]))
    def look_again(self, seconds):
        self.now += seconds
        attempt = self.packets.again(self.now)
        if attempt is not None:
            self.carry(attempt)

    @invariant()
    def every_packet_is_sent_or_dropped_or_waits(self):
        packets = self.packets
        waiting = packets.waiting is not None
        assert packets.written == self.serial == packets.sent + packets.dropped + waiting
        assert packets.dropped >= self.nobody

    @invariant()
    def only_the_newest_waits(self):
        assert self.packets.waiting in (None, self.serial)

    @invariant()
    def nobody_gets_an_older_packet_after_a_newer_one_or_one_twice(self):
        for got in self.got:
            assert got == sorted(set(got))

    def teardown(self):
        """After the last write whoever makes room within the grace gets the newest."""
        if not self.rooms or self.packets.waiting is None:
            return
        self.rooms, asked = [None] * len(self.rooms), set(range(len(self.rooms))) - self.left_out
        self.carry(Attempt(self.packets.waiting, strict=True))
        takers = [n for n in sorted(asked) if self.got[n] and self.got[n][-1] == self.serial]
        assert takers == sorted(asked) if self.spread else len(takers) == 1
        assert self.packets.waiting is None


class PusherMachine(WriterMachine):
    spread = False

    @invariant()
    def what_was_sent_is_with_exactly_one_reader(self):
        everything = [packet for got in self.got for packet in got]
        assert len(everything) == len(set(everything))


TestPublishing = WriterMachine.TestCase
TestPushing = PusherMachine.TestCase
TestPublishing.settings = TestPushing.settings = settings(stateful_step_count=20)


def _offer(packets, packet, *, taken):
    packets.ended(packets.offer(packet), 0.0, taken=taken, readers=True)


def test_1_13_the_packet_that_waits_gives_way_to_the_next():
    packets = Newest(spread=True)
    _offer(packets, 1, taken=False)
    _offer(packets, 2, taken=False)

    assert packets.again(0.0) == Attempt(2, strict=True)
    assert packets.dropped == 1


def test_a_stopped_reader_delays_the_newest_by_the_grace_only():
    packets = Newest(spread=True)
    _offer(packets, 1, taken=False)

    assert packets.again(GRACE / 2) == Attempt(1, strict=True)
    assert packets.again(GRACE) == Attempt(1, strict=False)
    assert packets.again(GRACE) is None


def test_with_one_reader_the_newest_waits_for_ever():
    packets = Newest(spread=False)
    _offer(packets, 1, taken=False)

    assert packets.again(1e9) == Attempt(1, strict=True)


def test_a_reader_keeps_the_newest_and_counts_the_others():
    latest = Latest()
    for number in range(5):
        latest.put(number)

    assert latest.take() == 4
    assert latest.take() is None
    assert (latest.received, latest.dropped) == (5, 4)
