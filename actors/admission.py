"""Who is let into an actor's mailbox: everybody but an ask that would wait for itself.

    delivery ─► is my own name among those who wait for it? ── no ─► mailbox
                             │ yes: `cycles.py`
                             ├─ begun beside the handler that waits ─► mailbox, admitted
                             └─ would never end ─► AskCycle

Called after every look at the network, also while a `def` handler waits in place: that handler may
be the one that the ask would wait for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from actors.cycles import LONGEST_CHAIN, Judgement, Verdict, Wait, judge
from actors.envelope import TELL
from actors.errors import AskCycle, MessageError
from actors.mailbox import Mailbox
from actors.message import class_name
from actors.outcomes import Outcomes

if TYPE_CHECKING:
    from actors.dispatch import Dispatch
    from actors.link import Delivery
    from actors.portal import Portal


@final
class Admission:
    """Takes what has arrived into the mailbox."""

    def __init__(
        self,
        portal: Portal,
        mailbox: Mailbox,
        dispatch: Dispatch,
        outcomes: Outcomes,
    ) -> None:
        self._portal = portal
        self._peer = portal.peer
        self._mailbox = mailbox
        self._dispatch = dispatch
        self._outcomes = outcomes

    def take_in(self) -> None:
        """Move every delivery into the mailbox, or refuse it."""
        deliveries, mailbox, me = self._peer.deliveries, self._mailbox, self._peer.name
        while deliveries:
            delivery = deliveries.popleft()
            envelope = delivery.envelope
            if (
                envelope.kind != TELL
                and (
                    me in envelope.chain
                    or delivery.link.name == me
                    or len(envelope.chain) >= LONGEST_CHAIN
                )
                and not delivery.link.behind  # it would be refused at once, which is an answer
            ):
                self._consider(delivery)
            else:
                mailbox.put(delivery)

    def _consider(self, delivery: Delivery) -> None:
        verdict, path = self._judge(delivery)
        match verdict:
            case Verdict.QUEUE:
                self._mailbox.put(delivery)
            case Verdict.ADMIT:
                self._mailbox.admit(delivery)
            case Verdict.REFUSE:
                self._refuse(delivery, path)

    def _judge(self, delivery: Delivery) -> Judgement:
        me, envelope = self._peer.name, delivery.envelope
        chain = (*envelope.chain, delivery.link.name)
        if len(chain) > LONGEST_CHAIN:
            return Judgement(Verdict.REFUSE, (*chain, me))
        # What its sender sent before it must be handled before it, and waits for the same handler.
        alone = not self._mailbox.holds(delivery.link.name, delivery.incarnation)
        waits = [Wait(call.target, call.waiter.hold) for call in self._peer.calls.all()]
        return judge(me, chain, waits, overlaps=alone and self._overlaps(envelope.tag))

    def _overlaps(self, tag: str) -> bool:
        try:
            handler = self._dispatch.for_tag(tag)
        except MessageError:
            return True  # it is refused when it is begun, which need not wait for anybody
        return handler is None or handler.concurrent

    def _refuse(self, delivery: Delivery, path: tuple[str, ...]) -> None:
        name = class_name(delivery.envelope.tag)
        error = AskCycle(target=self._peer.name, message=name, path=path)
        self._outcomes.turn_away(delivery, error)
        # Whoever pumps in place looks at the network again only when something comes from there.
        self._portal.driver.flush()
