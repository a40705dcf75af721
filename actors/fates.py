"""What becomes of letters and calls when the other side ends: each comes to an end too.  A decider.

    a life ended     finished     its answer has a moment to arrive, then AnswerLost
                     in progress  OutcomeUnknown, or a loss for a tell
                     never begun  waits for the next life
    the name ended   never begun  ActorStopped or NoSuchActor, or a loss for a tell

A loss becomes a dead letter; a settled letter's shared memory may be freed.
"""

from __future__ import annotations

from collections import deque
from typing import Final, final

from actors.calls import Call, Calls
from actors.control import Obituary, Standing
from actors.envelope import Kind
from actors.errors import (
    ActorError,
    ActorStopped,
    AnswerLost,
    DeadlineExceeded,
    Expired,
    OutcomeUnknown,
    SpawnError,
)
from actors.hints import no_such_actor
from actors.letter import Letter, Verdict
from actors.link import Link, Loss

ANSWER_GRACE: Final = 0.1
"""Seconds an answer that left a dying actor has to arrive before it counts as lost."""

NO_RECORD: Final = "the record of its end is lost"


@final
class Fates:
    """The ends of one party's letters and calls."""

    def __init__(self) -> None:
        self.calls = Calls()
        self.losses: deque[Loss] = deque()
        """Tells that nobody will handle."""
        self.settled: deque[Letter] = deque()
        """Letters whose shared memory may be freed."""

    def bury(self, link: Link, word: Obituary, now: float) -> None:
        """The life that letters went to is over; the word says what it had done with them."""
        inbound = link.inbound
        heir = inbound.incarnation if inbound and inbound.incarnation > link.ended else 0
        for letter, verdict in link.out.bury(word.lane, known=word.known, heir=heir):
            self.settled.append(letter)
            if verdict is Verdict.IN_PROGRESS or verdict is Verdict.POISON:
                self._interrupted(link, letter, word.reason)
        # What it had finished, before its end or at it, may have been answered; what it had not
        # begun waits for the next life.
        for call in self.calls.to(link.name):
            if call.letter is not None and not call.letter.waiting and not call.lost:
                call.lost, call.reason = True, word.reason
                self.calls.hurry(call, now + ANSWER_GRACE)

    def close(self, link: Link) -> None:
        """The name is gone: what was never handled comes back."""
        for letter in link.out.close():
            self._undeliverable(link, letter)
        for call in self.calls.to(link.name):
            if not call.lost:
                self.fail(call, _gone(call, link))

    def reject(self, link: Link, letter: Letter) -> None:
        """A letter came to a link that is closed already."""
        self._undeliverable(link, letter)
        call = self.call_of(letter)
        if call is not None:
            self.fail(call, _gone(call, link))

    def expire(self, call: Call, link: Link | None, *, sent: bool, now: float) -> None:
        """The deadline of a call has passed; it is no longer open."""
        target, message = call.target, call.message
        if call.lost and call.letter is not None and call.letter.envelope.kind == Kind.ASK:
            call.sink.fail(AnswerLost(target=target, message=message, reason=call.reason))
        elif call.lost:
            call.sink.fail(_unknown(call, call.reason))
        elif sent:
            call.sink.fail(DeadlineExceeded(target=target, message=message, timeout=call.timeout))
        else:
            late, reason = now - call.deadline, _why_down(link)
            call.sink.fail(Expired(target=target, message=message, late=late, reason=reason))

    def fail(self, call: Call, error: ActorError) -> None:
        """End an open call with `error`."""
        if self.calls.close(call.correlation) is not None:
            call.sink.fail(error)

    def _interrupted(self, link: Link, letter: Letter, reason: str) -> None:
        call = self.call_of(letter)
        if call is not None:
            self.fail(call, _unknown(call, reason))
        elif letter.envelope.kind == Kind.TELL:
            self.losses.append(Loss(link.name, letter.envelope, reason))

    def _undeliverable(self, link: Link, letter: Letter) -> None:
        self.settled.append(letter)
        if letter.envelope.kind == Kind.TELL:
            unknown = link.standing is Standing.UNKNOWN or not link.reason
            reason = "no actor has this name" if unknown else link.reason
            self.losses.append(Loss(link.name, letter.envelope, reason))

    def call_of(self, letter: Letter) -> Call | None:
        """Return the open call whose request this is; an answer has the other side's numbers."""
        call = self.calls.find(letter.envelope.correlation)
        return call if call is not None and call.letter is letter else None


def _unknown(call: Call, reason: str) -> OutcomeUnknown:
    return OutcomeUnknown(target=call.target, message=call.message, reason=reason)


def _why_down(link: Link | None) -> str:
    if link is None or link.standing is not Standing.DOWN:
        return ""
    return link.reason or "it is starting"


def _gone(call: Call, link: Link) -> ActorError:
    if link.standing is Standing.UNKNOWN:
        return no_such_actor(call.target, call.message, meant(link))
    if link.standing is Standing.FAILED:
        return SpawnError(actor=call.target, reason=link.reason)
    return ActorStopped(target=call.target, message=call.message, reason=link.reason)


def meant(link: Link) -> list[str]:
    """Return the names that the broker thinks were meant, for a name that nobody has."""
    return link.reason.split() if link.standing is Standing.UNKNOWN else []
