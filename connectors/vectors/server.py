"""The vector store on a Qdrant server, which many Ragline processes may share."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Literal, cast

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ragline.connectors.vectors import layout
from ragline.connectors.vectors.protocol import Census, Point, Query
from ragline.errors import SetupError, Unavailable
from ragline.types import Hit, Passage, Scope, SparseVector

WRITE_POINTS = 100
"""Points sent in one request: under 10 MB even at 4096 dimensions; the server's limit is 32 MB."""


async def open_server(
    url: str, *, api_key: str | None, timeout_s: float, model_id: str, dimension: int, name: str | None = None
) -> ServerVectors:
    """Connect and make the collection for `model_id`, or that of this name, if it is not there yet.

    Raises Unavailable naming the URL when the server does not answer, SetupError when it refuses or when the
    collection's vectors have another dimension.
    """
    with _translated(url):
        client = connect(url, api_key=api_key, timeout_s=timeout_s)
        try:
            name = name or layout.store_name(model_id)
            await _prepare(client, name, dimension, where=f"{url} {name}")
        except BaseException:
            await client.close()
            raise
    return ServerVectors(client, url=url, collection=name, dimension=dimension)


def connect(url: str, *, api_key: str | None, timeout_s: float) -> AsyncQdrantClient:
    """Return a client, which asks nothing yet. Raises SetupError for what is no URL."""
    try:
        return AsyncQdrantClient(
            url=url, api_key=api_key, timeout=math.ceil(timeout_s), prefer_grpc=False, check_compatibility=False
        )
    except ValueError as error:
        raise SetupError(f"vectors.url {url!r} is not a URL of a Qdrant server: {error}") from error


@asynccontextmanager
async def connected(url: str, *, api_key: str | None, timeout_s: float) -> AsyncIterator[AsyncQdrantClient]:
    """Give a client for the length of the block, and raise its errors as ours."""
    with _translated(url):
        client = connect(url, api_key=api_key, timeout_s=timeout_s)
        try:
            yield client
        finally:
            await client.close()


async def dimension_of(client: AsyncQdrantClient, name: str) -> int | None:
    """Return the dimension of a collection's vectors, None where it is not one of ours."""
    vectors = (await client.get_collection(name)).config.params.vectors
    return vectors[layout.DENSE].size if isinstance(vectors, dict) and layout.DENSE in vectors else None


