"""Ragline in LlamaIndex's query engines: from scripts, and inside a running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine

from ragline import Retriever, open_ragline
from ragline.llama_index import RaglineNodeParser, RaglineRetriever

BAIL = "# Bail\n\nLe préavis du locataire est de trois mois.\n"
PREAVIS = "Quel est le préavis du locataire ?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    (folder / "data").mkdir()
    (folder / "data" / "models").symlink_to(models_folder)
    (folder / "bail.md").write_text(BAIL, encoding="utf-8")
    with open_ragline(folder / "data") as rag:
        rag.ingest(folder / "bail.md", collection="Contrats", metadata={"année": 2024})
    return folder / "data"


@pytest.fixture
def retriever(folder: Path) -> Iterator[RaglineRetriever]:
    with Retriever(data_dir=folder, collection="Contrats") as opened:
        yield RaglineRetriever(opened)


def test_a_query_engine_answers_from_the_passages(retriever: RaglineRetriever) -> None:
    response = RetrieverQueryEngine.from_args(retriever, llm=MockLLM()).query(PREAVIS)
    [found] = response.source_nodes
    assert "trois mois" in str(response)  # this model repeats its prompt
    assert found.node.metadata.items() >= {"name": "bail.md", "heading": "Bail", "année": 2024}.items()
    assert found.score is not None
    assert 0 < found.score <= 1
    assert "html" not in found.node.metadata


async def test_it_retrieves_inside_a_running_event_loop(retriever: RaglineRetriever) -> None:
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    waited, awaited = engine.query(PREAVIS), await engine.aquery(PREAVIS)
    assert [node.node.node_id for node in waited.source_nodes] == [node.node.node_id for node in awaited.source_nodes]
    assert len(waited.source_nodes) == 1


def test_it_retrieves_from_one_event_loop_after_another(retriever: RaglineRetriever) -> None:
    for _ in range(2):
        assert "trois mois" in asyncio.run(retriever.aretrieve(PREAVIS))[0].get_content()


async def test_a_chat_engine_answers_from_the_passages(retriever: RaglineRetriever) -> None:
    memory = ChatMemoryBuffer.from_defaults(token_limit=3000)  # the default one leaves its database open
    engine = ContextChatEngine.from_defaults(retriever=retriever, llm=MockLLM(), memory=memory)
    response = await engine.achat(PREAVIS)
    assert [node.node.metadata["name"] for node in response.source_nodes] == ["bail.md"]


def test_the_node_parser_counts_as_the_embedder_does(folder: Path) -> None:
    from llama_index.core.schema import Document

    with open_ragline(folder) as rag:
        parser = RaglineNodeParser(count_tokens=rag.count_tokens)
        nodes = parser.get_nodes_from_documents([Document(text=f"# Été\n\n{'La piscine ouvre en juin. ' * 100}")])
        assert len(nodes) > 1
        assert all(count <= 256 for count in rag.count_tokens([node.get_content() for node in nodes]))
