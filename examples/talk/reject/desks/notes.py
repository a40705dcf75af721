"""The notes on the candidate."""

from collections.abc import Iterator

from desk import Desk
from event import ApplicationRejected


class Notes(Desk):
    def act(self, msg: ApplicationRejected) -> Iterator[str]:
        yield "noted the rejection"
        if not msg.application.institution_pays:
            yield f"noted that it is {'rescheduled' if msg.reschedule else 'withdrawn'}"
