"""Worker processes with limits of time and memory: what hangs or bursts in one dies alone."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.popen_spawn_posix import Popen
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from pebble import ProcessExpired, ProcessPool

from ragline.config.environment import quiet_libraries
from ragline.errors import Damaged, ParseFailed, RaglineError, Unavailable

if TYPE_CHECKING:
    from ragline.config.settings import Parsing

log = logging.getLogger(__name__)

R = TypeVar("R")

TASKS_PER_WORKER = 200
"""A worker is replaced after so many tasks: the libraries that read files leak a little."""


class Workers:
    """At most `parsing.workers` processes that read one file each.

    A process starts with the first task that needs it (about half a second) and is replaced after `TASKS_PER_WORKER`
    tasks, a time-out or a crash. Each has a pool of its own, so that one that dies cannot block or break the others.
    Belongs to one event loop.
    """

    def __init__(self, parsing: Parsing) -> None:
        self._memory_mb = parsing.memory_mb
        self._slots = [_Slot(parsing.memory_mb << 20) for _ in range(parsing.workers)]
        self._free: asyncio.LifoQueue[_Slot] = asyncio.LifoQueue()  # last in, first out: a quiet server starts one
        for slot in self._slots:
            self._free.put_nowait(slot)
        self._closed = False

    async def run(self, function: Callable[..., R], *args: object, timeout_s: float, **kwargs: object) -> R:
        """Return `function(*args, **kwargs)`, computed in a worker; waits while all are busy.

        `function` is a function of a module; its arguments and its result are pickled. The time counts from the start
        of the work. Raises ParseFailed if the work takes longer, uses too much memory or
        kills its process, Unavailable once closed, and every RaglineError of the function unchanged. Cancelling ends
        the work.
        """
        slot = await self._free.get()
        try:
            if self._closed:
                raise _closed()
            task = slot.start(partial(_run, partial(function, *args, **kwargs)), timeout_s)
            try:
                return await asyncio.wrap_future(task)
            except asyncio.CancelledError:
                if self._closed and not _cancelling():
                    raise _closed() from None
                raise
            except TimeoutError:
                raise ParseFailed(
                    f"reading the file took longer than {timeout_s:g} s and was stopped; "
                    "split the file or raise parsing.time_limit_s"
                ) from None
            except (ProcessExpired, BrokenProcessPool) as error:
                log.warning("worker died: %s, exit code %s", error, getattr(error, "exitcode", "unknown"))
                raise ParseFailed(self._too_much("reading the file crashed, or used more")) from None
            except (Damaged, Unavailable):  # of the function: it may be this process that is not whole
                await asyncio.to_thread(slot.stop)
                raise
            except MemoryError:
                raise ParseFailed(self._too_much("reading the file used more")) from None
        finally:
            self._free.put_nowait(slot)

    async def close(self) -> None:
        """Kill what runs and end all processes, in under a second. Can be called twice."""
        self._closed = True
        await asyncio.gather(*(asyncio.to_thread(slot.stop) for slot in self._slots))

    def _too_much(self, what: str) -> str:
        return f"{what} than {self._memory_mb} MiB of memory; split the file or raise parsing.memory_mb"


class _Slot:
    """One worker process at a time."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._pool: ProcessPool | None = None
        self._task: Future[object] | None = None

    def start(self, call: Callable[[], R], timeout_s: float) -> Future[R]:
        """Hand `call` to the process; a pool that lost its process while idle is replaced first."""
        if self._pool is not None and not self._pool.active:
            self.stop()
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=1,
                max_tasks=TASKS_PER_WORKER,
                initializer=_set_up,
                initargs=(self._memory_bytes,),
                context=_Context(),
            )
        task: Future[R] = self._pool.schedule(call, timeout=timeout_s)
        self._task = task  # type: ignore[assignment]  # Future is invariant; only cancel() is used
        return task

    def stop(self) -> None:
        """Kill the process. Blocks for about 0.2 s."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        pool.stop()
        if self._task is not None:
            self._task.cancel()
        pool.join()


class _Process(SpawnProcess):
    """A spawned process that does not run the user's script again: a script needs no `if __name__ == "__main__"`."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:  # multiprocessing's own hook
        with _nameless_main():
            return SpawnProcess._Popen(process_obj)


class _Context(SpawnContext):
    """Spawns: fork is unsafe beside the server's threads."""

    Process = _Process  # what pebble starts


_MAIN_LOCK = threading.Lock()


@contextmanager
def _nameless_main() -> Iterator[None]:
    """Let the main module have no file for a moment, as in an interactive session: children then import nothing."""
    with _MAIN_LOCK:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _closed() -> Unavailable:
    return Unavailable("Ragline is stopping; the file will be read after the next start")


def _cancelling() -> bool:
    """True if the caller's own task is being cancelled, rather than the work it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _run(call: Callable[[], R]) -> R:
    """Runs in the worker. Errors of foreign libraries may not unpickle, so only their text travels."""
    try:
        return call()
    except (RaglineError, MemoryError):
        raise
    except Exception:  # noqa: BLE001  # the edge of the process
        raise RuntimeError(f"a worker failed:\n{traceback.format_exc()}") from None


def _set_up(memory_bytes: int) -> None:
    """Runs once in a new worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the server's business
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # dies at once, even inside a library's C code
    _limit(resource.RLIMIT_CORE, 0)
    # DATA, not AS: libraries and pandoc map address space by the gigabyte that they never touch.
    _limit(resource.RLIMIT_DATA, memory_bytes)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    quiet_libraries()


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _end_with_parent() -> None:
    """A server that was killed leaves no worker behind."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
