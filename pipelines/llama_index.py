"""Ragline's chunker as a node parser of LlamaIndex: `VectorStoreIndex.from_documents(…, transformations=[parser])`.

Importing this module imports `llama_index.core` (a second): do it where it is needed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.node_parser import NodeParser
from llama_index.core.node_parser.node_utils import build_nodes_from_splits
from llama_index.core.schema import BaseNode, Document, MetadataMode, TextNode

from ragline.config.settings import Chunking
from ragline.pipelines.chunk import chunk
from ragline.pipelines.parse import document_text
from ragline.types import Chunk, Element, ElementKind

_BLOCK = re.compile(
    r"""
    (?P<code>  ^```.*?(?:^```[^\n]*|\Z) )
    | (?P<title> ^\#{1,6}[ \t][^\n]* )
    | (?P<table> (?:^\|[^\n]*(?:\n|\Z))+ )
    | (?P<text>  (?:^(?!```|\#{1,6}[ \t]|\|)[^\n]*\S[^\n]*(?:\n|\Z))+ )
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_KINDS: dict[str, ElementKind] = {"code": "code", "title": "title", "table": "table", "text": "text"}


class RaglineNodeParser(NodeParser):
    """Documents of text or Markdown to `TextNode`s; `node.text` is `document.text[start_char_idx:end_char_idx]`.

    Metadata of a node: `heading` (the titles above it), `language` (ISO 639-1), `kind` (what most of it is) and, where
    they have one, `lead` (the headings of its table) and `page` (of the document's `page` or `page_label`). Nodes are
    linked to their document and to their neighbours.
    """

    settings: Chunking = Field(default_factory=Chunking)
    count_tokens: Callable[[Sequence[str]], list[int]] = Field(
        exclude=True, description="Lengths of texts in tokens of the embedding model, such as `embedder.count_tokens`."
    )

    @classmethod
    def class_name(cls) -> str:
        return "RaglineNodeParser"

    def _parse_nodes(self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any) -> list[BaseNode]:
        return [part for node in nodes for part in self._nodes(node)]

    def _postprocess_parsed_nodes(self, nodes: list[BaseNode], parent_doc_map: dict[str, Document]) -> list[BaseNode]:
        # The base class looks for the text of a node to know its offsets: a text that occurs twice gets wrong ones.
        spans = {node.node_id: (node.start_char_idx, node.end_char_idx) for node in nodes if isinstance(node, TextNode)}
        done = super()._postprocess_parsed_nodes(nodes, parent_doc_map)
        for node in done:
            if isinstance(node, TextNode):
                node.start_char_idx, node.end_char_idx = spans[node.node_id]
        return done

    def _nodes(self, document: BaseNode) -> Iterator[TextNode]:
        text = document.get_content(metadata_mode=MetadataMode.NONE)
        blocks = list(_blocks(text, _page(document)))
        elements = [element for _, element in blocks]
        chunks = chunk(elements, settings=self.settings, count_tokens=self.count_tokens)
        spans = _spans(chunks, elements, [start for start, _ in blocks])
        nodes = build_nodes_from_splits([text[start:end] for start, end in spans], document, id_func=self.id_func)
        for node, passage, (start, end) in zip(nodes, chunks, spans, strict=True):
            node.start_char_idx, node.end_char_idx = start, end
            node.metadata = {"heading": passage.heading, "language": passage.language, "kind": passage.kind}
            if passage.lead:
                node.metadata["lead"] = passage.lead
            if passage.page is not None:
                node.metadata["page"] = passage.page
            node.excluded_embed_metadata_keys = [*node.excluded_embed_metadata_keys, "language", "kind", "page"]
            yield node


def _blocks(text: str, page: int | None) -> Iterator[tuple[int, Element]]:
    """Yield the blocks of Markdown with their offsets; every line that is not blank is in one."""
    for match in _BLOCK.finditer(text):
        kind = _KINDS[match.lastgroup or "text"]
        block = match.group().rstrip()
        level = len(block) - len(block.lstrip("#")) if kind == "title" else 0
        yield match.start(), Element(block, kind, level, page)


def _page(document: BaseNode) -> int | None:
    label = str(document.metadata.get("page", document.metadata.get("page_label", "")))
    return int(label) if label.isdecimal() else None


def _spans(chunks: Sequence[Chunk], elements: Sequence[Element], starts: Sequence[int]) -> list[tuple[int, int]]:
    """Return where chunks lie in the original, whose blocks need not be a blank line apart."""
    joined = [start for start, _ in document_text(elements)[1]]

    def original(offset: int) -> int:
        block = bisect_right(joined, offset) - 1
        return starts[block] + offset - joined[block]

    return [(original(passage.start), original(passage.end - 1) + 1) for passage in chunks]
