"""One chat of a function: its parts go from its thread to the server's event loop, and what it asks for comes back."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from typing import Any, TypeVar

from ragline.connectors.models.function_home import Home, in_thread
from ragline.connectors.models.function_wire import Part, part_of, pieces_in
from ragline.functions import Piece

T = TypeVar("T")

log = logging.getLogger(__name__)

AHEAD = 32
"""Pieces that a function may be ahead of its reader."""

Chat = Callable[[Any], object]


class FunctionFailed(Exception):
    """What a function raised, on its way between threads: SystemExit or StopIteration would do harm there."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class Gone(Exception):
    """Nobody reads the answer any more."""


class Call:
    """One chat: the function works in its home, its parts are read on the event loop that made this."""

    def __init__(self, home: Home, chat: Chat) -> None:
        self._home = home
        self._chat = chat
        self._reader = asyncio.get_running_loop()
        self._loop = home.loop
        self._parts: asyncio.Queue[Part | Exception | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(AHEAD)
        self._work: concurrent.futures.Future[None] | None = None
        self._gone = False

    def start(self, request: object) -> None:
        self._work = self._home.start(self._answer(request))

    async def next(self) -> Part | None:
        """Return the next part, None after the last one. Raises FunctionFailed, and what `break_off` was given."""
        part = await self._parts.get()
        if isinstance(part, Exception):
            raise part
        if part is not None:
            self._make_room()
        return part

    def break_off(self, error: Exception) -> None:
        """Let whoever waits for a part get this error at once."""
        self._parts.put_nowait(error)

    def leave(self) -> None:
        """Tell the function that nobody waits: it is cancelled, a plain one stops where it yields next."""
        self._gone = True
        if self._work is not None:
            self._work.cancel()
        self._make_room()

    async def there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._reader))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if not self._loop.is_closed():
                return asyncio.run_coroutine_threadsafe(work, self._loop).result()
            work.close()
            raise Gone from None
        work.close()
        raise RuntimeError("wait is for plain functions: in an async one write `await`")

    def pieces(self, events: bytes) -> Sequence[Piece]:
        return pieces_in(events)

    def _make_room(self) -> None:
        with suppress(RuntimeError):  # its home was closed
            self._loop.call_soon_threadsafe(self._room.release)

    async def _answer(self, request: object) -> None:
        """Run the function and put its end behind its parts. In its home."""
        end: FunctionFailed | None = None
        try:
            if inspect.iscoroutinefunction(self._chat) or inspect.isasyncgenfunction(self._chat):
                await self._take(self._chat(request))
            elif (rest := await self._plainly(lambda: self._chat(request))) is not None:
                await self._take(rest)
        except BaseException as error:  # noqa: BLE001  # it goes on to who reads
            # Anybody's code: SystemExit must not end the thread, nor somebody else's cancellation pass for ours.
            end = error if isinstance(error, FunctionFailed) else FunctionFailed(error)
            if self._gone:
                raise_only(end.error, asyncio.CancelledError)
                return
        with suppress(RuntimeError):  # the server has ended
            self._reader.call_soon_threadsafe(self._parts.put_nowait, end)

    async def _take(self, result: object) -> None:
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, str | Mapping) or hasattr(result, "model_dump"):
            await self._put(result)
        elif isinstance(result, AsyncIterable):
            pieces = aiter(result)
            try:
                async for piece in pieces:
                    await self._put(piece)
            finally:
                close: Callable[[], Awaitable[None]] | None = getattr(pieces, "aclose", None)
                if close is not None:
                    await close()
        elif isinstance(result, Iterable):
            await self._plainly(lambda: result)
        else:
            part_of(result)

    async def _plainly(self, make: Callable[[], object]) -> object:
        """Run code that cannot await in a thread of its own; returns what is to be awaited, None where all is put."""
        done: asyncio.Future[object] = self._loop.create_future()
        in_thread(f"function {self._home.name}", self._drain, make, done)
        rest = await done
        if isinstance(rest, FunctionFailed):
            raise rest
        return rest

    def _drain(self, make: Callable[[], object], done: asyncio.Future[object]) -> None:
        rest: object = None
        try:
            result = make()
            if inspect.isawaitable(result) or isinstance(result, AsyncIterable):
                rest = result
            elif isinstance(result, Iterable) and not isinstance(result, str | Mapping):
                with closing(result) if isinstance(result, Generator) else nullcontext():
                    for piece in result:
                        self.wait(self._put(piece))
            else:
                self.wait(self._put(result))
        except BaseException as error:  # noqa: BLE001  # it goes on to who reads
            rest = FunctionFailed(error)
        with suppress(RuntimeError):  # its home was left
            self._loop.call_soon_threadsafe(settle, done, rest)

    async def _put(self, piece: object) -> None:
        if self._gone:
            raise Gone
        part = part_of(piece)
        await self._room.acquire()
        if self._gone:
            raise Gone
        self._reader.call_soon_threadsafe(self._parts.put_nowait, part)


def settle(done: asyncio.Future[object], result: object) -> None:
    if not done.done():
        done.set_result(result)


def raise_only(error: BaseException, kind: type[BaseException]) -> None:
    """Raise the error where it is of this kind; another one, of clean-up that nobody waits for, is logged."""
    if isinstance(error, kind):
        raise error
    if not isinstance(error, Gone | GeneratorExit):
        log.warning("a function failed after its client had gone: %s", type(error).__name__, exc_info=error)
