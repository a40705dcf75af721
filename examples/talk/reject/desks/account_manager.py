"""The account manager hears of it when the instructor wants that."""

from collections.abc import Iterator

from desk import Desk
from event import ApplicationRejected


class AccountManager(Desk):
    def act(self, msg: ApplicationRejected) -> Iterator[str]:
        if msg.notify_account_manager:
            yield f"told the account manager of {msg.application.candidate}"
