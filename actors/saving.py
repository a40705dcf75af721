"""The state that an incarnation leaves to the next: when it is taken, how it travels.

    context.save(state) ──┐                                     in its memory
                          ├─► Saved on the lifeline ─► supervisor ┤
    snapshot(), when due ─┘                                     └ on disk ─► Kept ─► `save` returns

Where states are on disk, `save` waits until this one is; a snapshot does not.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import threading
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from actors.actor import Actor
from actors.agreement import evaluated, surely_differ
from actors.control import Kept, Saved, Word
from actors.errors import MessageError
from actors.failure import said_of
from actors.log import logger
from actors.saved import pack_state, state_codec, why
from actors.wire.carrier import FrameCarrier

if TYPE_CHECKING:
    from actors.codec import Codec
    from actors.driver import Pump
    from actors.recorder import Recorder
    from actors.runtime import Runtime

LARGEST_STATE: Final = 48 << 20
"""Bytes that fit through a lifeline, with room to spare."""

READ_BACK: Final = 1 << 20
"""Bytes beside arrays up to which a state is read back at once; that takes as long as saving it."""

DISK_SECONDS: Final = 30.0
"""Seconds `save` waits for the disk; then it returns, and says so in the log."""

LOOK_SECONDS: Final = 0.5


QUIET: Final = 60.0
"""Seconds in which no second failure of snapshots is said, whatever comes between."""


class Door(Protocol):
    """What is needed of the life around."""

    def say(self, word: Word, /) -> None:
        """Tell the supervisor something."""
        ...

    def listen(self, seconds: float, /) -> bool:
        """Wait so long for words of the supervisor and take them; false when it is gone."""
        ...

    async def call(self, hook: Callable[..., Any], /, *args: Any) -> Any:
        """Call one of the actor's hooks."""
        ...


@final
class Trouble:
    """What is said of something that fails again and again, and no more than that.  Pure."""

    def __init__(self) -> None:
        self._reason = ""
        """Said last, of a failure that goes on."""
        self._quiet_until = -math.inf

    def failed(self, reason: str, now: float) -> bool:
        """It failed; return whether to say so."""
        if reason == self._reason or now < self._quiet_until:
            return False
        self._reason, self._quiet_until = reason, now + QUIET
        return True

    def worked(self) -> bool:
        """It did not fail; return whether to say that it works again."""
        again, self._reason = bool(self._reason), ""
        return again


