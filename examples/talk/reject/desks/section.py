"""The exam section has a place again."""

from collections.abc import Iterator

from desk import Desk
from event import ApplicationRejected


class Section(Desk):
    def act(self, msg: ApplicationRejected) -> Iterator[str]:
        yield f"opened the place of {msg.application.candidate}"
