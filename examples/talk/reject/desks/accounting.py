"""Accounting moves the fee of a candidate who pays to the new date."""

from collections.abc import Iterator

from desk import Desk
from event import ApplicationRejected


class Accounting(Desk):
    def act(self, msg: ApplicationRejected) -> Iterator[str]:
        if msg.reschedule and not msg.application.institution_pays:
            yield f"moved the fee of {msg.application.candidate}"
