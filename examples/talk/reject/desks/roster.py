"""The roster of the candidates whom the instructor knows."""

from collections.abc import Iterator

from desk import Desk
from event import ApplicationRejected


class Roster(Desk):
    def act(self, msg: ApplicationRejected) -> Iterator[str]:
        yield f"looked {msg.application.candidate} up"
        if msg.disassociate:
            yield f"struck {msg.application.candidate} off"
