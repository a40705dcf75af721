"""The flight recorder against a plain dictionary, with a kill between any two stores.

Every operation is run under an opcode tracer that keeps each content the page has meanwhile.
Only a plain `words[i] = x` is one store of the machine; what a call or a slice writes is split
further: its words are cleared first (`pack_into` does so) and arrive one by one.

After each of these moments the page must read as the model before the operation or as the model
after it, and having once been "after" it must stay so.
"""

from __future__ import annotations

import dis
import sys
from itertools import permutations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from actors import late, recorder
from actors.blackbox import InProgress, LinkRecord, read
from actors.recorder import IN_PROGRESS, Recorder, State
from actors.runs import Runs

WORD = 8
TAGS = ["m:Add", "a.long.package.of.somebody.else:Exposure", "", "é" * 40]


def moments(page, operation):
    """Run `operation`; return its result and every content of the page, from first to last."""
    seen = [bytes(page)]
    latest = ""  # name of the opcode that ran last

    def look():
        if page != seen[-1]:
            seen.extend(store_by_store(seen[-1], bytes(page), whole=latest == "STORE_SUBSCR"))

    def trace(frame, event, argument):
        nonlocal latest
        if frame.f_code.co_filename not in (recorder.__file__, late.__file__):
            return None
        frame.f_trace_opcodes = True
        look()
        latest = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = operation()
    finally:
        sys.settrace(before)
    look()
    return result, seen


def store_by_store(old, new, *, whole):
    """Return what a reader may find while `old` becomes `new` by one statement."""
    differs = np.frombuffer(old, "u8") != np.frombuffer(new, "u8")
    words = [int(word) * WORD for word in np.flatnonzero(differs)]
    if whole and len(words) == 1:
        return [new]  # one aligned word is stored whole
    pages = []
    for fill in (old, bytes(len(old))):
        page = bytearray(old)
        page[words[0] : words[-1] + WORD] = fill[words[0] : words[-1] + WORD]
        for at in words:
            pages.append(bytes(page))
            page[at : at + WORD] = new[at : at + WORD]
    return [*pages, new]


class Sender:
    """The naive receiver's side of one link: what was begun, what is finished."""

    def __init__(self, rid):
        self.rid = rid
        self.slot = None  # None while it is not linked
        self.begun = 0
        self.handled = 0
        self.late = set()

    def finish(self, seq):
        self.late.add(seq)
        while self.handled + 1 in self.late:
            self.handled += 1
            self.late.discard(self.handled)

    def runs(self):
        runs = Runs()
        for number in self.late:
            runs.add(number)
        return runs.pairs()

    def run(self, seq):
        pairs = self.runs()
        runs = zip(pairs[::2], pairs[1::2], strict=True)
        return next((run for run in runs if run[0] <= seq <= run[1]), None)

    def record(self):
        return LinkRecord(self.handled, tuple(self.runs()))


