"""The vector store in this process: Qdrant's own engine on a folder, without a server."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

from qdrant_edge import (
    CountRequest,
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    FieldCondition,
    Filter,
    Fusion,
    MatchAny,
    MatchValue,
    Modifier,
    PayloadSchemaType,
    Prefetch,
    QueryRequest,
    Record,
    ScoredPoint,
    ScrollRequest,
    UpdateOperation,
)
from qdrant_edge import Point as EdgePoint
from qdrant_edge import Query as EdgeQuery
from qdrant_edge import SparseVector as EdgeSparse

from ragline.connectors.vectors import layout
from ragline.connectors.vectors.protocol import Point, Query
from ragline.errors import SetupError, Unavailable
from ragline.types import Hit, Passage, Scope, SparseVector

T = TypeVar("T")

WRITE_POINTS = 64
"""Points written in one call. The engine holds the interpreter while it works: 64 points stop it for 5 ms."""

FLUSH_POINTS = 5_000
"""Points after which the log is written into the segments: 50 ms, and a start after a crash replays no more."""

THREADS = 2


async def open_edge(folder: Path, *, model_id: str, dimension: int) -> EdgeVectors:
    """Open or make the shard for `model_id` in `folder`. Raises SetupError if another process has it open."""
    shard = await asyncio.to_thread(_open, folder / layout.store_name(model_id), dimension)
    return EdgeVectors(shard, dimension)


class EdgeVectors:
    """A shard of the engine. What a call has acknowledged is in the log and survives the death of the process.

    Calls run in threads; any number may be under way. Search is exact: the engine's `optimize`, which would build
    the graph for approximate search, stops the whole interpreter for as long as it runs and is never called.
    """

    def __init__(self, shard: EdgeShard, dimension: int) -> None:
        self._shard = shard
        self._dimension = dimension
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="vectors")
        self._unflushed = 0
        self._closed = False

    async def stage(self, points: Sequence[Point], *, version: str) -> None:
        for point in points:
            layout.check_dimension(self._dimension, len(point.dense), where="vectors")
        for start in range(0, len(points), WRITE_POINTS):
            made = [_edge_point(point, version) for point in points[start : start + WRITE_POINTS]]
            await self._update(UpdateOperation.upsert_points(made))
        self._unflushed += len(points)
        if self._unflushed >= FLUSH_POINTS:
            self._unflushed = 0
            await self._run(self._shard.flush)

    async def publish(self, file_id: str, *, version: str) -> None:
        of_file, of_version = _is("file_id", file_id), _is("version", version)
        new, stale = Filter(must=[of_file, of_version]), Filter(must=[of_file], must_not=[of_version])
        await self._update(UpdateOperation.set_payload_by_filter(new, {"state": "published"}))
        await self._update(UpdateOperation.delete_points_by_filter(stale))

    async def search(self, query: Query, scope: Scope, *, limit: int, candidates: int) -> list[Hit]:
        layout.check_dimension(self._dimension, len(query.dense), where="question")
        inside = _visible(scope)
        searches = [EdgeQuery.Nearest(layout.numbers(query.dense), layout.DENSE)]
        if query.sparse.indices:
            searches.append(EdgeQuery.Nearest(_sparse(query.sparse), layout.SPARSE))
        request = QueryRequest(
            limit=limit,
            prefetches=[Prefetch(limit=candidates, query=search, filter=inside) for search in searches],
            query=Fusion.Rrf(k=layout.RRF_K),  # type: ignore[arg-type]  # the stub forgets that it is a Fusion
            with_payload=True,
            with_vector=[layout.DENSE],
        )
        found = await self._run(self._shard.query, request)
        return layout.hits(
            (
                (_passage(point), point.score, cast("dict[str, list[float]]", point.vector)[layout.DENSE])
                for point in found
            ),
            query.dense,
        )

    async def passages(self, file_id: str) -> list[Passage]:
        published = Filter(must=[_is("file_id", file_id), _is("state", "published")])
        found: list[Passage] = []
        offset = None
        while True:
            request = ScrollRequest(offset=offset, limit=layout.PAGE_POINTS, filter=published, with_payload=True)
            records, offset = await self._run(self._shard.scroll, request)
            found += [_passage(record) for record in records]
            if offset is None:
                return layout.in_document_order(found)

    async def set_collections(self, file_id: str, collection_ids: Sequence[str]) -> None:
        payload = {"collection_ids": list(collection_ids)}
        await self._update(UpdateOperation.set_payload_by_filter(Filter(must=[_is("file_id", file_id)]), payload))

    async def delete_file(self, file_id: str) -> None:
        await self._update(UpdateOperation.delete_points_by_filter(Filter(must=[_is("file_id", file_id)])))

    async def count(self) -> int:
        return int(await self._run(self._shard.count, CountRequest(exact=True)))

    async def close(self) -> None:
        """Let the calls under way end, write everything out and free the folder. May be called again."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        self._threads.shutdown(wait=True)
        _translated(self._shard.flush)
        _translated(self._shard.close)

    async def _update(self, operation: UpdateOperation) -> None:
        await self._run(self._shard.update, operation)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        if self._closed:
            raise Unavailable("the vector store is closed: Ragline is shutting down")
        return await asyncio.get_running_loop().run_in_executor(self._threads, _translated, work, *arguments)


