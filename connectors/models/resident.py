"""The one language model in memory: loaded when needed, unloaded when idle, its users in line."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, TypeVar

from ragline.config.settings import EmbeddedModels
from ragline.connectors.models.gguf import Finish, Gguf
from ragline.connectors.models.pull import Weights
from ragline.errors import Unavailable
from ragline.types import Json

log = logging.getLogger(__name__)

Result = TypeVar("Result")

LEFT = Finish(reason="stop", prompt_tokens=0, completion_tokens=0)
"""How a request ends whose client left before the model began to read it."""

STOPPING = "Ragline is stopping and its embedded models with it; try again when it runs again"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model in memory; it is unloaded at `expires_at` (Unix seconds) unless it is used before."""

    weights: Weights
    gguf: Gguf
    expires_at: float


@dataclass(slots=True, eq=False)
class _Job:
    """One request: its pieces of text as they come, then its Finish or what went wrong."""

    wish: Mapping[str, Json]
    pieces: asyncio.Queue[str | Finish | BaseException] = field(default_factory=asyncio.Queue)
    gone: bool = False
    in_line: bool = True

    def refuse(self) -> None:
        """Tell the client at once that it gets no (more) answer, whatever the model still does."""
        self.gone = True
        self.pieces.put_nowait(Unavailable(STOPPING))

    def ended(self, task: asyncio.Task[Finish]) -> None:
        if task.cancelled():
            self.refuse()
        else:
            self.pieces.put_nowait(task.exception() or task.result())


_Task: TypeAlias = "asyncio.Task[Finish] | asyncio.Task[None]"


class ResidentModel:
    """Requests wait in line, first come first served: each gets all threads, and one model fits into memory."""

    def __init__(self, folder: Path, settings: EmbeddedModels) -> None:
        self.loaded: Loaded | None = None
        self._folder = folder
        self._settings = settings
        self._line = asyncio.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ragline-gguf")
        self._tasks: set[_Task] = set()
        self._jobs: set[_Job] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def answer(self, weights: Weights, wish: Mapping[str, Json]) -> AsyncGenerator[str | Finish, None]:
        """Yield the pieces of an answer as they come, its `Finish` last. Raises as `Gguf` and `Gguf.answer`.

        Closing it early, or cancelling who waits for a piece, stops the model: at its next token, or after
        `PROMPT_BATCH` tokens of the prompt; one in line leaves it at once. Raises Unavailable once `close` is called.
        """
        self._check_open()
        job = _Job(wish)
        task = self._start(self._run(job, weights))
        task.add_done_callback(job.ended)
        self._jobs.add(job)
        try:
            while not isinstance(piece := await job.pieces.get(), Finish):
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
            yield piece
        finally:
            job.gone = True
            self._jobs.discard(job)
            if job.in_line:
                task.cancel()

    async def load(self, weights: Weights) -> None:
        """Bring a model into memory before it is asked anything. Raises Unavailable once `close` is called."""
        self._check_open()
        # Shielded: a model is not forgotten halfway because its client left.
        await asyncio.shield(self._start(self._load(weights)))

    async def unload(self) -> None:
        """Give the memory back, after those in line before; the next request loads its model again."""
        async with self._line:
            await self._drop()

    async def close(self) -> None:
        """Refuse who runs and who waits, stop the model at its next token or batch, free it. Can be called again."""
        if self._closing is None:
            for job in self._jobs:
                job.refuse()
            self._stop_timer()
            self._closing = asyncio.create_task(self._end([*self._tasks]))
        # Shielded: whoever does not wait for the end leaves it to the next who calls.
        await asyncio.shield(self._closing)

    async def _end(self, tasks: Collection[_Task]) -> None:
        if tasks:
            await asyncio.wait(tasks)
        await self.unload()
        self._thread.shutdown()

    def _check_open(self) -> None:
        if self._closing is not None:
            raise Unavailable(STOPPING)

    async def _load(self, weights: Weights) -> None:
        async with self._turn():
            self._check_open()
            await self._ready(weights)

    async def _run(self, job: _Job, weights: Weights) -> Finish:
        loop = asyncio.get_running_loop()

        def deliver(text: str) -> None:
            loop.call_soon_threadsafe(job.pieces.put_nowait, text)

        async with self._turn():
            job.in_line = False
            if job.gone:
                return LEFT
            started = time.perf_counter()
            try:
                gguf = await self._ready(weights)
                load_s = time.perf_counter() - started
                if job.gone:
                    return LEFT
                finish = await self._in_thread(lambda: gguf.answer(job.wish, deliver=deliver, gone=lambda: job.gone))
            finally:
                # Where this task is cancelled, the thread is to stop too.
                job.gone = True
        return replace(finish, load_s=load_s)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait in line; afterwards the time until the model is unloaded starts anew."""
        async with self._line:
            self._stop_timer()
            try:
                yield
            finally:
                self._start_timer()

    async def _ready(self, weights: Weights) -> Gguf:
        """Return the model, loaded; another one is unloaded first, since both may not fit."""
        if self.loaded is not None and self.loaded.weights is weights:
            return self.loaded.gguf
        await self._drop()
        path = self._folder / weights.file
        context_tokens = min(self._settings.context_tokens, weights.context_tokens)
        started = time.perf_counter()
        gguf = await self._in_thread(
            lambda: Gguf(path, context_tokens=context_tokens, threads=self._settings.threads),
        )
        self.loaded = Loaded(weights, gguf, expires_at=0.0)
        log.info("model loaded id=%s seconds=%.1f", weights.id, time.perf_counter() - started)
        return gguf

    async def _drop(self) -> None:
        if self.loaded is not None:
            loaded, self.loaded = self.loaded, None
            await self._in_thread(loaded.gguf.free)
            log.info("model unloaded id=%s", loaded.weights.id)

    def _start_timer(self) -> None:
        if self.loaded is not None and self._closing is None:
            idle_s = self._settings.idle_unload_s
            self.loaded = replace(self.loaded, expires_at=time.time() + idle_s)
            self._timer = asyncio.get_running_loop().call_later(idle_s, self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        # Whoever has the turn, or waits for it, starts the timer again.
        if not self._line.locked():
            self._start(self.unload())

    def _start(self, work: Coroutine[None, None, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # type: ignore[arg-type]  # a set of tasks of either kind
        task.add_done_callback(self._tasks.discard)
        return task

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
