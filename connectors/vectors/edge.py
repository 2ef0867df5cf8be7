"""The vector store in this process: Qdrant's own engine on a folder, without a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast
from uuid import UUID

from qdrant_edge import (
    CountRequest,
    EdgeShard,
    FieldCondition,
    Filter,
    MatchAny,
    PointVectors,
    ScrollRequest,
    UpdateOperation,
)
from qdrant_edge import Point as EdgePoint
from qdrant_edge import SparseVector as EdgeSparse

from ragline.connectors.vectors import edge_search, layout
from ragline.connectors.vectors.edge_search import equal, passage_of, sparse
from ragline.connectors.vectors.protocol import Census, Point, Query
from ragline.connectors.vectors.shard import open_shard, room_problem, translated
from ragline.errors import Unavailable
from ragline.types import Hit, Passage, Scope, SparseVector

log = logging.getLogger(__name__)

T = TypeVar("T")

WRITE_POINTS = 64
"""Points written in one call. The engine holds the interpreter while it works: 64 points stop it for 5 ms."""

FLUSH_S = 1.0
"""How long a write may stay in the log before it is written out, and how often that happens at most.

A flush stops the interpreter too: 5 ms when nothing was written, 10 to 15 ms after one file, 70 ms after 5,000 points,
longer on slow disks. Small files may be published many times a second, so it is not done for each.
"""

CENSUS_POINTS = 200
"""Points a census reads in one call: 2 ms."""

THREADS = 2


async def open_edge(folder: Path, *, model_id: str, dimension: int, name: str | None = None) -> EdgeVectors:
    """Open or make the shard for `model_id`, or that of this name, in `folder`.

    Raises SetupError if another process has it open.
    """
    path = folder / (name or layout.store_name(model_id))
    return EdgeVectors(await asyncio.to_thread(open_shard, path, dimension), dimension, path=path)


class EdgeVectors:
    """A shard of the engine. What a call has acknowledged is in the log and survives the death of the process.

    A loss of power may take what was acknowledged in the last FLUSH_S and a flush; what was written out before is
    synced and safe. Space of deleted points is not given back: only `optimize` does that.

    Calls run in threads; any number may be under way. Search is exact: the engine's `optimize`, which would build
    the graph for approximate search, stops the whole interpreter for as long as it runs and is never called.
    """

    def __init__(self, shard: EdgeShard, dimension: int, *, path: Path) -> None:
        self._shard = shard
        self._path = path
        self._dimension = dimension
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="vectors")
        self._flushing: asyncio.Task[None] | None = None
        self._written = False
        self._closed = False

    async def stage(self, points: Sequence[Point], *, version: str) -> None:
        for point in points:
            layout.check_dimension(self._dimension, len(point.dense), where="vectors")
        if problem := room_problem(self._path):
            raise Unavailable(f"{problem}: free some space; files wait until then")
        for start in range(0, len(points), WRITE_POINTS):
            made = [_edge_point(point, version) for point in points[start : start + WRITE_POINTS]]
            await self._update(UpdateOperation.upsert_points(made))

    async def publish(self, file_id: str, *, version: str) -> int:
        of_version = Filter(must=[equal("file_id", file_id), equal("version", version)])
        await self._update(UpdateOperation.set_payload_by_filter(of_version, {"state": "published"}))
        shown = Filter(must=[of_version, equal("state", "published")])
        return int(await self._run(self._shard.count, CountRequest(exact=True, filter=shown)))

    async def drop_stale(self, file_id: str, *, keep: str) -> None:
        await self._delete(Filter(must=[equal("file_id", file_id)], must_not=[equal("version", keep)]))

    async def drop_version(self, file_id: str, version: str) -> None:
        await self._delete(Filter(must=[equal("file_id", file_id), equal("version", version)]))

    async def candidates(self, query: Query, scope: Scope, *, limit: int) -> list[Hit]:
        layout.check_dimension(self._dimension, len(query.dense), where="question")
        return await self._run(edge_search.candidates, self._shard, query, scope, limit)

    async def vectors(self, passage_ids: Sequence[str]) -> dict[str, Sequence[float]]:
        ids: list[int | UUID | str] = list(passage_ids)
        records = await self._run(self._shard.retrieve, ids, False, [layout.DENSE])
        return {str(record.id): cast("dict[str, list[float]]", record.vector)[layout.DENSE] for record in records}

    async def words(self, passage_ids: Sequence[str]) -> dict[str, frozenset[int]]:
        return await self._run(edge_search.words, self._shard, passage_ids)

    async def around(self, file_id: str, *, version: str, indices: Sequence[int]) -> list[Passage]:
        wanted = FieldCondition("index", match=MatchAny(list(indices)))
        inside = Filter(
            must=[equal("file_id", file_id), equal("version", version), equal("state", "published"), wanted]
        )
        request = ScrollRequest(limit=max(1, len(indices)), filter=inside, with_payload=True)
        records, _ = await self._run(self._shard.scroll, request)
        return layout.in_document_order(passage_of(record) for record in records)

    async def passages(self, file_id: str, *, version: str) -> list[Passage]:
        published = Filter(must=[equal("file_id", file_id), equal("version", version), equal("state", "published")])
        found: list[Passage] = []
        offset = None
        while True:
            request = ScrollRequest(offset=offset, limit=layout.PAGE_POINTS, filter=published, with_payload=True)
            records, offset = await self._run(self._shard.scroll, request)
            found += [passage_of(record) for record in records]
            if offset is None:
                return layout.in_document_order(found)

    async def reweigh(self, words: Mapping[str, SparseVector]) -> None:
        items = list(words.items())
        for start in range(0, len(items), WRITE_POINTS):
            part = items[start : start + WRITE_POINTS]
            if some := [PointVectors(id, {layout.SPARSE: sparse(each)}) for id, each in part if each.indices]:
                await self._update(UpdateOperation.update_vectors(some))
            none: list[int | UUID | str] = [id for id, each in part if not each.indices]
            if none:
                await self._update(UpdateOperation.delete_vectors(none, [layout.SPARSE]))

    async def relabel(self, file_id: str, *, name: str, collection_ids: Sequence[str]) -> None:
        payload = {"name": name, "collection_ids": list(collection_ids)}
        await self._update(UpdateOperation.set_payload_by_filter(Filter(must=[equal("file_id", file_id)]), payload))

    async def delete_file(self, file_id: str) -> None:
        await self._delete(Filter(must=[equal("file_id", file_id)]))

    async def delete_files(self, file_ids: Sequence[str]) -> None:
        for start in range(0, len(file_ids), layout.DELETE_FILES):
            some = MatchAny(list(file_ids[start : start + layout.DELETE_FILES]))
            await self._delete(Filter(must=[FieldCondition("file_id", match=some)]))

    async def census(self) -> Census:
        tally = layout.Tally()
        offset = None
        while True:
            request = ScrollRequest(offset=offset, limit=CENSUS_POINTS, with_payload=layout.CENSUS_FIELDS)
            records, offset = await self._run(self._shard.scroll, request)
            for record in records:
                tally.add(cast("layout.Payload", record.payload))
            if offset is None:
                return tally.census()

    async def count(self) -> int:
        return int(await self._run(self._shard.count, CountRequest(exact=True)))

    async def close(self) -> None:
        """Let the calls under way end, write everything out and free the folder. May be called again."""
        if self._closed:
            return
        self._closed = True
        if self._flushing is not None:
            self._flushing.cancel()
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        self._threads.shutdown(wait=True)
        translated(self._shard.flush)
        translated(self._shard.close)

    async def _delete(self, points: Filter) -> None:
        await self._update(UpdateOperation.delete_points_by_filter(points))

    async def _update(self, operation: UpdateOperation) -> None:
        await self._run(self._shard.update, operation)
        self._written = True
        if self._flushing is None and not self._closed:
            self._flushing = asyncio.create_task(self._flush(), name="flush")

    async def _flush(self) -> None:
        """Write the log out until nothing was written for FLUSH_S."""
        try:
            while self._written:
                await asyncio.sleep(FLUSH_S)
                self._written = False
                await self._run(self._shard.flush)
        except Unavailable as error:  # the writes themselves stay in the log, and the next one tries again
            log.warning("vectors are not on the disk yet: %s", error)
        finally:
            self._flushing = None

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        if self._closed:
            raise Unavailable("the vector store is closed: Ragline is shutting down")
        return await asyncio.get_running_loop().run_in_executor(self._threads, translated, work, *arguments)


def _edge_point(point: Point, version: str) -> EdgePoint:
    vectors: dict[str, list[float] | EdgeSparse | list[list[float]]] = {layout.DENSE: layout.numbers(point.dense)}
    if point.sparse.indices:
        vectors[layout.SPARSE] = sparse(point.sparse)
    return EdgePoint(point.passage.id, vectors, dict(layout.staged(point, version=version)))
