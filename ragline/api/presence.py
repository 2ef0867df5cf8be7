"""Work that is only worth doing while somebody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from fastapi import Request

from ragline.errors import ClientGone, RaglineError

T = TypeVar("T")


async def while_present(request: Request, work: Awaitable[T]) -> T:
    """Return the result of `work`, or cancel it and raise ClientGone. The request's body must have been read."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(leave_of(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone("the client has gone")
        return task.result()
    finally:
        for pending in (task, gone):
            pending.cancel()
            with suppress(asyncio.CancelledError, RaglineError):
                await pending


async def leave_of(request: Request) -> None:
    """Wait until the client disconnects."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