def _open(path: Path, dimension: int) -> EdgeShard:
    try:
        if not path.exists():
            _create(path, dimension)
        layout.check_dimension(_stored_dimension(path), dimension, where=str(path))
        return _translated(EdgeShard.load, str(path))
    except Unavailable as error:
        if "WouldBlock" in str(error):
            raise SetupError(
                f"the vectors in {str(path)!r} are in use by another Ragline process: stop it, ask it over HTTP, "
                "or set vectors.url to a Qdrant server, which many processes can share"
            ) from error
        raise SetupError(f"the vectors in {str(path)!r} cannot be opened: {error}") from error
    except OSError as error:
        raise SetupError(f"the vectors in {str(path)!r} cannot be opened: {error}") from error


def _stored_dimension(path: Path) -> int:
    """Read the dimension from the engine's own description of the shard, which it does not offer otherwise."""
    file = path / "edge_config.json"
    try:
        return int(json.loads(file.read_bytes())["vectors"][layout.DENSE]["size"])
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"the vectors in {str(path)!r} cannot be opened: {file.name} is damaged; put a copy of the folder back, "
            "or delete it and reindex"
        ) from error


def _create(path: Path, dimension: int) -> None:
    """Make an empty shard. It gets its name when it is complete: a crash leaves nothing that cannot be opened."""
    unfinished = path.with_name(path.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    config = EdgeConfig(
        vectors={layout.DENSE: EdgeVectorParams(size=dimension, distance=Distance.Cosine)},
        sparse_vectors={layout.SPARSE: EdgeSparseVectorParams(modifier=Modifier.Idf)},
    )
    shard = _translated(EdgeShard.create, str(unfinished), config)
    for field in layout.KEYWORD_FIELDS:
        _translated(shard.update, UpdateOperation.create_field_index(field, PayloadSchemaType.Keyword))
    _translated(shard.flush)
    _translated(shard.close)
    unfinished.rename(path)


def _translated(work: Callable[..., T], *arguments: object) -> T:
    """Call the engine. Its failures are bare `Exception`s, which become Unavailable; others are ours and pass."""
    try:
        return work(*arguments)
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise Unavailable(f"the vector engine failed: {error}") from error


def _edge_point(point: Point, version: str) -> EdgePoint:
    vectors: dict[str, list[float] | EdgeSparse | list[list[float]]] = {layout.DENSE: layout.numbers(point.dense)}
    if point.sparse.indices:
        vectors[layout.SPARSE] = _sparse(point.sparse)
    return EdgePoint(point.passage.id, vectors, dict(layout.staged(point, version=version)))


def _sparse(vector: SparseVector) -> EdgeSparse:
    return EdgeSparse(list(vector.indices), list(vector.values))


def _passage(stored: Record | ScoredPoint) -> Passage:
    return layout.passage_of(stored.id, cast("layout.Payload", stored.payload))


def _is(field: str, value: str) -> FieldCondition:
    return FieldCondition(field, match=MatchValue(value))


def _visible(scope: Scope) -> Filter:
    """Return the filter for published points inside the scope."""
    inside = [
        Filter(should=[FieldCondition(field, match=MatchAny(values)) for field, values in clause])
        for clause in layout.clauses(scope)
    ]
    return Filter(must=[_is("state", "published"), *inside])
