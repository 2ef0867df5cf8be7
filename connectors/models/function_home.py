"""Threads for functions: whatever one does, the server's event loop goes on, and so do the functions of other files."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

BLOCKED_S = 1.0
"""A thread that does not react within so long, after a function was silent for too long, is left to itself."""


class Home:
    """The thread of one file's functions, with an event loop. It starts with the first of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[concurrent.futures.Future[None]] = set()
        self._retired = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            in_thread(f"function {self.name}", lambda loop: live(loop, self.name), self._loop)
        return self._loop

    def start(self, work: Coroutine[Any, Any, None]) -> concurrent.futures.Future[None]:
        """Run `work` in the thread; cancel what is returned to cancel it."""
        running = asyncio.run_coroutine_threadsafe(work, self.loop)
        self._running.add(running)
        running.add_done_callback(self._ended)
        return running

    def retire(self) -> None:
        """Let what runs come to its end, then stop the thread: the file has a newer version, or is gone."""
        self._retired = True
        self._stop_if_idle()

    def close(self) -> None:
        """Cancel what runs and stop the thread."""
        for running in [*self._running]:
            running.cancel()
        self._retired = True
        self._stop()

    async def leave_if_blocked(self) -> None:
        """Have the next function run in a new thread where this one does not react: code that waits without `await`."""
        loop = self._loop
        reacted = threading.Event()
        if loop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(reacted.set)
        if await asyncio.to_thread(reacted.wait, BLOCKED_S) or self._loop is not loop:
            return
        log.error("a function of %s blocks its thread: the thread is left to itself, others get a new one", self.name)
        loop.call_soon_threadsafe(loop.stop)
        self._loop = None

    def _ended(self, running: concurrent.futures.Future[None]) -> None:
        self._running.discard(running)
        self._stop_if_idle()

    def _stop_if_idle(self) -> None:
        if self._retired and not self._running:
            self._stop()

    def _stop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            with suppress(RuntimeError):  # closed already
                loop.call_soon_threadsafe(loop.stop)


def in_thread(name: str, work: Callable[..., None], *arguments: object) -> None:
    """Run `work` in a thread that does not keep the process from ending."""
    threading.Thread(target=work, args=arguments, name=name, daemon=True).start()


def live(loop: asyncio.AbstractEventLoop, name: str) -> None:
    """Run an event loop until it is stopped, whatever happens in it, then close it."""
    asyncio.set_event_loop(loop)
    stopped = False
    while not stopped:
        try:
            loop.run_forever()
            stopped = True
        except BaseException:
            # SystemExit or KeyboardInterrupt in a task that a function made.
            log.exception("a task of a function ended its event loop, which goes on: %s", name)
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    with suppress(BaseException):
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
