"""The candidate gets a letter; which one depends on who pays."""

from collections.abc import Iterator

from desk import Desk
from event import ApplicationRejected


class Candidate(Desk):
    def act(self, msg: ApplicationRejected) -> Iterator[str]:
        payer = "the institution" if msg.application.institution_pays else "you"
        yield f"wrote to {msg.application.candidate}: {payer} will hear of the fee"
