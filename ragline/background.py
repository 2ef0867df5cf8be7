"""Tasks that run for the length of a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

STOP_S = 5.0
"""How long a task may take to end before it is told once more."""


@asynccontextmanager
async def in_background(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run these for the length of the block; then they are cancelled and waited for.

    One that goes on all the same is told again: a library may have swallowed the first cancellation.
    """
    tasks = [asyncio.create_task(each, name=each.__name__) for each in work]
    try:
        yield
    finally:
        running = set(tasks)
        while running:
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=STOP_S)
        await asyncio.gather(*tasks, return_exceptions=True)  # else asyncio complains of errors that nobody saw
