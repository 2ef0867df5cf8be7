"""The event loop that an open installation lives in, reached from other threads and from other event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any, Generic, TypeAlias, TypeVar

from ragline.errors import Conflict, Unavailable

T = TypeVar("T")

Work: TypeAlias = Callable[[], Coroutine[Any, Any, T]]

AHEAD = 32
"""Pieces of a stream that are made ahead of who reads them."""


class Loop:
    """An event loop that runs in some thread. Every method raises Unavailable once it has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    @classmethod
    def running(cls) -> Loop:
        """Return the loop that this is called in."""
        return cls(asyncio.get_running_loop())

    async def there(self, work: Work[T]) -> T:
        """Return the result of `work`, done in this loop; to be cancelled is to cancel it."""
        if asyncio.get_running_loop() is self._loop:
            return await work()
        return await asyncio.wrap_future(self._begin(work))

    def wait(self, work: Work[T]) -> T:
        """Return the result of `work`, done in this loop while this thread waits. Raises Conflict in its own thread."""
        if running() is self._loop:
            raise Conflict("this would wait for the event loop that it stops: await the method for async code instead")
        future = self._begin(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise
        finally:
            del future  # an error holds this frame, and would hold itself and whoever called through it

    def items(self, make: Callable[[], AsyncGenerator[T, None]]) -> Generator[T, None, None]:
        """Yield what an async generator gives; to leave early closes it."""
        pump = self.wait(lambda: begun(make))
        try:
            while True:
                try:
                    yield self.wait(pump.next)
                except StopAsyncIteration:
                    return
        finally:
            self.wait(pump.close)

    def _begin(self, work: Work[T]) -> Future[T]:
        if not self._loop.is_running():
            raise Unavailable("what was opened has been closed: open it again")
        return asyncio.run_coroutine_threadsafe(work(), self._loop)


class Pump(Generic[T]):
    """Runs an async generator in one task, whoever takes its items: it may have timeouts around what it yields."""

    def __init__(self, make: Callable[[], AsyncGenerator[T, None]]) -> None:
        self._made: asyncio.Queue[T] = asyncio.Queue(AHEAD)
        self._task = asyncio.create_task(self._run(make))

    async def next(self) -> T:
        """Return the next item. Raises what the generator does, StopAsyncIteration after the last one."""
        getting = asyncio.create_task(self._made.get())
        try:
            await asyncio.wait({getting, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
        finally:
            getting.cancel()
        if not self._made.empty():
            return self._made.get_nowait()
        self._task.result()
        raise StopAsyncIteration

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # so that nobody is told that it was never asked for

    async def _run(self, make: Callable[[], AsyncGenerator[T, None]]) -> None:
        async with aclosing(make()) as items:
            async for item in items:
                await self._made.put(item)


async def begun(make: Callable[[], AsyncGenerator[T, None]]) -> Pump[T]:
    return Pump(make)


def running() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of this thread, None without one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
