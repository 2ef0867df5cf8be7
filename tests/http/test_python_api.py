"""The Python API on a data folder and on the server that has it afterwards: the same results, answers and errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from ragline import Answer, Matches, Retriever, connect, open_ragline
from ragline.errors import BadInput, Invalid, NotFound, NotSignedIn, RaglineError, Unavailable
from ragline.remote import BlockingServer
from ragline.session import BlockingRagline
from tests.serving import body_of, served

from .running import Running, start

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
BAIL = "# Bail\n\nLe préavis du locataire est de trois mois.\n\n# Loyer\n\nLe loyer est de 740 € par mois.\n"
PUMP = "# Zephyr pump\n\nThe warranty of the pump is 27 months.\n"
PREAVIS = "Quel est le préavis du locataire ?"

Asked = BlockingRagline | BlockingServer

SEARCHES: dict[str, Callable[[Asked], Matches]] = {
    "plain": lambda rag: Retriever(rag, collection="Contrats").retrieve(PREAVIS),
    "both": lambda rag: Retriever(rag, collection=["Contrats", "Manuals"]).retrieve("warranty", top_k=2),
    "filtered": lambda rag: Retriever(rag, collection="Contrats", metadata={"année": {"gte": 2024}}).retrieve("loyer"),
    "filtered-away": lambda rag: Retriever(rag, collection="Contrats", metadata={"année": 1999}).retrieve("loyer"),
    "by-meaning": lambda rag: Retriever(rag, collection="Contrats", lexical=False, min_relevance=0).retrieve("rent"),
    "ranks": lambda rag: Retriever(rag, collection="Contrats", fusion="rrf", dense_weight=0.3).retrieve("loyer"),
    "nothing-is-so-relevant": lambda rag: Retriever(rag, collection="Contrats", min_relevance=1).retrieve("zèbre"),
    "blank": lambda rag: Retriever(rag, collection="Contrats").retrieve(" "),
    "half-a-surrogate": lambda rag: Retriever(rag, collection="Contrats").retrieve("loyer \ud83d"),
}
ANSWERS: dict[str, Callable[[Asked], Answer]] = {
    "ask": lambda rag: rag.ask(PREAVIS, collection="Contrats"),
    "texts": lambda rag: rag.ask("How long is the warranty?", texts={"note": PUMP}),
    "full": lambda rag: rag.ask("Combien coûte le loyer ?", collection="Contrats", full=True),
    "stream": lambda rag: streamed(rag, PREAVIS),
    "nothing-named": lambda rag: rag.ask("Bonjour ?"),
    "follow-up": lambda rag: followed(rag, "How long is the warranty of the pump?", "And in months?"),
}
REFUSED: dict[str, tuple[Callable[[Asked], object], type[RaglineError], str]] = {
    "collection": (lambda rag: Retriever(rag, collection="Contrat").retrieve("a"), NotFound, "no collection 'Contrat'"),
    "of-a-chat": (lambda rag: rag.ask("a", collection="Contrat"), NotFound, "no collection 'Contrat'"),
    "file": (lambda rag: Retriever(rag, files=["nope"]).retrieve("a"), NotFound, "no file 'nope'"),
    "model": (lambda rag: rag.ask("a", model="nope"), NotFound, "model 'nope' not found"),
    "of-a-stream": (lambda rag: list(rag.chat(model="nope").stream("a")), NotFound, "model 'nope' not found"),
    "top_k": (
        lambda rag: Retriever(rag, collection="Contrats", top_k=0).retrieve("a"),
        Invalid,
        "top_k: Input should be greater than 0",
    ),
    "filter": (
        lambda rag: Retriever(rag, collection="Contrats", metadata={"a": {"near": 1}}).retrieve("a"),
        Invalid,
        "metadata.a.near: no operator 'near'; known: eq, ne, gt, gte, lt, lte, in, nin",
    ),
    "no-number": (
        lambda rag: Retriever(rag, collection="Contrats", min_relevance=float("nan")).retrieve("a"),
        Invalid,
        "",
    ),
    "no-json": (
        lambda rag: Retriever(rag, collection="Contrats", metadata={"a": object()}).retrieve("a"),
        Invalid,
        "",
    ),
    "nothing-named": (
        lambda rag: Retriever(rag).retrieve("a"),
        BadInput,
        "name what to search: files=… or collection=…",
    ),
    "option": (lambda rag: Retriever(rag).retrieve("a", topk=1), BadInput, "no option 'topk'"),  # type: ignore[call-arg]
    "whole-without-a-question": (lambda rag: rag.ask(" ", collection="Contrats"), Invalid, "files were given without"),
}


def streamed(rag: Asked, question: str) -> Answer:
    chat = rag.chat(collection="Contrats")
    text = "".join(chat.stream(question))
    assert chat.last is not None
    assert chat.last.text == text
    return chat.last


def followed(rag: Asked, *questions: str) -> Answer:
    chat = rag.chat(collection="Manuals")
    for question in questions:
        answer = chat.ask(question)
    return answer


def refused(call: Callable[[Asked], object], rag: Asked) -> tuple[type[RaglineError], str]:
    with pytest.raises(RaglineError) as caught:
        call(rag)
    return type(caught.value), str(caught.value)


@dataclass
class Both:
    """What the installation said in this process, and the server that has its folder now."""

    searches: dict[str, Matches]
    answers: dict[str, Answer]
    errors: dict[str, tuple[type[RaglineError], str]]
    server: Running


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("python")
    (folder / "data").mkdir()
    (folder / "data" / "models").symlink_to(models_folder)
    (folder / "bail.md").write_text(BAIL, encoding="utf-8")
    (folder / "pump.md").write_text(PUMP, encoding="utf-8")
    with open_ragline(folder / "data") as rag:
        rag.ingest(folder / "bail.md", collection="Contrats", metadata={"année": 2024})
        rag.ingest(folder / "pump.md", collection="Manuals")
        searches = {name: call(rag) for name, call in SEARCHES.items()}
        answers = {name: call(rag) for name, call in ANSWERS.items()}
        errors = {name: refused(call, rag) for name, (call, _, _) in REFUSED.items()}
    running = start(folder / "data", models_folder, {"RAGLINE_PREFECT__ENABLED": "false"})
    done = subprocess.run(
        [sys.executable, "-m", "ragline", "key", "--data-dir", str(folder / "data")],
        capture_output=True,
        text=True,
        check=True,
    )
    running.key = done.stdout.split()[-1]
    yield Both(searches, answers, errors, running)
    running.stop()


@pytest.fixture
def remote(both: Both) -> Iterator[BlockingServer]:
    with connect(both.server.url, both.server.key) as server:
        yield server


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_finds_the_same_in_process_and_over_http(both: Both, remote: BlockingServer, name: str) -> None:
    assert SEARCHES[name](remote) == both.searches[name]


def test_the_searches_found_what_they_should(both: Both) -> None:
    found = both.searches
    assert "trois mois" in found["plain"][0].text
    assert found["plain"][0].metadata == {"année": 2024}
    assert BAIL.replace("# ", "").strip()[found["plain"][0].start :].startswith(found["plain"][0].text[:20])
    assert found["both"][0].name == "pump.md"
    assert len(found["both"]) == 2
    assert found["filtered"]
    assert not found["filtered-away"]
    assert found["by-meaning"][0].lexical == 0
    assert (len(found["nothing-is-so-relevant"]), found["nothing-is-so-relevant"].below) == (0, len(found["plain"]))
    assert not found["blank"]
    assert "740 €" in found["half-a-surrogate"][0].text


@pytest.mark.parametrize("name", ANSWERS)
def test_a_model_answers_the_same_in_process_and_over_http(both: Both, remote: BlockingServer, name: str) -> None:
    assert ANSWERS[name](remote) == both.answers[name]


def test_the_answers_have_their_sources(both: Both) -> None:
    said = both.answers
    assert "trois mois" in said["ask"].text
    [source] = said["ask"].sources
    assert (source.number, source.name, source.passages[0].heading) == (1, "bail.md", "Bail")
    [citation] = said["ask"].citations
    assert (citation.number, citation.supported, citation.missing) == (1, True, [])
    assert "trois mois" in said["ask"].text[citation.start : citation.end]
    assert (citation.source["name"], citation.source["heading"]) == ("bail.md", "Bail")
    assert "trois mois" in citation.quote
    assert 10 < cast(int, said["ask"].usage["context_tokens"]) < 100
    assert said["stream"].text == said["ask"].text
    assert said["stream"].citations == said["ask"].citations
    assert said["stream"].sources == said["ask"].sources
    assert said["texts"].sources[0].passages[0].similarity is None
    assert "740 €" in said["full"].sources[0].passages[0].text
    assert said["nothing-named"].sources == []
    assert "warranty" in said["follow-up"].searched
    assert "27 months" in said["follow-up"].text


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_the_same_error_in_process_and_over_http(
    both: Both, remote: BlockingServer, name: str
) -> None:
    call, kind, text = REFUSED[name]
    here, there = both.errors[name], refused(call, remote)
    assert (here[0], there[0]) == (kind, kind)
    if text:
        assert text in here[1]
        assert text in there[1]


async def test_the_server_answers_code_that_awaits(both: Both) -> None:
    async with connect(both.server.url, both.server.key) as server:
        chat = server.chat(collection="Contrats")
        pieces = [piece async for piece in chat.stream(PREAVIS)]
        assert len(pieces) > 1
        assert "trois mois" in "".join(pieces)
        assert (await chat.ask("Et le loyer ?")).sources[0].name == "bail.md"
        assert [message["role"] for message in chat.history] == ["user", "assistant"] * 2
    async with Retriever(url=both.server.url, api_key=both.server.key, collection="Contrats") as retriever:
        assert await retriever.aretrieve(PREAVIS) == both.searches["plain"]
        assert retriever.retrieve(PREAVIS) == both.searches["plain"]  # in this event loop, too: it has its own


def test_a_wrong_key_and_a_key_for_other_collections_are_clear(both: Both, remote: BlockingServer) -> None:
    with connect(both.server.url, "sk-wrong") as server:
        with pytest.raises(NotSignedIn, match="API key"):
            server.ask("Bonjour ?")
        with pytest.raises(NotSignedIn, match="API key"):
            Retriever(server, files=["a"]).retrieve("a")
    with both.server.client() as client:
        found = client.get("/api/v1/knowledge/search", params={"query": "Manuals"}).json()["items"]
        body = {"name": "limited", "collections": [found[0]["id"]]}
        made = client.post("/api/v1/auths/api_keys", json=body)
        assert made.status_code == 200, made.text
    with Retriever(url=both.server.url, api_key=made.json()["api_key"], collection="Manuals") as limited:
        assert limited.retrieve("warranty")[0].name == "pump.md"
        with pytest.raises(NotFound, match="no collection 'Contrats'"):
            limited.retrieve("loyer", collection="Contrats")
        file_id = both.searches["plain"][0].file_id
        with pytest.raises(NotFound, match="no file"):
            limited.retrieve("loyer", files=[file_id])


def test_what_does_not_answer_or_is_no_ragline_says_so(both: Both, dead_url: str) -> None:
    with pytest.raises(BadInput, match="begin with http"):
        connect("127.0.0.1:3000")
    with pytest.raises(Unavailable, match="no Ragline server answers"):
        Retriever(url=dead_url, collection="a").retrieve("a")

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<html>Bonjour</html>"})

    with served(page) as url, pytest.raises(Unavailable, match="no Ragline server answers"):
        Retriever(url=url, collection="a").retrieve("a")


def test_a_server_that_stops_in_mid_answer_is_an_error_and_nothing_is_kept() -> None:
    events = [
        json.dumps({"sources": []}),
        json.dumps({"choices": [{"index": 0, "delta": {"content": "Trois"}}]}),
        "",
        json.dumps({"error": {"message": "ollama: lost"}}),
    ]

    async def stub(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/api/version":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b'{"version": "1"}'})
            return
        broken = json.loads(await body_of(receive))["messages"][-1]["content"] == "lost"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for event in events if broken else events[:2]:
            body = b"data: " + event.encode() + b"\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with served(stub) as url, connect(url) as server:
        chat = server.chat()
        pieces: list[str] = []
        with pytest.raises(Unavailable, match="broke off its answer"):
            pieces.extend(chat.stream("cut"))
        assert pieces == ["Trois"]
        with pytest.raises(RaglineError, match="ollama: lost"):
            list(chat.stream("lost"))
        assert chat.history == []


async def test_to_leave_a_stream_early_ends_the_request() -> None:
    ended: list[str] = []

    async def stub(scope: Any, receive: Any, send: Any) -> None:
        await body_of(receive)
        if scope["path"] == "/api/version":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b'{"version": "1"}'})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        chunk = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        ended.append("gone")

    with served(stub) as url:
        async with connect(url) as server:
            chat = server.chat()
            pieces: AsyncGenerator[str, None] = chat.stream("long")
            assert await anext(pieces) == "a"
            await pieces.aclose()
            assert chat.history == []
    assert ended == ["gone"]


def test_the_blocks_of_the_page_run_one_after_the_other(both: Both, tmp_path: Path, models_folder: Path) -> None:
    """As a script each: that none leaves a thread that would keep the program from ending is part of it."""
    (tmp_path / "ragline-data").mkdir()
    (tmp_path / "ragline-data" / "models").symlink_to(models_folder)
    printed = []
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)):
        script = block.replace("http://127.0.0.1:3000", both.server.url).replace("sk-…", both.server.key)
        (tmp_path / f"{number}.py").write_text(script, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-X", "utf8", f"{number}.py"],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    opened, passages, chat, remote, llama, chain, wrong = printed
    assert "trois mois" in opened
    assert "1 bail.md Bail" in opened
    assert "bail.md Bail: 'Bail" in passages
    assert "1 0 ()" in passages
    assert chat.count("trois mois") >= 1
    assert "Et le loyer ?" in chat
    assert remote.splitlines()[-1].endswith("27 months.")
    assert " pump.md" in remote
    assert "bail.md Bail" in llama
    assert "Été 0 32" in llama
    assert chain.splitlines()[-1] == "pump.md"
    assert "no collection 'Manuel'" in wrong
    assert "top_k: Input should be greater than 0" in wrong
    assert "the API key is not known" in wrong