class ServerVectors:
    """A collection of the server. Every write waits until the server has applied it."""

    def __init__(self, client: AsyncQdrantClient, *, url: str, collection: str, dimension: int) -> None:
        self._client = client
        self._url = url
        self._collection = collection
        self._dimension = dimension

    async def stage(self, points: Sequence[Point], *, version: str) -> None:
        for point in points:
            layout.check_dimension(self._dimension, len(point.dense), where=self._url)
        for start in range(0, len(points), WRITE_POINTS):
            made = [_server_point(point, version) for point in points[start : start + WRITE_POINTS]]
            with _translated(self._url):
                await self._client.upsert(self._collection, made, wait=True)

    async def publish(self, file_id: str, *, version: str) -> int:
        of_version = models.Filter(must=[_is("file_id", file_id), _is("version", version)])
        shown = models.Filter(must=[of_version, _is("state", "published")])
        await self._set_payload(of_version, {"state": "published"})
        with _translated(self._url):
            return (await self._client.count(self._collection, shown, exact=True)).count

    async def drop_stale(self, file_id: str, *, keep: str) -> None:
        await self._delete(models.Filter(must=[_is("file_id", file_id)], must_not=[_is("version", keep)]))

    async def drop_version(self, file_id: str, version: str) -> None:
        await self._delete(models.Filter(must=[_is("file_id", file_id), _is("version", version)]))

    async def candidates(self, query: Query, scope: Scope, *, limit: int) -> list[Hit]:
        layout.check_dimension(self._dimension, len(query.dense), where="question")
        inside = _visible(scope)
        searches: dict[str, models.SparseVector | list[float]] = {layout.DENSE: layout.numbers(query.dense)}
        if query.sparse.indices:
            searches[layout.SPARSE] = _sparse(query.sparse)
        found = await self._search(searches, inside, inside, limit=limit)
        passages = {point.id: point for points in found.values() for point in points}
        scores = {name: {point.id: point.score for point in points} for name, points in found.items()}
        missing = {name: passages.keys() - known.keys() for name, known in scores.items()}
        for name, ids in missing.items():
            if ids:
                these = models.Filter(must=[models.HasIdCondition(has_id=list(ids))])
                rest = await self._search({name: searches[name]}, these, inside, limit=len(ids), payload=False)
                scores[name] |= {point.id: point.score for point in rest[name]}
        lexical = scores.get(layout.SPARSE, {})
        return layout.by_cosine(
            (_passage(point), scores[layout.DENSE][id], lexical.get(id, 0.0))
            for id, point in passages.items()
            if id in scores[layout.DENSE]  # it may have been deleted in between
        )

    async def _search(
        self,
        searches: Mapping[str, models.SparseVector | list[float]],
        inside: models.Filter,
        corpus: models.Filter,
        *,
        limit: int,
        payload: bool = True,
    ) -> dict[str, list[models.ScoredPoint]]:
        """Return the best points inside a filter by each named vector; words are rare in what `corpus` lets through."""
        rarity = models.SearchParams(idf=models.IdfCorpusParams(corpus=corpus))
        requests = [
            models.QueryRequest(
                query=vector,
                using=name,
                filter=inside,
                limit=limit,
                with_payload=payload,
                params=rarity if name == layout.SPARSE else None,
            )
            for name, vector in searches.items()
        ]
        with _translated(self._url):
            answers = await self._client.query_batch_points(self._collection, requests)
        return {name: answer.points for name, answer in zip(searches, answers, strict=True)}

    async def vectors(self, passage_ids: Sequence[str]) -> dict[str, Sequence[float]]:
        with _translated(self._url):
            records = await self._client.retrieve(
                self._collection, list(passage_ids), with_payload=False, with_vectors=[layout.DENSE]
            )
        return {str(record.id): cast("dict[str, list[float]]", record.vector)[layout.DENSE] for record in records}

    async def words(self, passage_ids: Sequence[str]) -> dict[str, frozenset[int]]:
        with _translated(self._url):
            records = await self._client.retrieve(
                self._collection, list(passage_ids), with_payload=False, with_vectors=[layout.SPARSE]
            )
        vectors = {str(record.id): cast("dict[str, models.SparseVector]", record.vector or {}) for record in records}
        return {
            id: frozenset(vector[layout.SPARSE].indices if layout.SPARSE in vector else ())
            for id, vector in vectors.items()
        }

    async def around(self, file_id: str, *, version: str, indices: Sequence[int]) -> list[Passage]:
        wanted = models.FieldCondition(key="index", match=models.MatchAny(any=list(indices)))
        inside = models.Filter(
            must=[_is("file_id", file_id), _is("version", version), _is("state", "published"), wanted]
        )
        return layout.in_document_order(
            [_passage(record) async for page in self._scroll(inside, fields=True) for record in page]
        )

    async def passages(self, file_id: str, *, version: str) -> list[Passage]:
        published = models.Filter(must=[_is("file_id", file_id), _is("version", version), _is("state", "published")])
        return layout.in_document_order(
            [_passage(record) async for page in self._scroll(published, fields=True) for record in page]
        )

    async def reweigh(self, words: Mapping[str, SparseVector]) -> None:
        items = list(words.items())
        for start in range(0, len(items), WRITE_POINTS):
            part = items[start : start + WRITE_POINTS]
            some = [
                models.PointVectors(id=id, vector={layout.SPARSE: _sparse(vector)})
                for id, vector in part
                if vector.indices
            ]
            none: list[models.ExtendedPointId] = [id for id, vector in part if not vector.indices]
            with _translated(self._url):
                if some:
                    await self._client.update_vectors(self._collection, some, wait=True)
                if none:
                    await self._client.delete_vectors(
                        self._collection, [layout.SPARSE], models.PointIdsList(points=none), wait=True
                    )

    async def relabel(self, file_id: str, *, name: str, collection_ids: Sequence[str]) -> None:
        payload: dict[str, object] = {"name": name, "collection_ids": list(collection_ids)}
        await self._set_payload(models.Filter(must=[_is("file_id", file_id)]), payload)

    async def delete_file(self, file_id: str) -> None:
        await self._delete(models.Filter(must=[_is("file_id", file_id)]))

    async def delete_files(self, file_ids: Sequence[str]) -> None:
        for start in range(0, len(file_ids), layout.DELETE_FILES):
            some = models.MatchAny(any=list(file_ids[start : start + layout.DELETE_FILES]))
            await self._delete(models.Filter(must=[models.FieldCondition(key="file_id", match=some)]))

    async def census(self) -> Census:
        tally = layout.Tally()
        async for page in self._scroll(None, fields=layout.CENSUS_FIELDS):
            for record in page:
                tally.add(cast("layout.Payload", record.payload))
        return tally.census()

    async def count(self) -> int:
        with _translated(self._url):
            return (await self._client.count(self._collection, exact=True)).count

    async def close(self) -> None:
        """Close the connections; the server keeps what it has. May be called again."""
        await self._client.close()

    async def _scroll(
        self, inside: models.Filter | None, *, fields: Literal[True] | list[str]
    ) -> AsyncIterator[list[models.Record]]:
        """Give all points inside the filter, page by page, with these fields of their payload."""
        offset: models.ExtendedPointId | None = None
        while True:
            with _translated(self._url):
                records, following = await self._client.scroll(
                    self._collection, inside, limit=layout.PAGE_POINTS, offset=offset, with_payload=fields
                )
            yield records
            if following is None:
                return
            offset = cast("models.ExtendedPointId", following)

    async def _set_payload(self, points: models.Filter, payload: dict[str, object]) -> None:
        with _translated(self._url):
            await self._client.set_payload(self._collection, payload, points=points, wait=True)

    async def _delete(self, points: models.Filter) -> None:
        with _translated(self._url):
            await self._client.delete(self._collection, models.FilterSelector(filter=points), wait=True)


