"""What an actor process runs: the one place where its parts are built and joined.

    boot ─► import the class ─► connect ─► on_start ─► restore ─► Started
         ─► messages, until Stop, a failure, or the end of the lifeline
         ─► snapshot ─► on_stop ─► Stopped ─► what is ready to go out leaves ─► exit code

The same code runs in a thread of the user's process (`start(inproc=True)`).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from actors import classes, lastwords
from actors.actor import Actor
from actors.arrays.segment import host_key
from actors.attachments import Memory, account_of, directory_of
from actors.connection import Connection
from actors.context import Context
from actors.control import Boot, Die, Failed, Kept, Prepare, Started, Stop, Stopped, Word
from actors.failure import said_of, text_of, trace_of
from actors.lifeline import Lifeline, LifelineHandler, Words, failed
from actors.log import logger
from actors.mailbox import Timer
from actors.peer import Peer
from actors.portal import RESOLVE_TIMEOUT, START_PATIENCE, Portal, Until
from actors.pump import LoopPump
from actors.recorder import Recorder, open_page
from actors.reply import wait_in_loop
from actors.runtime import Runtime
from actors.saved import read_state
from actors.saving import Saver
from actors.spawning import decode_fields
from actors.standby import files_behind, stand_by

if TYPE_CHECKING:
    from actors.driver import Pump

FAREWELL: Final = 0.5
"""Seconds an actor that ends stays for those who have not said that they have its answer."""

LINGER: Final = 1.0
"""Seconds that what is ready to go out has to leave at a good end."""

ORPHANED: Final = 75
"""Exit code of a child whose supervisor is gone."""


def main(lifeline: socket.socket, fds: dict[str, int]) -> int:
    """Be the actor that the first word on the lifeline describes; return the exit code."""
    words = Lifeline(lifeline)
    first = words.first()
    if not isinstance(first, Boot | Prepare):
        return ORPHANED
    own_process = threading.current_thread() is threading.main_thread()
    handler = LifelineHandler(words) if own_process else None
    if handler is not None:
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel(logging.INFO)
    page = open_page(fds["recorder"])
    if own_process:
        lastwords.write_to(fds["recorder"])
    os.close(fds["recorder"])
    known, began = list(sys.modules), time.time_ns()
    try:
        cls = classes.load(first.actor)
    except UnguardedScriptError as error:  # the sentence is all there is to say
        words.say(Failed(str(error), "", starting=True))
        return 1
    except BaseException as error:  # noqa: BLE001 - importing runs user code
        words.say(failed(error, starting=True))
        return 1
    with asyncio.Runner() as runner:
        runner.get_loop()  # here, so that a spare has it in advance
        spare = isinstance(first, Prepare)
        boot = stand_by(words, files_behind(first.actor, known), began) if spare else first
        if not isinstance(boot, Boot):
            return ORPHANED
        life = Life(words, boot, own_process=own_process, host=host_key(), connect=_connect)
        code = runner.run(life.live(cls, page))
        runner.run(_cancel_others())  # first: to a handler that waits this is no failed ask
        life.let_threads_go()
        return code


async def _cancel_others() -> None:
    """Cancel what still runs, as the end of the loop would."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others)


Connect: TypeAlias = "Callable[[Portal, Boot, Callable[[], None], Callable[[float], None]], Pump]"
"""Joins a portal to the network.  The pump calls the first function after every look at it, and
the second with the time when the loop turns."""


def _connect(
    portal: Portal, boot: Boot, handle: Callable[[], None], alive: Callable[[float], None]
) -> Pump:
    connection = Connection(boot.endpoint, boot.routing_id, direct=boot.direct)
    return LoopPump(portal, connection, handle=handle, alive=alive, heartbeat=boot.heartbeat)


