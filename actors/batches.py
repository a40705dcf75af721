"""What goes out on a link: letters, what we have received, what we ask for.  A decider.

    letters waiting      ─┐
    owed acknowledgements ─┼─► as few wire messages as possible, all of one order
    probe, resend demand ─┘

An acknowledgement travels with letters when there are any, else alone.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from actors.envelope import Batch, Flags, encode_batch
from actors.link import Link

Message: TypeAlias = list[bytes | memoryview]
"""The frames of one wire message."""

_ACKNOWLEDGE: Final = int(Flags.ACKNOWLEDGE)
_RESEND: Final = int(Flags.RESEND)


def batches(link: Link, now: float, credit: int) -> list[Message]:
    """Return the wire messages that a link has to send now.

    `credit` is how many unfinished messages of the other side we will hold.
    """
    out, inbound = link.out, link.inbound
    flags = received = handled = 0
    finished: list[int] = []
    if link.mark < 0:
        link.mark = out.base
        if not out.idle:
            flags = _ACKNOWLEDGE
    elif out.heavy and out.ready:
        flags = _ACKNOWLEDGE
    due = flags != 0
    # What we have received concerns the life it came from and no other.
    if inbound is not None and inbound.incarnation == out.incarnation:
        received, handled = inbound.expected - 1, inbound.handled
        if inbound.gap and inbound.demand():
            flags |= _RESEND
        due = due or flags != 0 or link.prompt or inbound.owed > 0
        if due or out.ready:
            finished = inbound.news(everything=link.prompt)
            link.prompt = False
    messages: list[Message] = []
    letters = out.take()
    while letters or due:
        due = False
        # A batch of repeated letters must not speak of later ones, or they would count as lost.
        last = letters[-1].envelope.seq if letters else out.last
        envelopes = [letter.envelope for letter in letters]
        batch = Batch(
            now, out.base, last, received, handled, finished, credit, flags, envelopes
        )
        message: Message = [link.route, encode_batch(batch)]
        for letter in letters:
            if letter.frames:
                message += letter.frames
        messages.append(message)
        flags &= _ACKNOWLEDGE
        finished = []
        letters = out.take()
    return messages
