"""Ragline in LangChain's chains, where that is installed, and what is said where it is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragline import Retriever, open_ragline

if TYPE_CHECKING:
    from ragline.langchain import RaglineLangChainRetriever

BAIL = "# Bail\n\nLe préavis du locataire est de trois mois.\n"
PREAVIS = "Quel est le préavis du locataire ?"


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[RaglineLangChainRetriever]:
    pytest.importorskip("langchain_core")
    from ragline.langchain import RaglineLangChainRetriever

    folder = tmp_path_factory.mktemp("langchain")
    (folder / "data").mkdir()
    (folder / "data" / "models").symlink_to(models_folder)
    (folder / "bail.md").write_text(BAIL, encoding="utf-8")
    with open_ragline(folder / "data") as rag:
        rag.ingest(folder / "bail.md", collection="Contrats", metadata={"année": 2024})
        yield RaglineLangChainRetriever(retriever=Retriever(rag, collection="Contrats"))


def test_documents_say_where_they_are_from(retriever: RaglineLangChainRetriever) -> None:
    [document] = retriever.invoke(PREAVIS)
    assert "trois mois" in document.page_content
    assert document.id == document.metadata["passage_id"]
    assert document.metadata.items() >= {"name": "bail.md", "heading": "Bail", "année": 2024, "start": 0}.items()
    assert 0 < document.metadata["relevance"] <= 1


async def test_it_retrieves_inside_a_running_event_loop_and_many_at_once(retriever: RaglineLangChainRetriever) -> None:
    waited, awaited = retriever.invoke(PREAVIS), await retriever.ainvoke(PREAVIS)
    assert waited == awaited
    assert await retriever.abatch([PREAVIS, PREAVIS]) == [waited, waited]
    assert retriever.batch([PREAVIS, PREAVIS]) == [waited, waited]


def test_a_chain_answers_from_the_passages(retriever: RaglineLangChainRetriever) -> None:
    from langchain_core.documents import Document
    from langchain_core.language_models import FakeListChatModel
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnablePassthrough

    def joined(documents: list[Document]) -> str:
        return "\n\n".join(f"[{each.metadata['name']}] {each.page_content}" for each in documents)

    prompt = ChatPromptTemplate.from_template("Contexte : {context}\n\nQuestion : {question}")
    asked = {"context": retriever | joined, "question": RunnablePassthrough()} | prompt
    assert "[bail.md] Bail\n\nLe préavis du locataire est de trois mois." in asked.invoke(PREAVIS).to_string()
    chain = asked | FakeListChatModel(responses=["Trois mois."]) | StrOutputParser()
    assert chain.invoke(PREAVIS) == "Trois mois."


def test_without_langchain_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['langchain_core'] = None; import ragline.langchain"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "ragline[langchain]"' in done.stderr.splitlines()[-1]