@final
class Life:
    """One incarnation, from its connection to its end."""

    def __init__(
        self, lifeline: Words, boot: Boot, *, own_process: bool, host: bytes, connect: Connect
    ) -> None:
        self._lifeline = lifeline
        self._boot = boot
        self._own_process = own_process
        self._host = host
        self._connect = connect
        self._stop: Stop | None = None
        self._stopping = False
        self._started = False
        """Whether `on_start` is over: only then there is something to stop in order."""
        self._code: asyncio.Future[int]
        self._actor: Actor
        self._runtime: Runtime
        self._pump: Pump
        self._saver: Saver

    async def live(self, cls: type[Actor], page: Any) -> int:
        """Run to the end; return the exit code."""
        loop = asyncio.get_running_loop()
        self._code = loop.create_future()
        boot = self._boot
        self._recorder = Recorder(page)
        self._saver = Saver(boot.name, self, self._recorder, durable=boot.durable)
        # Where actors are threads, the endpoint is no path.
        place = Path(boot.directory) if boot.directory else None
        account = account_of(place, f"{boot.name}/{boot.incarnation}")
        memory = Memory(directory_of(boot.endpoint), limit=boot.shared_memory, account=account)
        memory.report = self._recorder.shares
        peer = Peer(boot.name, boot.incarnation, host=self._host, mailbox=boot.mailbox)
        portal = Portal(peer, memory, ask_timeout=boot.ask_timeout)
        self._portal = portal
        self._pump = self._connect(portal, boot, self._turn, self._recorder.alive)
        self._lifeline.listen(self._hear)
        beginning = loop.create_task(self._begin(cls))
        try:
            code = await self._code
        finally:
            beginning.cancel()
            self._lifeline.deaf()
            self._pump.close(LINGER)
            memory.close()
        return code

    def let_threads_go(self) -> None:
        """Wake threads of the actor that wait for an answer, or they would keep the process."""
        self._portal.lose("the actor that asked has ended")

    async def _begin(self, cls: type[Actor]) -> None:
        try:
            await self._prepare(cls)
        except BaseException as error:
            if self._code.done():
                raise  # it was stopped meanwhile
            self._lifeline.say(failed(error, starting=True))
            self._finish(1)
            return
        if self._stop is not None:
            return
        self._recorder.ready()
        self._lifeline.say(Started())
        self._runtime.open = True
        self._pump.again()

    async def _prepare(self, cls: type[Actor]) -> None:
        boot, portal = self._boot, self._portal
        fields = decode_fields(cls, boot.fields, lambda address: portal.ref(address.name))
        actor = self._actor = cls(**fields)
        self._runtime = Runtime(actor, portal, recorder=self._recorder, owner=self)
        self._runtime.pump = self._pump
        actor.context = Context(portal, self)
        self._saver.begin(actor, self._runtime, self._pump)
        portal.patience = START_PATIENCE
        await self.call(actor.on_start)
        if boot.snapshot_tag:
            state = read_state(boot.snapshot_tag, boot.snapshot, lambda to: portal.ref(to.name))
            await self.call(actor.restore, state)
        portal.patience = RESOLVE_TIMEOUT
        self._started = True
        # Whoever hears that we are there may write to us at once: the broker must know us.
        await wait_in_loop(Until(portal, lambda: portal.peer.registered))

    # --- while it lives --------------------------------------------------------------------------

    def _turn(self) -> None:
        if self._code.done():
            return
        if self._started:
            try:
                self._runtime.turn()
            except Exception as error:  # noqa: BLE001 - a fault of ours: end, or messages wait for ever
                self._runtime.open = False
                text = f"the runtime itself failed: {said_of(error)}"
                self.say(Failed(text, trace_of(error), starting=False))
                self.end(1, text)
        # Before a snapshot is begun: when it is done there may be more to do, for ever.
        if self._stop is not None:
            self._stop_when_idle(self._stop)
        if self._started:
            self._saver.look(stopping=self._stopping)

    def _hear(self) -> None:
        if not self._lifeline.ready(0.0):
            return  # `save` has taken them while it waited
        words = self._lifeline.hear()
        if words is None:
            self._orphaned()
            return
        for word in words:
            if isinstance(word, Stop):
                self._stop = word
                if self._started and not word.drain:
                    self._runtime.open = False
                self._pump.again()
            elif isinstance(word, Kept):
                self._saver.kept(word)
            elif isinstance(word, Die):
                self._finish(-signal.SIGKILL)

    def _orphaned(self) -> None:
        """The supervisor is gone: so are we, and every process we have started."""
        if self._own_process:
            if os.getpgid(0) == os.getpid():
                os.killpg(0, signal.SIGKILL)
            os._exit(ORPHANED)
        self._finish(ORPHANED)

    def _stop_when_idle(self, stop: Stop) -> None:
        if not self._started:
            self._lifeline.say(Stopped(0))
            self._finish(0)
            return
        runtime = self._runtime
        waiting = len(runtime.mailbox) + len(self._portal.peer.deliveries)
        if (
            self._stopping
            or runtime.busy
            or runtime.held
            # Whoever is behind may stay so: nobody waits for that.
            or (stop.drain and waiting > runtime.mailbox.held and runtime.open)
        ):
            return
        self._stopping = True
        runtime.stop()
        # The end may run `async` hooks, so it is a task of its own.
        self._ending = asyncio.get_running_loop().create_task(self._end_well(stop, waiting))

    async def _end_well(self, stop: Stop, waiting: int) -> None:
        try:
            try:
                await self._saver.last()
                await self.call(self._actor.on_stop, stop.reason)
            except Exception as error:  # noqa: BLE001 - user code may raise anything
                logger.exception("on_stop of %s raised", self._boot.name)
                said = f"on_stop: {text_of(error)}"
                self._lifeline.say(Failed(said, trace_of(error), starting=False))
            await self._be_heard()
            self._lifeline.say(Stopped(waiting))
        finally:  # whatever a handler of the user's logging does
            self._finish(0)

    async def _be_heard(self) -> None:
        """Stay until what was answered has arrived, or for a moment.

        What has left is not there yet: when a connection ends, libzmq throws away what the other
        side has received on it and has not read.
        """
        portal = self._portal
        with portal.lock:
            portal.peer.ask_for_news()
        self._pump.flush()
        heard = Until(portal, lambda: not portal.peer.answering)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(wait_in_loop(heard), FAREWELL)

    # --- `runtime.Owner`

    def say(self, word: Word) -> None:
        """Tell the supervisor something."""
        self._lifeline.say(word)

    def end(self, code: int, reason: str) -> None:
        """A handler has raised: clean up and go."""
        if self._stopping:
            return
        self._stopping = True
        self._pump.flush()
        self._ending = asyncio.get_running_loop().create_task(self._end_badly(code, reason))

    async def _end_badly(self, code: int, reason: str) -> None:
        try:
            try:
                await self.call(self._actor.on_stop, reason)
            except Exception:  # noqa: BLE001 - user code may raise anything
                logger.exception("on_stop of %s raised", self._boot.name)
            await self._be_heard()
        finally:
            self._finish(code)

    def _finish(self, code: int) -> None:
        if not self._code.done():
            self._code.set_result(code)

    # --- `context.Keeper`

    def tell_self(self, timer: Timer, /) -> None:
        """Put a message into the actor's own mailbox."""
        self._runtime.tell_self(timer)

    def save(self, state: object) -> None:
        """Give state to the supervisor for the next incarnation."""
        self._saver.save(state)

    def progress(self) -> None:
        """The handler in progress is alive."""
        self._recorder.progress(time.monotonic())

    # --- `saving.Door`

    def listen(self, seconds: float) -> bool:
        """Wait so long for words of the supervisor and take them; false when it is gone."""
        if self._lifeline.ready(seconds):
            self._hear()
        return not self._code.done()

    async def call(self, hook: Callable[..., Any], *args: Any) -> Any:
        """Call a hook: `def` ones as plain code, so that `.result()` works in them."""
        loop = asyncio.get_running_loop()
        returned: asyncio.Future[Any] = loop.create_future()

        def call() -> None:
            if returned.done():
                return  # nobody waits for it any more
            try:
                value = hook(*args)
            except BaseException as error:  # noqa: BLE001 - goes to whoever awaits
                if isinstance(error, StopIteration):
                    error = RuntimeError("the hook raised StopIteration")
                returned.set_exception(error)
            else:
                returned.set_result(value)

        loop.call_soon(call)
        try:
            value = await returned
        except asyncio.CancelledError:
            if not returned.cancelled() and inspect.iscoroutine(returned.result()):
                # It was called, and stopped before its first step.
                returned.result().close()
            raise
        return await value if inspect.isawaitable(value) else value


class UnguardedScriptError(RuntimeError):
    """A script starts a system when it is imported."""


def script_guard() -> None:
    """Refuse to start a system while a child process imports the user's script."""
    path = classes.importing_script()
    if path:
        raise UnguardedScriptError(
            f"supervisor.start() was reached while an actor process imported {path}. "
            'Put it under `if __name__ == "__main__":`, so that importing it starts nothing.'
        )
