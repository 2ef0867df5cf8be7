"""A source that left the settings is forgotten: its files are deleted, or kept as if somebody had uploaded them."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from ragline.app import Stores
from ragline.connectors.records.portions import portions
from ragline.connectors.records.sources import this_process
from ragline.errors import Conflict, NotFound


async def left_over(stores: Stores) -> list[str]:
    """Return the names of sources that were synced once and are not in the settings any more, sorted."""
    named = {source.name for source in stores.settings.sources}
    return [name for name in sorted(await stores.records.sources.ends()) if name not in named]


async def forget(stores: Stores, name: str, *, keep_files: bool = False) -> int:
    """Forget a source and return how many files it had. Cut short by a crash, it goes on when it is called again.

    The files are gone from every search at once. Raises NotFound for a name that never was synced, Conflict for a
    source that is in the settings, or that is being synced.
    """
    if any(source.name == name for source in stores.settings.sources):
        raise Conflict(f"source {name!r} is in the settings: its next sync would take all in again; take it out first")
    sources = stores.records.sources
    known = sorted(await sources.ends())
    if name not in known:
        raise NotFound(f"no source {name!r} was ever synced here; known: {', '.join(known) or 'none'}")
    user = await stores.records.users.first_admin()
    if user is None:
        raise NotFound("there is no administrator, so nothing was ever synced here")
    lease = await sources.begin(name, this_process())
    try:
        files = await sources.file_ids(name, user.id)
        for some in portions(files):
            await sources.renew(name, lease)
            if keep_files:
                await stores.records.files.release(some)
            else:
                await stores.records.removals.add(some)
        await sources.forget(name, lease)
    except BaseException:
        with suppress(Conflict, SQLAlchemyError):
            await sources.finish(name, lease, fingerprint=None, error="it was being forgotten")
        raise
    memory = stores.settings.data_dir / "sources" / name
    await asyncio.to_thread(shutil.rmtree, memory, ignore_errors=True)
    return len(files)
