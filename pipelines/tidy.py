"""What is stored of a file is brought in line with its record: names, collections, one version; or nothing at all."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence

from sqlalchemy.exc import SQLAlchemyError

from ragline.app import App
from ragline.connectors.blobs import text_key
from ragline.connectors.records.removals import Removal
from ragline.errors import RaglineError
from ragline.types import FileRecord, Status

log = logging.getLogger(__name__)

TIDY_FILES = 200
"""Files taken in one go."""


async def tidy(app: App, file_id: str) -> None:
    """Bring the passages of a file in line, also with what changes meanwhile. A file that is gone needs nothing.

    While a version of it is on its way, the passages that answer follow, and the rest waits for its end.
    """
    async with app.locks.of(file_id):
        while (file := (await app.records.files.named([file_id])).get(file_id)) is not None and file.untidy:
            collections = await app.records.collections.of_file(file_id)
            await app.vectors.relabel(file_id, name=file.filename, collection_ids=collections)
            if file.status is Status.PROCESSING:
                return  # a version is on its way, perhaps staged with what was true before: again at its end
            if file.status is not Status.PENDING:
                await drop_others(app, file)
            await app.records.files.tidied(file_id, file.untidy)


async def drop_others(app: App, file: FileRecord) -> None:
    """Delete what is stored of versions that do not answer. If another process made one meanwhile, it is made again."""
    await app.vectors.drop_stale(file.id, keep=file.version or "")
    if file.status is Status.COMPLETED and file.version:
        await forget(app, file.id, but=file.version)
    after = (await app.records.files.named([file.id])).get(file.id)
    if after is not None and after.version != file.version:
        log.warning("a version of file=%s may have been deleted while it came: ingesting it again", file.id)
        await app.records.queue.again(file.id)


async def remove(app: App, file_ids: list[str]) -> list[str]:
    """Delete files: from the records at once, all or none, then everything that is stored of them.

    Returns the ids of those that were there. What a crash leaves is swept away later.
    """
    removed = await app.records.removals.add(file_ids)
    await each([(removal.file_id, sweep(app, removal)) for removal in await app.records.removals.of(removed)])
    return removed


async def sweep(app: App, removal: Removal) -> None:
    """Delete vectors, bytes and cached embeddings of a file that is gone from the records; may be repeated."""
    await app.vectors.delete_file(removal.file_id)
    for key in removal.blobs:
        await app.blobs.delete(key)
    if removal.settled:  # else what is still being written for it would come after
        await forget(app, removal.file_id)
        await app.records.removals.finish(removal.file_id)


async def forget(app: App, file_id: str, *, but: str | None = None) -> None:
    """Delete the texts and the cached embeddings of a file's versions, those of attempts that died included."""
    for version in await app.records.embeddings.versions(file_id):
        if version != but:
            await app.blobs.delete(text_key(file_id, version))
    await app.records.embeddings.forget(file_id, but=but)


async def keep_tidy(app: App) -> int:
    """Do what is left to do of removals and changes, and return how many files there were."""
    removals = [each for each in await app.records.removals.waiting(limit=TIDY_FILES) if each.settled]
    done = await each([(removal.file_id, sweep(app, removal)) for removal in removals])
    untidy = await app.records.files.untidy(limit=TIDY_FILES)
    return done + await each([(file_id, tidy(app, file_id)) for file_id in untidy])


async def each(work: Sequence[tuple[str, Coroutine[None, None, None]]]) -> int:
    """Do this for each file, and return for how many it was done: one that fails is tried again later."""
    done = 0
    try:
        for file_id, doing in work:
            try:
                await doing
                done += 1
            except (RaglineError, SQLAlchemyError, OSError) as error:
                log.warning("not brought in line yet: file=%s: %s", file_id, error)
    finally:
        for _, doing in work:
            doing.close()  # those that a cancellation left out
    return done
