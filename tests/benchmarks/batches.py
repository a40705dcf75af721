"""What batches are worth, and what tells cost in acknowledgements."""

from __future__ import annotations

import time
from collections.abc import Callable

from actors import ActorRef, outbox
from actors.peer import Peer
from supervisor.bench.cast import Note, Noted
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.talk import DIRECT, TELLS, rate, stages, tell_many


def batches(repeats: int) -> list[Figure]:
    """Tells one by one, as if nothing ever waited for a peer; acknowledgements of tells."""
    with stages() as (ours, _, _, direct):
        rates = rounds(
            repeats,
            {
                "single": rate(TELLS, _without_batches(lambda count: tell_many(ours, count))),
                DIRECT: rate(TELLS, direct.tell_many),
            },
        )
        flood, trickle = _acknowledgements(ours, pause=0.0), _acknowledgements(ours, pause=0.001)
    return [
        compared("tells one way, no batches", "/s", rates["single"], rates[DIRECT], beside=DIRECT),
        Figure("acknowledgements per 1,000 tells, flood", flood, "messages"),
        Figure("acknowledgements per 1,000 tells, 1 ms apart", trickle, "messages"),
    ]


def _without_batches(act: Callable[[int], None]) -> Callable[[int], None]:
    """The same with one envelope in a wire message, as if nothing ever waited for a peer."""

    def run(count: int) -> None:
        usual = outbox.BATCH_ENVELOPES
        outbox.BATCH_ENVELOPES = 1
        try:
            act(count)
        finally:
            outbox.BATCH_ENVELOPES = usual

    return run


def _acknowledgements(ref: ActorRef, *, pause: float) -> float:
    """Wire messages that come back for 1,000 tells; the answer to the last ask is not counted."""
    count = 1000
    arrived = 0
    receive = Peer.receive

    def counting(*args: object) -> None:
        nonlocal arrived
        arrived += 1
        receive(*args)

    ref.ask(Noted()).result()
    time.sleep(0.2)  # what is owed for former messages arrives
    Peer.receive = counting
    try:
        for _ in range(count):
            ref.tell(Note(1.5, 2.5))
            if pause:
                time.sleep(pause)
        ref.ask(Noted()).result()
    finally:
        Peer.receive = receive
    return float(arrived - 1)
