"""Retrieval by itself: search without a chat, and texts, pages and files made searchable in one call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from fastapi import APIRouter, Request

from ragline.api.caller import Administrator, Caller, Installation
from ragline.api.presence import while_present
from ragline.api.processing import FILE, process_batch, process_known, process_new, process_page, writable
from ragline.api.strict_json import StrictRoute
from ragline.api.wire_retrieval import (
    Batch,
    BatchDone,
    CollectionsQuery,
    DocumentPassages,
    DocumentQuery,
    EmbeddingConfig,
    KnownFile,
    Leaving,
    Left,
    NewPage,
    NewText,
    Passages,
    Processed,
    Query,
    RetrievalConfig,
)
from ragline.app import App
from ragline.config.masking import masked
from ragline.pipelines.parse import SUPPORTED
from ragline.pipelines.tidy import tidy
from ragline.retrieval.search import search_in
from ragline.retrieval.sources import embedding_config, of_file, place
from ragline.types import CollectionRef, FileRef, Hit, Ref, User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/retrieval", tags=["retrieval"])


@router.post("/query/doc")
async def query_document(request: Request, body: DocumentQuery, app: Installation, user: Caller) -> DocumentPassages:
    """Return the passages of a file or a collection that are nearest to a query."""
    hits = await while_present(request, found(app, body, [body.collection_name], user))
    return DocumentPassages(ids=[[hit.passage.id for hit in hits]], **dict(await listed(app, hits)))


@router.post("/query/collection")
async def query_collections(request: Request, body: CollectionsQuery, app: Installation, user: Caller) -> Passages:
    """Return the passages of several files and collections together that are nearest to a query."""
    return await listed(app, await while_present(request, found(app, body, body.collection_names, user)))


@router.post("/process/text")
async def process_text(request: Request, body: NewText, app: Installation, user: Caller) -> Processed:
    """Store a text as a file, and answer when it can be searched.

    The same text of the same name in the same collection is stored once. Without a collection it is found under
    `file-` and its id.
    """
    return noted(request, await while_present(request, process_new(app, body, user)))


@router.post("/process/web")
async def process_web(request: Request, body: NewPage, app: Installation, user: Caller) -> Processed:
    """Fetch a page of the public web and store it as a file with its `url`; answer when it is searchable."""
    return noted(request, await while_present(request, process_page(app, body, user)))


@router.post("/process/file")
async def process_file(request: Request, body: KnownFile, app: Installation, user: Caller) -> Processed:
    """Answer when a file can be searched: put into a collection first, or with `content` in the place of its text.

    One that was only stored is processed now, and one that failed is tried again.
    """
    return noted(request, await while_present(request, process_known(app, body, user)))


@router.post("/process/files/batch")
async def process_files(request: Request, body: Batch, app: Installation, user: Caller) -> BatchDone:
    """Put files into a collection; those that the caller may not put there are listed under `errors`."""
    return await while_present(request, process_batch(app, body, user))


@router.post("/delete")
async def leave(body: Leaving, app: Installation, user: Caller) -> Left:
    """Take a file out of a collection; the file stays."""
    collection_id = await writable(app, body.collection_name, user)
    await app.records.files.visible(body.file_id, user)
    left = await app.records.collections.unlink(collection_id, [body.file_id])
    await tidy(app, body.file_id)
    return Left(status=bool(left))


@router.get("/config")
async def config(app: Installation, _: Administrator) -> RetrievalConfig:
    """Return how documents are cut and searched; for administrators."""
    settings = app.settings
    return RetrievalConfig(
        TOP_K=settings.retrieval.top_k,
        CHUNK_SIZE=settings.chunking.max_tokens,
        CHUNK_OVERLAP=settings.chunking.overlap_tokens,
        FILE_MAX_SIZE=settings.server.max_upload_bytes >> 20,
        ALLOWED_FILE_EXTENSIONS=sorted(suffix.lstrip(".") for suffix in SUPPORTED),
        retrieval=settings.retrieval.model_dump(mode="json"),
        chunking=settings.chunking.model_dump(mode="json"),
        parsing=settings.parsing.model_dump(mode="json"),
    )


@router.get("/embedding")
async def embedding(app: Installation, _: Administrator) -> EmbeddingConfig:
    """Return which model embeds; for administrators."""
    chosen = app.settings.embedder
    return EmbeddingConfig(
        RAG_EMBEDDING_ENGINE=chosen.kind,
        RAG_EMBEDDING_MODEL=chosen.model,
        RAG_EMBEDDING_BATCH_SIZE=chosen.batch_size,
        model_id=app.embedder.model_id,
        dimension=app.embedder.dimension,
        max_tokens=app.embedder.max_tokens,
        url=str(masked(chosen.url)) if chosen.url is not None else None,
    )


def noted(request: Request, done: Processed) -> Processed:
    """Have the log of events say which file it was."""
    request.state.details = {"file_id": done.file_id, "collection": done.collection_name}
    return done


async def found(app: App, query: Query, names: Sequence[str], user: User) -> list[Hit]:
    """Return the passages nearest to a query in what is named. Raises NotFound for what this user cannot see."""
    refs = [await named(app, name, user) for name in names]
    return await search_in(app, refs, user, query.query, limit=query.k, lexical=query.hybrid is not False)


async def named(app: App, name: str, user: User) -> Ref:
    """Return what a `collection_name` means. Raises NotFound."""
    if name.startswith(FILE):
        return FileRef(name.removeprefix(FILE))
    return CollectionRef((await app.records.collections.meant(name, user)).id)


async def listed(app: App, hits: Sequence[Hit]) -> Passages:
    """Return passages in the wire format."""
    files = await app.records.files.named({hit.passage.file_id for hit in hits})
    embedding = embedding_config(app)
    return Passages.model_validate(
        {
            "documents": [[hit.passage.chunk.text for hit in hits]],
            "metadatas": [[place(hit) | of_file(hit, files.get(hit.passage.file_id)) | embedding for hit in hits]],
            "distances": [falling([hit.similarity for hit in hits])],
        }
    )


def falling(similarities: Sequence[float]) -> list[float]:
    """Return each, but none more than one before it: this wire format is sorted, and the order counts words as well."""
    return list(accumulate(similarities, min))
