"""Full mailboxes: who waits, who is told at once, and how much may be under way."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from latecomers import AsyncCan, Bucket, Can, Drop, Drops, Nap, Pour, Slow
from press import Picture

from actors.errors import MailboxFull
from supervisor import Limits

SMALL = Limits(mailbox=5)


def fill(ref, count=50):
    for n in range(count):
        ref.tell(Drop(n))


def test_plain_code_waits_for_room(spawn):
    ref = spawn(Bucket, limits=SMALL)

    fill(ref)

    assert ref.ask(Drops()).result() == list(range(50))


def test_a_def_handler_waits_for_room(spawn):
    ref, can = spawn(Bucket, limits=SMALL), spawn(Can)

    assert can.ask(Pour(ref, 50)).result() == 50

    # What the can has told may arrive after what another asks.
    while len(drops := ref.ask(Drops()).result()) < 50:
        pass
    assert drops == list(range(50))


def test_an_async_handler_is_told_at_once_and_may_wait_for_room(spawn):
    ref, can = spawn(Bucket, limits=SMALL), spawn(AsyncCan)

    poured = can.ask(Pour(ref, 50)).result()

    assert poured < 50
    assert can.ask(Pour(ref, 50, wait=True)).result() == 50
    while len(drops := ref.ask(Drops()).result()) < poured + 50:
        pass
    assert drops == [*range(poured), *range(50)]


def test_asyncio_code_is_told_at_once_and_may_wait_for_room(spawn):
    ref = spawn(Bucket, limits=SMALL)

    async def pour():
        with pytest.raises(MailboxFull) as caught:
            fill(ref, 100_000)  # the bucket may keep up with the first
        assert 0 < caught.value.limit <= 5
        for n in range(100, 120):
            await ref.room()
            ref.tell(Drop(n))

    asyncio.run(pour())

    assert ref.ask(Drops()).result()[-20:] == list(range(100, 120))


def test_plain_code_that_has_waited_in_vain_is_told(spawn):
    ref = spawn(Slow, limits=Limits(mailbox=1))
    ref.tell(Nap(6.0))
    begin = time.monotonic()

    with pytest.raises(MailboxFull):
        ref.tell(Nap(0.0))

    assert time.monotonic() - begin > 4.9


def test_shared_arrays_fill_an_outbox_as_much_as_any_others(spawn):
    ref = spawn(Slow)
    ref.tell(Nap(1.0))
    sixteen = Picture(np.zeros(2 << 20))

    async def flood():
        for _ in range(4):
            ref.tell(sixteen)
        with pytest.raises(MailboxFull):
            ref.tell(sixteen)

    asyncio.run(flood())
