"""The chunker as LlamaIndex sees it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import Document, NodeRelationship, TextNode

from ragline.config.settings import Chunking
from ragline.pipelines.llama_index import RaglineNodeParser

TEXT = """# Guide
Some words about it all.

## Install

Run the command and wait for it to end. Then look at what it has said about the machine.
Say yes when it asks. Say yes when it asks.

```sh
# not a title
pip install ragline
```

## Use
| a | b |
|---|---|
| 1 | 2 |

Say yes when it asks.
Say yes when it asks.
"""


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


@pytest.fixture
def parser() -> RaglineNodeParser:
    return RaglineNodeParser(settings=Chunking(max_tokens=24, overlap_tokens=6), count_tokens=count_words)


def parsed(parser: RaglineNodeParser, document: Document) -> list[TextNode]:
    nodes = parser.get_nodes_from_documents([document])
    return [node for node in nodes if isinstance(node, TextNode)]


def test_every_node_is_the_slice_of_its_document(parser: RaglineNodeParser) -> None:
    nodes = parsed(parser, Document(text=TEXT))
    covered: set[int] = set()
    for node in nodes:
        assert node.start_char_idx is not None
        assert node.end_char_idx is not None
        assert node.text == TEXT[node.start_char_idx : node.end_char_idx]
        covered.update(range(node.start_char_idx, node.end_char_idx))
    assert not "".join(sign for place, sign in enumerate(TEXT) if place not in covered).strip()


def test_nodes_know_their_heading_language_and_page(parser: RaglineNodeParser) -> None:
    nodes = parsed(parser, Document(text=TEXT, metadata={"page_label": "7", "file_name": "guide.md"}))
    assert [node.metadata["heading"] for node in nodes] == [
        "Guide",
        "Guide › Install",
        "Guide › Install",
        "Guide › Use",
    ]
    assert {node.metadata["language"] for node in nodes} == {"en"}
    assert {node.metadata["page"] for node in nodes} == {7}
    assert {node.metadata["file_name"] for node in nodes} == {"guide.md"}


def test_nodes_are_linked_to_their_document_and_neighbours(parser: RaglineNodeParser) -> None:
    document = Document(text=TEXT)
    first, second, *_ = parsed(parser, document)
    assert first.ref_doc_id == document.doc_id
    assert first.relationships[NodeRelationship.NEXT].node_id == second.node_id  # type: ignore[union-attr]  # one node
    assert second.relationships[NodeRelationship.PREVIOUS].node_id == first.node_id  # type: ignore[union-attr]  # same


def test_it_runs_in_an_ingestion_pipeline(parser: RaglineNodeParser) -> None:
    nodes = IngestionPipeline(transformations=[parser]).run(documents=[Document(text=TEXT), Document(text="Short.")])
    assert nodes[-1].get_content() == "Short."


def test_an_empty_document_has_no_nodes(parser: RaglineNodeParser) -> None:
    assert parsed(parser, Document(text=" \n\n ")) == []
