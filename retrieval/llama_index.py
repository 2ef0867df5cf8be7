"""Ragline's retrieval as a LlamaIndex retriever, for query engines and chat engines of that ecosystem."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from ragline.app import App
from ragline.errors import BadInput
from ragline.retrieval.search import search_in
from ragline.types import CollectionRef, FileRef, Hit, Ref, User


class RaglineRetriever(BaseRetriever):
    """Finds passages of files and collections. Nodes carry `file_id`, `name`, `page`, `heading`; scores are cosines."""

    def __init__(self, app: App, user: User, refs: Sequence[Ref], *, limit: int | None = None) -> None:
        super().__init__()
        if unfit := [ref.kind for ref in refs if not isinstance(ref, FileRef | CollectionRef) or ref.full]:
            raise BadInput(f"a retriever searches files and collections, no reference of type {unfit[0]!r} or full")
        self._app = app
        self._user = user
        self._refs = refs
        self._limit = limit

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """For use without an event loop. The App must not be bound to another one: prefer `aretrieve`."""
        return asyncio.run(self._aretrieve(query_bundle))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = await search_in(self._app, self._refs, self._user, query_bundle.query_str, limit=self._limit)
        return [node(hit) for hit in hits]


def node(hit: Hit) -> NodeWithScore:
    chunk = hit.passage.chunk
    return NodeWithScore(
        node=TextNode(
            id_=hit.passage.id,
            text=chunk.text,
            start_char_idx=chunk.start,
            end_char_idx=chunk.end,
            metadata={
                "file_id": hit.passage.file_id,
                "name": hit.passage.name,
                "page": chunk.page,
                "heading": chunk.heading,
                "language": chunk.language,
            },
        ),
        score=hit.cosine,
    )
