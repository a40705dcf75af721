"""Rejects applications: decides what becomes of one, and says so.  It knows nobody who listens."""

from event import Application, ApplicationRejected

from actors import Actor, Request, message, receive


@message
class Reject(Request[str]):
    """Answers what became of the application."""

    application: Application
    reschedule: bool = False
    notify_account_manager: bool = False
    disassociate: bool = False


@message
class Ledger:
    rejected: dict[str, ApplicationRejected]


class Registrar(Actor):
    def on_start(self) -> None:
        self.rejected: dict[str, ApplicationRejected] = {}

    def restore(self, ledger: Ledger) -> None:
        self.rejected = ledger.rejected
        for event in self.rejected.values():
            self.context.publish(event)  # the life before may have died before it could say so

    @receive
    def reject(self, msg: Reject) -> str:
        number = msg.application.number
        if number not in self.rejected:
            event = ApplicationRejected(
                msg.application, msg.reschedule, msg.notify_account_manager, msg.disassociate
            )
            self.rejected[number] = event
            self.context.save(Ledger(self.rejected))  # first on the safe side, then said
            self.context.publish(event)
        return outcome(self.rejected[number])


def outcome(event: ApplicationRejected) -> str:
    if event.application.institution_pays:
        return "deleted"
    return "rescheduled" if event.reschedule else "withdrawn"