@final
class Saver:
    """Saves the state of one incarnation, and reads that of the one before."""

    def __init__(self, name: str, door: Door, recorder: Recorder, *, durable: bool) -> None:
        self._name = name
        self._door = door
        self._recorder = recorder
        self._durable = durable
        """Whether the supervisor keeps states on disk."""
        self._home = threading.get_ident()
        self._said = 0
        self._kept = 0
        self._news = threading.Condition()
        self._actor: Actor
        self._runtime: Runtime
        self._pump: Pump
        self._takes = False
        self._taken_at = time.monotonic()
        self._taken_count = 0
        self._planned = False
        self._trouble = Trouble()

    def begin(self, actor: Actor, runtime: Runtime, pump: Pump) -> None:
        """The actor is there."""
        self._actor, self._runtime, self._pump = actor, runtime, pump
        self._takes = type(actor).snapshot is not Actor.snapshot

    # --- saving

    def save(self, state: object) -> None:
        """Give state to the supervisor; where it is kept on disk, return once it is there."""
        number = self._give(state)
        if self._durable:
            self._wait(number)

    def _give(self, state: object) -> int:
        if self._in_vain:
            raise TypeError(self._in_vain)
        codec = state_codec(state)
        if surely_differ(type(state), [self._restored]):
            raise TypeError(
                f"{type(self._actor).__qualname__}.restore takes {_shown(self._restored)}, not the "
                f"{type(state).__qualname__} that is saved. Let the two agree, or the next "
                "incarnation fails with it."
            )
        carrier = FrameCarrier()
        payload = codec.encode(state, carrier)
        self._read_back(codec, payload, carrier)
        data = pack_state(type(state), payload, carrier.frames)
        if len(data) > LARGEST_STATE:
            raise ValueError(
                f"state of {len(data) >> 20} MiB is too large to be kept for the next incarnation "
                f"(at most {LARGEST_STATE >> 20} MiB): save less, or write it to a file yourself."
            )
        with self._news:
            self._said += 1
            number = self._said
        self._door.say(Saved(codec.tag, data, number if self._durable else 0))
        return number

    @cached_property
    def _restored(self) -> Any:
        """What `restore` takes, as far as its annotation says so."""
        hook = self._actor.restore
        try:
            # Its own: a decorator may give what it wraps something else.
            taken = next(iter(inspect.signature(hook, follow_wrapped=False).parameters.values()))
            unsaid = taken.annotation is inspect.Parameter.empty
            return Any if unsaid else evaluated(taken.annotation, type(self._actor), hook, {})
        except Exception:  # noqa: BLE001 - annotations are code, and may raise anything
            return Any

    @property
    def _in_vain(self) -> str:
        """Why no state need be saved; "" when it is restored."""
        cls = type(self._actor)
        if cls.restore is not Actor.restore:
            return ""
        return (
            f"{cls.__qualname__} has no restore, so the state it saves would be lost without "
            f"a word. Write def restore(self, state) in {cls.__qualname__}: the next "
            "incarnation calls it after on_start."
        )

    def _read_back(self, codec: Codec, payload: bytes, carrier: FrameCarrier) -> None:
        """Refuse now what would be found out when the actor has died; no array is copied."""
        if len(payload) > READ_BACK:
            return
        again = FrameCarrier(carrier.frames, bind=lambda to: self._actor.context.actor(to.name))
        try:
            codec.decode(payload, again)
        except MessageError as error:
            raise ValueError(
                f"no next incarnation could read this state: {why(error)}. Validators and "
                "converters run again there: save what they accept."
            ) from error

    def kept(self, word: Kept) -> None:
        """The supervisor says that a state, and all before it, is where it shall be."""
        with self._news:
            self._kept = max(self._kept, word.number)
            self._news.notify_all()

    def _wait(self, number: int) -> None:
        end = time.monotonic() + DISK_SECONDS
        while self._kept < number and (now := time.monotonic()) < end:
            if threading.get_ident() != self._home:
                with self._news:
                    self._news.wait_for(lambda: self._kept >= number, LOOK_SECONDS)
                continue
            self._recorder.alive(now)
            if not self._door.listen(LOOK_SECONDS):
                return
        if self._kept < number:
            text = "the state that %s saved is not on disk after %g s; it is in memory only"
            logger.error(text, self._name, DISK_SECONDS)

    # --- snapshots

    def look(self, *, stopping: bool) -> None:
        """Between two messages: take a snapshot if one is due."""
        if not self._takes or self._runtime.busy or self._runtime.handled == self._taken_count:
            return
        now = time.monotonic()
        due = self._taken_at + self._actor.snapshot_seconds
        if now < due:
            if not self._planned:
                self._planned = True
                asyncio.get_running_loop().call_later(due - now, self._time)
        elif not self._runtime.held and not stopping:
            self._runtime.held = True
            self._taking = asyncio.get_running_loop().create_task(self._take_between())

    def _time(self) -> None:
        self._planned = False
        self._pump.again()

    async def _take_between(self) -> None:
        """Take a snapshot while the next message waits."""
        try:
            await self._take()
        finally:  # a snapshot may end as cancelled, too
            self._runtime.held = False
            self._pump.again()

    async def last(self) -> None:
        """Take a snapshot at the end, of what no other has seen."""
        if self._takes and self._runtime.handled > self._taken_count:
            await self._take(last=True)

    async def _take(self, *, last: bool = False) -> None:
        self._taken_count = self._runtime.handled
        self._taken_at = time.monotonic()
        self._recorder.engage(1)
        try:
            state = await self._door.call(self._actor.snapshot)
            if state is not None and self._in_vain:
                self._takes = False
                logger.error("%s. No more snapshots are taken", self._in_vain.rstrip("."))
            elif state is not None:
                self._give(state)
        except Exception as error:  # noqa: BLE001 - user code may raise anything
            said = said_of(error)
            # The last one of a life is the one that the next would have begun with.
            if self._trouble.failed(said, math.inf if last else self._taken_at):
                text = "snapshot of %s raised %s; the previous one is kept"
                logger.exception(text, self._name, said)
        else:
            if self._trouble.worked() and self._takes:
                logger.info("snapshot of %s works again", self._name)
        finally:
            self._recorder.engage(-1)


def _shown(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
