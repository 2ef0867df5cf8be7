"""One thread for a model's calls: the most urgent call next, so that a question never waits behind a whole ingest."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from typing import Any, TypeVar

from ragline.errors import Unavailable

T = TypeVar("T")


class Urgency(IntEnum):
    """Who is served first: lower is sooner, the same in order of arrival."""

    QUERY = 0
    PASSAGES = 1
    STOP = 2


class Turns:
    """Runs short functions one at a time in a daemon thread of its own, for callers of any event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: queue.PriorityQueue[tuple[Urgency, int, Callable[[], bool]]] = queue.PriorityQueue()
        self._arrivals = itertools.count()
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None

    async def run(self, urgency: Urgency, function: Callable[[], T]) -> T:
        """Return what `function` returns; cancelled before its turn it is not called. Raises Unavailable if closed."""
        future: Future[T] = Future()

        def take_turn() -> bool:
            _settle(future, function)
            return True

        with self._lock:
            if self._closed:
                raise Unavailable(f"{self._name} is closed: the server is stopping.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._queue.put((urgency, next(self._arrivals), take_turn))
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Finish the calls that wait, then end the thread. May be repeated."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
            self._queue.put((Urgency.STOP, next(self._arrivals), lambda: False))
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _work(self) -> None:
        while self._queue.get()[2]():
            pass


def _settle(future: Future[Any], function: Callable[[], Any]) -> None:
    """Call the function and hand its result, or whatever it raised, to the one who waits."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001 # the waiter raises it; this thread must live on
        future.set_exception(error)
