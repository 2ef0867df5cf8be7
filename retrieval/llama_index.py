"""Ragline's retrieval as a LlamaIndex retriever, for query engines and chat engines of that ecosystem."""

from __future__ import annotations

from typing import Protocol

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from ragline.matches import Match, Matches

PLACE = ("file_id", "name", "page", "heading", "language", "kind")
MORE = ("page_end", "member", "sheet", "cells", "html", "lead")


class Retrieves(Protocol):
    """Finds passages, for code that awaits and for code that does not: `ragline.Retriever`."""

    async def aretrieve(self, question: str) -> Matches: ...

    def retrieve(self, question: str) -> Matches: ...


class RaglineRetriever(BaseRetriever):
    """Finds what a `ragline.Retriever` does, in this process or on a server; `close` that one.

    Nodes carry `file_id`, `name`, `page`, `heading`, `language`, `kind`, what came with the file as metadata and, where
    they have them, `page_end`, `member`, `sheet`, `cells`, `html` and `lead`. Their scores are estimates of relevance
    from 0 to 1, which can be compared between searches; the order is that of the search.
    """

    def __init__(self, retriever: Retrieves) -> None:
        super().__init__()
        self._retriever = retriever

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [node(match) for match in self._retriever.retrieve(query_bundle.query_str)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [node(match) for match in await self._retriever.aretrieve(query_bundle.query_str)]


def node(match: Match) -> NodeWithScore:
    """Return a match as LlamaIndex has it."""
    place = {name: getattr(match, name) for name in PLACE}
    more = {name: said for name in MORE if (said := getattr(match, name))}
    return NodeWithScore(
        node=TextNode(
            id_=match.passage_id,
            text=match.text,
            start_char_idx=match.start,
            end_char_idx=match.end,
            metadata={**match.metadata, **place, **more},
            excluded_embed_metadata_keys=["html"],
            excluded_llm_metadata_keys=["html"],
        ),
        score=match.relevance,
    )
