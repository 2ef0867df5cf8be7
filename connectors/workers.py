"""Worker processes behind walls: what hangs, bursts or attacks in one dies alone."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from ragline.connectors.confined import Outcome, Walls
from ragline.connectors.warden import Died, Idle, Warden
from ragline.connectors.watch import Stopped, over_cpu
from ragline.errors import Damaged, ParseFailed, Unavailable

if TYPE_CHECKING:
    from ragline.config.settings import Parsing

log = logging.getLogger(__name__)

R = TypeVar("R")

TASKS_PER_WORKER = 200
"""A worker is replaced after so many tasks: the libraries that read files leak a little."""


class Workers:
    """At most `parsing.workers` processes that read one file each.

    A process starts with the first task that needs it (about half a second) and is replaced after TASKS_PER_WORKER
    tasks, or when something went wrong in it. It has no network, sees the one file it reads, and writes to a folder of
    its own, which is emptied after each task. Belongs to one event loop.
    """

    def __init__(self, parsing: Parsing, *, home: Path | None = None) -> None:
        """`home` is the data folder: nothing in it can be seen by workers but what they are given to read."""
        self._parsing = parsing
        home = home.resolve() if home else None
        self._slots = [_Slot(parsing, home) for _ in range(parsing.workers)]
        self._free: asyncio.LifoQueue[_Slot] = asyncio.LifoQueue()  # last in, first out: a quiet server starts one
        for slot in self._slots:
            self._free.put_nowait(slot)
        self._closed = False

    async def run(self, function: Callable[..., R], *args: object, timeout_s: float, **kwargs: object) -> R:
        """Return `function(*args, **kwargs)`, computed in a worker; waits while all are busy.

        `function` is a function of a module; its arguments are pickled, and each that is the Path of a file is one it
        may read. Its result is plain data, or data classes and enums of Ragline and of the function's package. The time
        counts from the start of the work. Raises ParseFailed if the work takes longer, takes more than it may or kills
        its process, Unavailable once closed, and every RaglineError of the function unchanged. Cancelling ends the
        work.
        """
        slot = await self._free.get()
        try:
            if self._closed:
                raise _closed()
            outcome = await self._outcome(slot, function, args, kwargs, timeout_s)
        finally:
            self._free.put_nowait(slot)
        if outcome.error is not None:
            raise outcome.error
        if outcome.memory:
            raise ParseFailed(self._too_much("reading the file used more"))
        if outcome.fault:
            raise RuntimeError(f"a worker failed:\n{outcome.fault}")
        return cast(R, outcome.value)

    async def walls(self) -> Walls:
        """Return what the kernel refuses to workers here; starts one where none runs. Raises Unavailable."""
        slot = await self._free.get()
        try:
            return (await slot.ready()).walls
        finally:
            self._free.put_nowait(slot)

    async def close(self) -> None:
        """Kill what runs, end all processes and remove their folders. Can be called twice."""
        self._closed = True
        await asyncio.gather(*(slot.stop() for slot in self._slots))

    async def _outcome(
        self,
        slot: _Slot,
        function: Callable[..., object],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        timeout_s: float,
    ) -> Outcome:
        try:
            return await slot.ask(function, args, kwargs, timeout_s)
        except TimeoutError:
            raise ParseFailed(
                f"reading the file took longer than {timeout_s:g} s and was stopped; "
                "split the file or raise parsing.time_limit_s"
            ) from None
        except Stopped as stopped:
            raise ParseFailed(str(stopped)) from None
        except Died as died:
            if self._closed:
                raise _closed() from None
            log.warning("worker died with code %s", died.code)
            if died.code == -signal.SIGXCPU:
                raise ParseFailed(over_cpu(self._parsing)) from None
            raise ParseFailed(self._too_much("reading the file crashed, or used more")) from None

    def _too_much(self, what: str) -> str:
        return f"{what} than {self._parsing.memory_mb} MiB of memory; split the file or raise parsing.memory_mb"


class _Slot:
    """One worker process at a time."""

    def __init__(self, parsing: Parsing, home: Path | None) -> None:
        self._parsing, self._home = parsing, home
        self._warden: Warden | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def ready(self) -> Warden:
        """Return a process that waits for work, a new one where there is none or it has worked enough."""
        if self._warden is not None and not (self._warden.alive and self._warden.tasks < TASKS_PER_WORKER):
            await self._end()
        if self._warden is None:
            self._warden = await Warden.start(self._parsing, self._home)
        if self._closed:
            await self._end()
            raise Died(None)
        return self._warden

    async def ask(
        self, function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object], timeout_s: float
    ) -> Outcome:
        """Return what became of the call. Raises TimeoutError, Stopped, Died; then the process is gone."""
        whole = False
        try:
            try:
                outcome = await (await self.ready()).ask(function, args, kwargs, timeout_s)
            except Idle:  # it died while it had nothing to do
                await self._end()
                outcome = await (await self.ready()).ask(function, args, kwargs, timeout_s)
            # After these errors it may be the process that is not whole.
            whole = outcome.tidy and not outcome.memory and not isinstance(outcome.error, (Damaged, Unavailable))
            return outcome
        except Idle:
            raise Died(None) from None
        finally:
            if not whole:
                await self._end()

    async def stop(self) -> None:
        self._closed = True
        await self._end()
        await asyncio.gather(*self._ending)

    async def _end(self) -> None:
        warden, self._warden = self._warden, None
        if warden is not None:
            ending = warden.end()
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)


def _closed() -> Unavailable:
    return Unavailable("Ragline is stopping; the file will be read after the next start")
