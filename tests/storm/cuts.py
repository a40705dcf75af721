"""A piece of network that can be cut: what connects to it is connected to somewhere else."""

from __future__ import annotations

import asyncio
import threading
from typing import Any


class Network:
    """Forwards tcp connections, in a thread of its own."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._open: asyncio.Event | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(self._begin())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10.0)

    async def _begin(self) -> asyncio.Server:
        self._open = asyncio.Event()
        self._open.set()
        return await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def _connected(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            far, forth = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            back.transport.abort()  # nobody is there: a broker that was killed a moment ago
            return
        writers = {back, forth}
        self._writers |= writers
        try:
            await asyncio.gather(self._pump(near, forth), self._pump(far, back))
        except OSError:
            pass  # cut
        finally:
            self._writers -= writers
            for writer in writers:
                writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._open is not None
        while data := await reader.read(1 << 16):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    def cut(self) -> None:
        """Break every connection."""

        def abort() -> None:
            for writer in list(self._writers):
                writer.transport.abort()

        self._loop.call_soon_threadsafe(abort)

    def hold(self, *, still: bool) -> None:
        """Let nothing through, or everything again."""
        assert self._open is not None
        self._loop.call_soon_threadsafe(self._open.clear if still else self._open.set)

    def close(self) -> None:
        """Forward nothing more."""

        async def end() -> None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