class RecorderMachine(RuleBasedStateMachine):
    senders = Bundle("senders")
    running = Bundle("running")

    def __init__(self):
        super().__init__()
        self.page = Recorder.blank()
        self.writer = Recorder(self.page)
        self.writer.ready()
        self.now = 1.0
        self.everyone = []
        self.in_progress = {}  # (sender, seq) -> what the record shows
        self.ended = 0

    # what a page says, and what the model says, in one form

    def said(self, page):
        record = read(page)
        assert record.intact
        assert record.state is (State.BUSY if record.in_progress else State.IDLE)
        assert (record.busy_since is None) is (not record.in_progress)
        return dict(record.links), {(one.rid, one.seq): one for one in record.in_progress}

    def meant(self):
        links = {one.rid: one.record() for one in self.everyone if one.slot is not None}
        shown = {(sender.rid, seq): one for (sender, seq), one in self.in_progress.items()}
        return links, shown

    def check(self, before, pages):
        """Compare every moment of an operation with the model before it and the model now."""
        after = self.meant()
        done = False
        for page in pages:
            said = self.said(page)
            assert said == after or (said == before and not done)
            done = said == after
        assert done

    # rules

    @precondition(lambda self: len(self.everyone) < 3)  # few, so that they get in each other's way
    @rule(target=senders)
    def new_sender(self):
        sender = Sender((len(self.everyone) + 1).to_bytes(16, "big"))
        self.everyone.append(sender)
        self.link(sender)
        return sender

    @rule(sender=senders)
    def link_again(self, sender):
        if sender.slot is None:
            self.link(sender)

    def link(self, sender):
        before = self.meant()
        slot, pages = moments(self.page, lambda: self.writer.link(sender.rid, sender.handled))

        assert slot not in {one.slot for one in self.everyone}
        sender.slot = slot
        self.check(before, pages)

    @rule(sender=senders)
    def unlink(self, sender):
        if sender.slot is None:
            return
        before = self.meant()
        _, pages = moments(self.page, lambda: self.writer.unlink(sender.slot))

        sender.slot = None
        sender.late.clear()
        self.check(before, pages)

    @precondition(lambda self: self.writer.room)
    @rule(target=running, sender=senders, tag=st.sampled_from(TAGS))
    def begin(self, sender, tag):
        if sender.slot is None:
            return multiple()
        self.now += 1.0
        sender.begun += 1
        slot, seq = sender.slot, sender.begun
        before = self.meant()
        index, pages = moments(self.page, lambda: self.writer.begin(slot, seq, tag, self.now))

        shown = tag.encode()[-32:].decode()
        self.in_progress[sender, seq] = InProgress(sender.rid, seq, shown, self.now)
        self.check(before, pages)
        return sender, seq, slot, index

    @rule(message=consumes(running))
    def finish(self, message):
        sender, seq, slot, index = message
        before = self.meant()
        if sender.slot is not None:  # otherwise nobody is left who would ask
            sender.finish(seq)
        handled, run = sender.handled, sender.run(seq)
        _, pages = moments(self.page, lambda: self.writer.finish(index, slot, seq, handled, run))

        del self.in_progress[sender, seq]
        self.ended += 1
        self.check(before, pages)

    @rule()
    def gauges_disturb_nothing(self):
        before = self.meant()

        def all_gauges():
            self.writer.alive(self.now)
            self.writer.mailbox(len(self.in_progress))
            self.writer.failed()

        _, pages = moments(self.page, all_gauges)
        self.check(before, pages)

    @invariant()
    def the_page_says_what_the_model_says(self):
        record = read(self.page)

        assert self.said(self.page) == self.meant()
        assert record.handled == self.ended
        assert len(record.in_progress) <= IN_PROGRESS


TestRecorderMachine = RecorderMachine.TestCase
TestRecorderMachine.settings = settings(stateful_step_count=60)
# Each opcode is traced: 200 examples took 16 s on a quiet machine, more than 60 at load 6.
TestRecorderMachine.pytestmark = [pytest.mark.timeout(300)]


def test_a_late_record_never_speaks_of_the_sender_that_used_it_before():
    machine = RecorderMachine()
    first, second = machine.new_sender(), machine.new_sender()
    for sender in (first, second):
        messages = [machine.begin(sender, "m:Add") for _ in range(2 if sender is first else 5)]
        while messages:
            machine.finish(messages.pop())

    machine.the_page_says_what_the_model_says()


def test_runs_that_grow_and_meet_are_true_between_any_two_stores():
    for order in permutations(range(1, 5)):
        machine = RecorderMachine()
        sender = machine.new_sender()
        messages = [machine.begin(sender, "m:Add") for _ in range(5)]
        for index in order:  # the first one is still in progress
            machine.finish(messages[index])
            machine.the_page_says_what_the_model_says()
        machine.finish(messages[0])
        machine.the_page_says_what_the_model_says()
