"""A Qdrant server for tests: the REST paths Ragline uses, answered by qdrant-client's own local engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic_core import to_jsonable_python
from qdrant_client import QdrantClient, models
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.serving import served

Answer = Callable[[QdrantClient, str, Any], object]


def _query_batch(engine: QdrantClient, name: str, body: Any) -> object:
    """Answer several searches. Which passages make a word rare, this engine does not know: it counts all."""
    return [_query(engine, name, each) for each in body["searches"]]


def _query(engine: QdrantClient, name: str, body: Any) -> object:
    wanted = models.QueryRequest.model_validate(body)
    return engine.query_points(
        name,
        query=wanted.query,
        using=wanted.using,
        query_filter=wanted.filter,
        limit=wanted.limit or 10,
        with_payload=bool(wanted.with_payload),
        with_vectors=body.get("with_vector") or False,
    )


def _retrieve(engine: QdrantClient, name: str, body: Any) -> object:
    wanted = models.PointRequest.model_validate(body)
    return engine.retrieve(
        name, wanted.ids, with_payload=bool(wanted.with_payload), with_vectors=wanted.with_vector or False
    )


def _scroll(engine: QdrantClient, name: str, body: Any) -> object:
    wanted = models.ScrollRequest.model_validate(body)
    records, offset = engine.scroll(
        name, wanted.filter, limit=wanted.limit or 10, offset=wanted.offset, with_payload=body.get("with_payload", True)
    )
    return {"points": records, "next_page_offset": offset}


def _count(engine: QdrantClient, name: str, body: Any) -> object:
    return engine.count(name, models.CountRequest.model_validate(body).filter)


def _create(engine: QdrantClient, name: str, body: Any) -> object:
    wanted = models.CreateCollection.model_validate(body)
    return engine.create_collection(name, vectors_config=wanted.vectors, sparse_vectors_config=wanted.sparse_vectors)


def _set_payload(engine: QdrantClient, name: str, body: Any) -> object:
    wanted = models.SetPayload.model_validate(body)
    assert wanted.filter is not None
    return engine.set_payload(name, wanted.payload, points=wanted.filter)


def _update_vectors(engine: QdrantClient, name: str, body: Any) -> object:
    return engine.update_vectors(name, models.UpdateVectors.model_validate(body).points)


def _delete_vectors(engine: QdrantClient, name: str, body: Any) -> object:
    wanted = models.DeleteVectors.model_validate(body)
    assert wanted.points is not None
    return engine.delete_vectors(name, wanted.vector, models.PointIdsList(points=wanted.points))


PATHS: list[tuple[str, str, Answer]] = [
    ("GET", "/exists", lambda engine, name, _: {"exists": engine.collection_exists(name)}),
    ("PUT", "", _create),
    ("GET", "", lambda engine, name, _: engine.get_collection(name)),
    ("DELETE", "", lambda engine, name, _: engine.delete_collection(name)),
    ("PUT", "/index", lambda engine, name, body: {"operation_id": 0, "status": "completed"}),
    ("PUT", "/points", lambda engine, name, body: engine.upsert(name, models.PointsList.model_validate(body).points)),
    ("POST", "/points/payload", _set_payload),
    ("PUT", "/points/vectors", _update_vectors),
    ("POST", "/points/vectors/delete", _delete_vectors),
    (
        "POST",
        "/points/delete",
        lambda engine, name, body: engine.delete(name, models.FilterSelector.model_validate(body)),
    ),
    ("POST", "/points/query/batch", _query_batch),
    ("POST", "/points", _retrieve),
    ("POST", "/points/scroll", _scroll),
    ("POST", "/points/count", _count),
]


@contextmanager
def qdrant_double(*, api_key: str = "") -> Iterator[str]:
    """Serve on a free loopback port and yield the URL; with a key, requests without it are answered 401."""
    engine = QdrantClient(":memory:")
    app = Starlette(
        routes=[
            Route("/collections", _endpoint(engine, lambda engine, _, __: engine.get_collections(), api_key)),
            *(
                Route("/collections/{name}" + path, _endpoint(engine, answer, api_key), methods=[method])
                for method, path, answer in PATHS
            ),
        ]
    )
    with served(app) as url:
        yield url
    engine.close()


def _endpoint(engine: QdrantClient, answer: Answer, api_key: str) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def endpoint(request: Request) -> JSONResponse:
        if api_key and request.headers.get("api-key") != api_key:
            return JSONResponse({"status": {"error": "Must provide an API key"}}, 401)
        name = request.path_params.get("name", "")
        if request.method == "PUT" and request.url.path.endswith(name) and engine.collection_exists(name):
            return JSONResponse({"status": {"error": f"Collection `{name}` already exists!"}}, 409)
        body = await request.json() if await request.body() else None
        result = to_jsonable_python(answer(engine, name, body))
        return JSONResponse({"result": result, "status": "ok", "time": 0.0})

    return endpoint
