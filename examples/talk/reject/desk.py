"""What all desks have in common: each acts upon every rejection once, and keeps a book of it."""

from collections.abc import Iterator

from event import ApplicationRejected

from actors import Actor, Request, message, receive


@message
class Acts(Request[dict[str, list[str]]]):
    """What have you done, application by application?"""


@message
class Book:
    acts: dict[str, list[str]]


class Desk(Actor):
    def on_start(self) -> None:
        self.acts: dict[str, list[str]] = {}
        self.context.subscribe(ApplicationRejected)

    def restore(self, book: Book) -> None:
        self.acts = book.acts

    @receive
    def rejected(self, msg: ApplicationRejected) -> None:
        number = msg.application.number
        if number not in self.acts:  # heard before, from a registrar that died, or in another life
            self.acts[number] = list(self.act(msg))
            self.context.save(Book(self.acts))

    def act(self, msg: ApplicationRejected) -> Iterator[str]:
        """Do what is to be done, and say what it was."""
        raise NotImplementedError

    @receive
    def show(self, _msg: Acts) -> dict[str, list[str]]:
        return self.acts
