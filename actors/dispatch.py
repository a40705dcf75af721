"""From an envelope to the message in it and the handler for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from actors.codec import Codec, codec_for
from actors.envelope import STREAM
from actors.errors import InvalidMessage, UnknownMessage
from actors.handler import Handler, HandlerKind, handlers_of
from actors.hints import imported_script, no_handler
from actors.message import class_of, tag_of

if TYPE_CHECKING:
    from actors.outcomes import Job
    from actors.portal import Portal

_SAME_CODE: Final = (
    "run the same code on both sides. After a change at a prompt or in a notebook: run the cell "
    "of the actor's class too, stop the actor, and spawn it again"
)


@final
class Dispatch:
    """The handlers of one actor, by what they handle."""

    def __init__(self, cls: type, portal: Portal) -> None:
        self._portal = portal
        self.admit: Callable[[str, type], None] | None = None
        """Called with the sender and the class of a message; may refuse with an error."""
        self._handlers = handlers_of(cls)
        self._by_tag = {tag_of(cls): handler for cls, handler in self._handlers.items()}
        """For a class that was defined again (a notebook's cell) after the actor's was."""
        self._known: dict[str, tuple[Handler, Codec, bool]] = {}
        """What `read` has found: handler, codec, and whether it is for a stream."""

    def for_class(self, cls: type) -> Handler | None:
        """Return the handler of a message class."""
        return self._handlers.get(cls) or self._by_tag.get(tag_of(cls))

    def for_tag(self, tag: str) -> Handler | None:
        """Return the handler of what has this tag; raises `UnknownMessage` for an unknown one."""
        return self._handlers.get(class_of(tag)) or self._by_tag.get(tag)

    def read(self, job: Job) -> Handler:
        """Decode the message of a job into it, and return its handler.

        Raises `MessageError`, or `AccessDenied` for who may not send it.
        """
        envelope, link = job.delivery.envelope, job.delivery.link
        handler, codec, stream = self._known.get(envelope.tag) or self._find(envelope.tag)
        cls = handler.message
        if stream != (envelope.kind == STREAM):
            raise InvalidMessage(message=cls.__name__, reason="sent as the wrong kind of message")
        if envelope.schema and envelope.schema != codec.fingerprint:
            raise InvalidMessage(
                message=cls.__name__,
                reason=f"the sender has another version of this class (schema "
                f"{envelope.schema.hex()[:16]}, here {codec.fingerprint.hex()}); {_SAME_CODE}",
            )
        if self.admit is not None:
            self.admit(link.name, cls)
        near = codec.beside and link.near(self._portal.peer.host)
        job.message = self._portal.decode(codec, envelope.payload, job.delivery.frames, near=near)
        job.handler = handler
        return handler

    def _find(self, tag: str) -> tuple[Handler, Codec, bool]:
        """Look a tag up for the first time."""
        name = self._portal.peer.name
        try:
            handler = self.for_tag(tag)
        except UnknownMessage as error:
            raise imported_script(name, tag, self._handlers) or error from None
        if handler is None:
            raise no_handler(name, tag, self._handlers)
        try:
            codec = codec_for(handler.message)
        except TypeError as error:  # it names what is defined on the sender's side only
            raise InvalidMessage(message=handler.message.__name__, reason=str(error)) from error
        stream = handler.kind in (HandlerKind.STREAM, HandlerKind.ASYNC_STREAM)
        found = self._known[tag] = (handler, codec, stream)
        return found
