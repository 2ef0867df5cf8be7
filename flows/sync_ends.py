"""How syncs end, in the server's log: wherever they ran, what went wrong is told once, and that it is over, too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError

from ragline.app import Stores
from ragline.background import in_background
from ragline.connectors.records.changes import SOURCES
from ragline.connectors.records.sources import Ended

log = logging.getLogger(__name__)

TOGETHER_S = 1.0
"""Ends of one moment are read once."""


@asynccontextmanager
async def ends_told(stores: Stores) -> AsyncIterator[None]:
    """Log the ends of syncs for the length of the block."""
    async with in_background(follow(stores)):
        yield


async def follow(stores: Stores) -> None:
    """Log each end for ever; a source that fails again for the same reason is not told again."""
    known: dict[str, Ended] | None = None
    with stores.records.changes.watching(SOURCES) as told:
        while True:
            told.clear()
            try:
                ends = await stores.records.sources.ends()
            except SQLAlchemyError:  # who works on files says so
                ends = known or {}
            for name, end in ends.items():
                before = (known or {}).get(name)
                if known is not None and end != before:
                    show(name, end, failed_before=before is not None and before.error is not None)
            known = ends
            await told.wait()
            await asyncio.sleep(TOGETHER_S)


def show(name: str, end: Ended, *, failed_before: bool) -> None:
    if end.error is not None:
        log.warning("the sync of source %s failed: %s", name, end.error)
    elif end.synced_at is not None:
        log.info("synced source=%s%s", name, ", which works again" if failed_before else "")
