"""G4: a stream's reader holds back its writer, and a full mailbox is said to be full."""

from __future__ import annotations

import pytest

from actors.credit import WINDOW
from actors.errors import ActorError
from actors.testing import check
from tests.guarantees.cast import LEDGER, Count, Counter, QuickCounter

LONG = 400


def stream_of(cls):
    async def items_come_in_order_and_the_writer_waits(sim):
        LEDGER.clear()
        counter = sim.spawn(cls, name="counter")
        read = []
        try:
            async for number in counter.stream(Count(LONG)):
                read.append(number)
                ahead = LEDGER[-1].number - number
                assert ahead <= 2 * WINDOW, f"{ahead} items ahead of its reader"
                if number % 100 == 0:
                    await sim.sleep(0.1)
        except ActorError:
            pass  # its writer has died: the reader knows
        else:
            assert len(read) == LONG
        assert read == list(range(len(read)))

    return items_come_in_order_and_the_writer_waits


@pytest.mark.parametrize("cls", [Counter, QuickCounter])
def test_a_stream_has_no_gaps_and_its_writer_waits_for_its_reader(cls):
    check(stream_of(cls), max_faults=1)
