"""What happened in a run: the chart is drawn from it, and two runs are compared by it.

Messages are kept as they were sent and become text only when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, final

from actors.codec import codec_for
from actors.envelope import Envelope, Kind
from actors.errors import ActorError, unpack_error
from actors.message import class_name, class_of
from actors.ref import ActorRef
from actors.verbs import answer_codec
from actors.wire.carrier import FrameCarrier

if TYPE_CHECKING:
    from actors.address import Address
    from actors.testing.world import World

LONGEST: Final = 200
"""Characters of one message as text."""


class Passed(NamedTuple):
    """A message that arrived, or should have."""

    when: float
    number: int
    """In the run; deviations name it."""
    source: str
    target: str
    letters: tuple[tuple[str, Envelope], ...]
    """Each with the tag of its class; an answer with that of its request."""
    fate: str
    """What went wrong with it; "" when nothing did."""


What: TypeAlias = Literal["start", "crash", "end", "save", "note", "fault"]


class Happened(NamedTuple):
    """Something that happened to one party, or ("" for `who`) to all."""

    when: float
    what: What
    who: str
    text: str


Event: TypeAlias = Passed | Happened


@final
class Trace:
    """Everything that happened, in order."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.events: list[Event] = []
        self.closed = False
        """The verdict is there: what is cut off now has no part in it."""

    def passed(
        self,
        number: int,
        source: str,
        target: str,
        letters: tuple[tuple[str, Envelope], ...],
        fate: str,
    ) -> None:
        """A message arrived, or was lost."""
        self.events.append(Passed(self._world.now, number, source, target, letters, fate))

    def happened(self, what: What, who: str, text: str = "") -> None:
        """Something happened to a party."""
        if not self.closed:
            self.events.append(Happened(self._world.now, what, who, text))

    def note(self, who: str, text: str) -> None:
        """A remark."""
        self.happened("note", who, text)


def lines_of(events: Iterable[Event]) -> str:
    """Return one line for each event: equal for equal runs, whatever the interpreter."""
    return "\n".join(map(line_of, events))


def line_of(event: Event) -> str:
    """Return an event as a line."""
    if isinstance(event, Happened):
        return f"{event.when:.6f} {event.who or '*'}: {event.what} {event.text}".rstrip()
    said = "; ".join(text_of(tag, envelope) for tag, envelope in event.letters)
    fate = f"  [{event.fate}]" if event.fate else ""
    return f"{event.when:.6f} #{event.number} {event.source} -> {event.target}: {said}{fate}"


def name_of(tag: str, envelope: Envelope) -> str:
    """Return a short name for a message: its class, or what kind of answer it is."""
    name = class_name(tag)
    match envelope.kind:
        case Kind.REPLY:
            return f"{name} reply"
        case Kind.FAILURE:
            return f"{name} failed"
        case Kind.ITEM:
            return f"{name} item"
        case Kind.END:
            return f"{name} end"
        case _:
            return name


def text_of(tag: str, envelope: Envelope) -> str:
    """Return a message, or an answer, as text."""
    if envelope.kind == Kind.FAILURE:
        return f"{name_of(tag, envelope)}: {_failure(envelope)}"
    if envelope.kind == Kind.END:
        return name_of(tag, envelope)
    answer = envelope.kind in (Kind.REPLY, Kind.ITEM)
    text = _shortened(lambda: _decode(tag, envelope, answer=answer))
    return f"{name_of(tag, envelope)} {text}" if answer else text


def _failure(envelope: Envelope) -> str:
    error = unpack_error(envelope.payload)
    kind = getattr(error, "type_name", type(error).__name__)
    return f"{kind}: {getattr(error, 'text', str(error))}"[:LONGEST]


def _decode(tag: str, envelope: Envelope, *, answer: bool) -> Any:
    carrier = FrameCarrier(bind=_bind)
    cls = class_of(tag)
    if answer:
        return answer_codec(cls).decode(envelope.payload, carrier)
    return codec_for(cls).decode(envelope.payload, carrier)


def _bind(address: Address) -> ActorRef:
    return ActorRef(address.name, None)


def _shortened(value: Callable[[], Any]) -> str:
    try:
        text = repr(value())
    except (ActorError, ValueError, TypeError) as error:
        text = f"({type(error).__name__})"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
