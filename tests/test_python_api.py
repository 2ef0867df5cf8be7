"""Retriever and Chat in this process: from any thread and event loop, histories kept, errors that say what to do."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path

import pytest

from ragline import Retriever, open_ragline
from ragline.answers import answer_of
from ragline.errors import BackendError, BadInput, Conflict, Invalid, NotFound, SetupError, Unavailable
from ragline.loops import Loop
from ragline.matches import Match
from ragline.place import Named, Wished
from ragline.retrieval.wishes import Wishes
from ragline.session import BlockingRagline
from ragline.types import Json
from tests.test_architecture import HEAVY

BAIL = "# Bail\n\nLe préavis du locataire est de trois mois.\n"
PUMP = "# Zephyr pump\n\nThe warranty of the pump is 27 months.\n"
PREAVIS = "Quel est le préavis du locataire ?"


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[BlockingRagline]:
    folder = tmp_path_factory.mktemp("session")
    (folder / "data").mkdir()
    (folder / "data" / "models").symlink_to(models_folder)
    (folder / "bail.md").write_text(BAIL, encoding="utf-8")
    (folder / "pump.md").write_text(PUMP, encoding="utf-8")
    with open_ragline(folder / "data") as opened:
        opened.ingest(folder / "bail.md", collection="Contrats", metadata={"année": 2024})
        opened.ingest(folder / "pump.md", collection="Manuals")
        yield opened


def test_a_retriever_is_called_from_threads_and_from_other_event_loops(rag: BlockingRagline) -> None:
    retriever = Retriever(rag, collection="Contrats")
    expected = retriever.retrieve(PREAVIS)
    assert "trois mois" in expected[0].text

    async def in_a_loop() -> None:
        assert await retriever.aretrieve(PREAVIS) == expected
        assert retriever.retrieve(PREAVIS) == expected  # as a cell of a notebook does
        assert await asyncio.to_thread(retriever.retrieve, PREAVIS) == expected

    for _ in range(2):
        asyncio.run(in_a_loop())
    found = []
    threads = [threading.Thread(target=lambda: found.append(retriever.retrieve(PREAVIS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_what_is_named_for_one_question_takes_the_place_of_what_was(rag: BlockingRagline) -> None:
    retriever = Retriever(rag, collection="Contrats", min_relevance=0)
    [pump] = {match.file_id for match in retriever.retrieve("warranty", collection="Manuals")}
    assert [match.name for match in retriever.retrieve("warranty", files=[pump])] == ["pump.md"]
    assert [match.name for match in retriever.retrieve("warranty")] == ["bail.md"]
    assert [match.name for match in retriever.retrieve("a", collection=["Contrats", "Manuals"], top_k=1)] != []
    assert not retriever.retrieve("warranty", metadata={"année": {"lt": 2024}})


def test_a_collection_that_is_not_there_is_not_made_by_a_question(rag: BlockingRagline) -> None:
    for call in (
        lambda: rag.ask("a", collection="Nouveau"),
        lambda: rag.retrieve("a", collection="Nouveau"),
        lambda: Retriever(rag, collection="Nouveau").retrieve("a"),
        lambda: list(rag.chat(collection="Nouveau").stream("a")),
    ):
        with pytest.raises(NotFound, match="no collection 'Nouveau'"):
            call()


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        pytest.param({"top_k": 0}, "top_k: Input should be greater than 0", id="none"),
        pytest.param({"top_k": 201}, "top_k: Input should be less than or equal to 200", id="too-many"),
        pytest.param({"dense_weight": 1.5}, "dense_weight: Input should be less than or equal to 1", id="weight"),
        pytest.param({"fusion": "best"}, "fusion: Input should be 'distribution', 'minmax' or 'rrf'", id="fusion"),
    ],
)
def test_a_wish_out_of_its_bounds_says_which_bounds(rag: BlockingRagline, wishes: Wished, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        Retriever(rag, collection="Contrats", **wishes).retrieve("a")
    assert str(caught.value) == said


def test_a_retriever_knows_the_options_of_a_search() -> None:
    assert Wished.__annotations__.keys() == Wishes.model_fields.keys()
    with pytest.raises(BadInput, match="no option 'topk'; known: top_k, candidates"):
        Retriever(data_dir="a", topk=3)  # type: ignore[call-arg]
    with pytest.raises(BadInput, match="one of"):
        Retriever(data_dir="a", url="http://127.0.0.1:1")
    with pytest.raises(BadInput, match="url="):
        Retriever(data_dir="a", api_key="sk-a")


def test_a_folder_without_an_installation_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no installation in"):
        Retriever(data_dir=tmp_path / "typo", collection="Contrats").retrieve("a")
    assert list(tmp_path.iterdir()) == []


def test_a_closed_retriever_says_so(rag: BlockingRagline, tmp_path: Path, models_folder: Path) -> None:
    (tmp_path / "models").symlink_to(models_folder)
    with open_ragline(tmp_path) as own:
        kept = Retriever(own, collection="Contrats")
        own.collection("Contrats")
    with pytest.raises(Unavailable, match="closed"):
        kept.retrieve("a")
    for _ in range(2):  # the first one is given up without being closed, as when a cell runs again
        retriever = Retriever(data_dir=tmp_path, collection="Contrats")
        assert not retriever.retrieve("a")
    retriever.close()
    retriever.close()
    with pytest.raises(Unavailable, match="closed"):
        retriever.retrieve("a")
    with Retriever(data_dir=tmp_path, collection="Contrats") as again:
        assert not again.retrieve("a")


async def test_to_wait_in_the_event_loop_of_an_installation_is_refused(tmp_path: Path, models_folder: Path) -> None:
    (tmp_path / "models").symlink_to(models_folder)
    async with open_ragline(tmp_path) as own:
        await own.collection("Contrats")
        retriever = Retriever(own, collection="Contrats")
        assert not await retriever.aretrieve("a")
        with pytest.raises(Conflict, match="await the method"):
            retriever.retrieve("a")
        assert not await asyncio.to_thread(retriever.retrieve, "a")
        assert not await asyncio.to_thread(lambda: asyncio.run(retriever.aretrieve("a")))


def test_a_search_that_is_cancelled_ends_where_it_runs(rag: BlockingRagline) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def impatient() -> None:
        task = asyncio.create_task(rag.loop.there(endless))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(impatient())
    assert ended.wait(10)


def test_a_chat_keeps_its_history_and_its_last_answer(rag: BlockingRagline, tmp_path: Path) -> None:
    chat = rag.chat(collection="Contrats")
    first = chat.ask(PREAVIS)
    assert "trois mois" in first.text
    assert [source.name for source in first.sources] == ["bail.md"]
    pieces = list(chat.stream(PREAVIS))
    assert len(pieces) > 1
    assert "".join(pieces) == first.text
    assert chat.last is not None
    assert chat.last.sources == first.sources
    turn = [{"role": "user", "content": PREAVIS}, {"role": "assistant", "content": first.text}]
    assert chat.history == turn * 2

    chat.save(tmp_path / "chat.json")
    other = rag.chat(collection="Contrats", model="smollm2:135m", system="Réponds en français.")
    other.load(tmp_path / "chat.json")
    assert (other.model, other.system, other.history) == ("extractive", None, turn * 2)
    chat.clear()
    assert not chat.history
    assert chat.last is None
    assert other.history == turn * 2


def test_a_stream_that_is_left_early_or_fails_keeps_nothing(rag: BlockingRagline) -> None:
    chat = rag.chat(collection="Contrats")
    for _ in chat.stream(PREAVIS):
        break
    assert chat.history == []
    chat.model = "nope"
    with pytest.raises(NotFound, match="'nope'"):
        list(chat.stream(PREAVIS))
    assert chat.history == []


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        pytest.param("{", "no saved chat", id="no-json"),
        pytest.param("[" * 100_000, "no saved chat", id="deep"),
        pytest.param("[]", "needs model, system and history", id="no-object"),
        pytest.param('{"model": "a", "system": 3, "history": []}', "needs model", id="system"),
        pytest.param('{"model": "a", "system": null, "history": [{"role": "user"}]}', r"history\[0\]", id="message"),
        pytest.param(
            '{"model": "a", "system": null, "history": [{"role": "root", "content": ""}]}', "one of system", id="role"
        ),
    ],
)
def test_what_is_no_saved_chat_changes_nothing(rag: BlockingRagline, tmp_path: Path, saved: str, said: str) -> None:
    chat = rag.chat()
    chat.history = [{"role": "user", "content": "Bonjour"}]
    (tmp_path / "chat.json").write_text(saved, encoding="utf-8")
    with pytest.raises(BadInput, match=said):
        chat.load(tmp_path / "chat.json")
    assert chat.history == [{"role": "user", "content": "Bonjour"}]


def test_what_was_saved_stays_until_all_is_written(rag: BlockingRagline, tmp_path: Path) -> None:
    chat = rag.chat()
    chat.history = [{"role": "assistant", "content": "half \ud800 a pair"}]
    (tmp_path / "chat.json").symlink_to(tmp_path / "real.json")
    chat.save(tmp_path / "chat.json")
    assert (tmp_path / "chat.json").is_symlink()
    chat.load(tmp_path / "chat.json")
    assert chat.history == [{"role": "assistant", "content": "half ? a pair"}]
    saved = (tmp_path / "real.json").read_text(encoding="utf-8")
    chat.model = object()  # type: ignore[assignment]  # what JSON does not hold
    with pytest.raises(TypeError):
        chat.save(tmp_path / "chat.json")
    assert (tmp_path / "real.json").read_text(encoding="utf-8") == saved
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".md") == ["chat.json", "real.json"]


class Echo:
    """A place that says what it was asked, or whatever `events` say."""

    def __init__(self, *events: Mapping[str, Json]) -> None:
        self.bodies: list[Mapping[str, Json]] = []
        self.events = events

    async def complete(self, body: Mapping[str, Json], named: Named) -> Mapping[str, Json]:
        self.bodies.append(body)
        return {"choices": [{"message": {"content": "Oui."}}]}

    async def stream(self, body: Mapping[str, Json], named: Named) -> AsyncGenerator[Mapping[str, Json], None]:
        for event in self.events:
            yield event
            await asyncio.sleep(0)


async def test_the_system_prompt_the_history_and_the_parameters_are_sent() -> None:
    from ragline.chatting import Chat

    echo = Echo()
    chat = Chat(echo, model="m", system="Sois bref.", parameters={"temperature": 0}, named={})  # type: ignore[arg-type]
    await chat.ask("Un ?")
    chat.history[1]["content"] = "Non."
    await chat.ask("Deux ?")
    assert echo.bodies[1] == {
        "model": "m",
        "temperature": 0,
        "messages": [
            {"role": "system", "content": "Sois bref."},
            {"role": "user", "content": "Un ?"},
            {"role": "assistant", "content": "Non."},
            {"role": "user", "content": "Deux ?"},
        ],
    }


def test_an_answer_has_what_the_server_says_beside_its_text() -> None:
    about = {
        "citation": 2,
        "name": "a.pdf",
        "file_id": "f",
        "page": 0,
        "heading": "H",
        "start_index": 5,
        "end_index": 7,
    }
    other = {"citation": 1, "name": "b.txt", "file_id": "g"}
    answer = answer_of(
        {
            "sources": [
                {"source": {}, "document": ["Oui"], "metadata": [about], "distances": [0.9]},
                {"source": {}, "document": ["Non"], "metadata": [other]},
            ],
            "choices": [{"message": {"content": "Oui [2]."}}],
            "usage": {"total_tokens": 7, "context_tokens": 5},
            "citations": [{"n": 2, "supported": False, "span": [0, 8], "missing": ["2023"], "quote": "Oui"}],
            "retrieval": {"notes": ["le modèle n'a pas reformulé"], "searched": "Oui ou non ?"},
        }
    )
    assert [(source.number, source.name) for source in answer.sources] == [(1, "b.txt"), (2, "a.pdf")]
    [passage] = answer.sources[1].passages
    assert (passage.text, passage.page, passage.start, passage.end, passage.similarity) == ("Oui", 1, 5, 7, 0.9)
    assert answer.sources[0].passages[0].similarity is None
    [citation] = answer.citations
    assert (citation.number, citation.supported, answer.text[citation.start : citation.end]) == (2, False, "Oui [2].")
    assert (citation.missing, citation.quote) == (["2023"], "Oui")
    assert answer.usage["context_tokens"] == 5
    assert (answer.notes, answer.searched) == (["le modèle n'a pas reformulé"], "Oui ou non ?")


def test_an_event_of_a_lost_back_end_is_an_error() -> None:
    with pytest.raises(BackendError, match="ollama: lost"):
        answer_of({"error": {"message": "ollama: lost"}})


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"sources": [{"document": ["t"], "metadata": [1]}]}, id="metadata"),
        pytest.param({"sources": [{"document": None, "metadata": None}]}, id="null"),
        pytest.param({"sources": [{"document": ["t"], "metadata": [{"citation": [1]}]}]}, id="number"),
        pytest.param(
            {"sources": [{"document": ["t", "u"], "metadata": [{"citation": 1}, {"citation": "1"}]}]}, id="numbers"
        ),
        pytest.param({"citations": [{"span": 3}]}, id="span"),
        pytest.param({"citations": [{"span": [1, 2, 3]}]}, id="long-span"),
        pytest.param({"citations": [{"missing": 4}]}, id="missing"),
        pytest.param({"retrieval": {"notes": 5}}, id="notes"),
    ],
)
def test_what_are_no_sources_or_citations_is_an_error_of_the_back_end(said: Mapping[str, object]) -> None:
    with pytest.raises(BackendError, match="sources, citations or notes that are none"):
        answer_of(said)


def test_a_passage_of_another_version_of_the_server_is_read_as_far_as_it_goes() -> None:
    needed = {
        "text": "a",
        "score": 1.0,
        "cosine": 0.5,
        "lexical": 2.0,
        "relevance": 0.9,
        "name": "a.md",
        "file_id": "f",
        "passage_id": "p",
        "index": 0,
        "start": 0,
        "end": 1,
        "heading": "",
        "language": "fr",
        "kind": "text",
    }
    match = Match.of_json({**needed, "page": 3, "of_tomorrow": True})
    assert (match.page, match.sheet, match.metadata) == (3, None, {})
    with pytest.raises(KeyError):
        Match.of_json({"text": "a"})


async def test_items_come_in_order_and_an_error_after_them() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        for number in range(100):
            async with asyncio.timeout(10):  # begun and ended in one task, or it fails
                yield number
        raise BackendError("lost")

    got: list[int] = []

    def consume(loop: Loop) -> None:
        with pytest.raises(BackendError, match="lost"):
            got.extend(loop.items(failing))

    await asyncio.to_thread(consume, Loop.running())
    assert got == list(range(100))


def test_to_ask_a_server_loads_no_heavy_library() -> None:
    code = (
        "import ragline, sys, json; ragline.Retriever(url='http://127.0.0.1:1'); ragline.connect; ragline.Chat;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert set(json.loads(done.stdout)) & set(HEAVY) == set()
