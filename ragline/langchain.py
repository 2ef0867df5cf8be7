"""For LangChain: `RaglineLangChainRetriever`. It needs `langchain-core`, which comes with `ragline[langchain]`."""

from __future__ import annotations

from dataclasses import asdict

from ragline.matches import Match
from ragline.retriever import Retriever

try:
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
except ModuleNotFoundError as error:
    raise ImportError(f'ragline.langchain needs LangChain: pip install "ragline[langchain]" ({error})') from error

__all__ = ["RaglineLangChainRetriever"]


class RaglineLangChainRetriever(BaseRetriever):
    """Finds what a `ragline.Retriever` does, in this process or on a server; `close` that one.

    The metadata of a document is what came with its file, and of the passage everything that `ragline.Match` has but
    its text: `name`, `file_id`, `page` (from 1), `heading`, `start`, `end`, `score`, `cosine`, `relevance` and others.
    """

    retriever: Retriever

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [document(match) for match in self.retriever.retrieve(query)]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [document(match) for match in await self.retriever.aretrieve(query)]


def document(match: Match) -> Document:
    """Return a match as LangChain has it."""
    about = {name: said for name, said in asdict(match).items() if name not in ("text", "metadata")}
    return Document(id=match.passage_id, page_content=match.text, metadata={**match.metadata, **about})
