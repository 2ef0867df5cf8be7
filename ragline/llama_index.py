"""For LlamaIndex: `RaglineRetriever` and `RaglineNodeParser`. Importing this imports `llama_index.core` (a second)."""

from ragline.pipelines.llama_index import RaglineNodeParser
from ragline.retrieval.llama_index import RaglineRetriever

__all__ = ["RaglineNodeParser", "RaglineRetriever"]