async def _prepare(client: AsyncQdrantClient, name: str, dimension: int, *, where: str) -> None:
    """Make the collection and the payload indexes that are missing; safe when several processes start at once."""
    if not await client.collection_exists(name):
        try:
            await client.create_collection(
                name,
                vectors_config={layout.DENSE: models.VectorParams(size=dimension, distance=models.Distance.COSINE)},
                sparse_vectors_config={layout.SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                on_disk_payload=True,
            )
        except UnexpectedResponse:
            if not await client.collection_exists(name):
                raise
    info = await client.get_collection(name)
    vectors = info.config.params.vectors
    if not isinstance(vectors, dict) or layout.DENSE not in vectors:
        raise SetupError(f"{where}: this collection was not made by Ragline; rename it or use another server")
    layout.check_dimension(vectors[layout.DENSE].size, dimension, where=where)
    for field in layout.KEYWORD_FIELDS:
        if field not in info.payload_schema:
            await client.create_payload_index(name, field, models.PayloadSchemaType.KEYWORD, wait=True)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn the client's errors into ours, which name the server."""
    try:
        yield
    except ResponseHandlingException as error:
        raise Unavailable(f"the Qdrant server at {url} cannot be reached: {error.source!r}") from error
    except ResourceExhaustedResponse as error:
        raise Unavailable(f"the Qdrant server at {url} is overloaded: {error}") from error
    except UnexpectedResponse as error:
        if error.status_code in (401, 403):
            raise SetupError(f"the Qdrant server at {url} refuses vectors.api_key") from error
        if error.status_code is None or error.status_code >= 500 or error.status_code == 429:
            raise Unavailable(f"the Qdrant server at {url} failed: {error}") from error
        raise SetupError(f"the Qdrant server at {url} refused a request: {error}") from error


def _server_point(point: Point, version: str) -> models.PointStruct:
    vectors: dict[str, list[float] | models.SparseVector] = {layout.DENSE: layout.numbers(point.dense)}
    if point.sparse.indices:
        vectors[layout.SPARSE] = _sparse(point.sparse)
    return models.PointStruct(
        id=point.passage.id,
        vector=cast("models.VectorStruct", vectors),
        payload=dict(layout.staged(point, version=version)),
    )


def _sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def _passage(stored: models.Record | models.ScoredPoint) -> Passage:
    return layout.passage_of(stored.id, cast("layout.Payload", stored.payload))


def _is(field: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _visible(scope: Scope) -> models.Filter:
    """Return the filter for published points inside the scope."""
    inside = [
        models.Filter(
            should=[models.FieldCondition(key=field, match=models.MatchAny(any=values)) for field, values in clause]
        )
        for clause in layout.clauses(scope)
    ]
    return models.Filter(must=[_is("state", "published"), *inside])
