"""What everybody knows of a rejection: that it happened, and its circumstances."""

from actors import message


@message
class Application:
    number: str  # the key: whoever has acted upon it does not act upon it again
    candidate: str
    institution_pays: bool = False


@message(redeliver=True)  # one that a desk died of is given to its next life
class ApplicationRejected:
    application: Application
    reschedule: bool = False
    notify_account_manager: bool = False
    disassociate: bool = False
