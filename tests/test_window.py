"""The budget of a chat is that of its model: passages give way to the conversation, and a note says so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ragline.app import App
from ragline.config.settings import Retrieval
from ragline.retrieval.told import counted, events_counted, retrieval_of
from ragline.retrieval.window import ANSWER_TOKENS, FRAME_TOKENS, Budget, budget_of, prompt_tokens, window_of
from ragline.types import ChatRequest, Chunk, Context, Hit, Json, Model, Passage, Shown
from tests.api.desk import Desk, open_desk
from tests.models.loopback import Loopback
from tests.serving import served


class Backend:
    """A back end that answers nothing."""

    name = "b"

    async def models(self) -> list[Model]:
        return []

    async def chat(self, request: ChatRequest) -> Mapping[str, Json]:
        return {}

    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        yield b""

    async def embeddings(self, model: str, texts: list[str]) -> list[list[float]]:
        return []

    async def close(self) -> None: ...


class Asked(Backend):
    async def window(self, model: str) -> int | None:
        return {"small": 2048}.get(model)


def model(**details: Json) -> Model:
    return Model("small", "b", "openai", details=details)


@pytest.mark.parametrize(
    ("details", "window"),
    [
        pytest.param({"context_tokens": 4096}, 4096, id="ragline"),
        pytest.param({"max_model_len": 32768}, 32768, id="vllm"),
        pytest.param({"context_length": 8192}, 8192, id="openrouter"),
        pytest.param({"context_window": 131072}, 131072, id="groq"),
        pytest.param({"meta": {"n_ctx_train": 32768, "n_vocab": 9}}, 32768, id="llama.cpp"),
        pytest.param({"meta": {"n_ctx_train": 32768, "n_ctx": 4096}}, 4096, id="llama.cpp-started-with-less"),
        pytest.param({"max_context_length": 32768, "loaded_context_length": 4096}, 4096, id="lm-studio"),
        pytest.param({"context_length": None, "meta": []}, None, id="nothing"),
        pytest.param({"context_length": True, "max_model_len": "4096", "context_window": -1}, None, id="odd"),
        pytest.param({"context_length": 10**40}, None, id="beyond"),
    ],
)
async def test_a_server_says_how_much_its_model_reads(details: dict[str, Json], window: int | None) -> None:
    assert await window_of(Backend(), model(**details)) == window
    assert await window_of(Asked(), model(**details)) == 2048


def app_with(**more: Any) -> App:
    """An app whose tokens are words."""
    embedder = SimpleNamespace(count_tokens=lambda texts: [len(text.split()) for text in texts])
    return cast(App, SimpleNamespace(embedder=embedder, settings=SimpleNamespace(retrieval=Retrieval(**more))))


async def budget(words: int, *, window: int | None = 8192, language: str = "fr", **parameters: Json) -> Budget:
    said: list[Mapping[str, Json]] = [{"role": "user", "content": "écluse " * words}]
    details: dict[str, Json] = {"context_window": window}
    return await budget_of(app_with(), Backend(), model(**details), said, parameters=parameters, language=language)


async def test_without_a_window_the_settings_are_the_budget() -> None:
    found = await budget(10_000, window=None)
    assert (found.passages, found.room.tokens, found.history, found.note) == (3000, 32_000, 10_008, "")


async def test_passages_take_a_quarter_of_the_window_whole_documents_half() -> None:
    found = await budget(10)
    assert (found.passages, found.room.tokens, found.window) == (2048, 4096, 8192)
    assert found.room.limit == "50% of the 8192 tokens that 'small' reads"


async def test_passages_give_way_to_the_conversation() -> None:
    found = await budget(5000)
    left = int((8192 - ANSWER_TOKENS) / 1.25) - 5008 - FRAME_TOKENS
    assert (found.passages, found.note) == (left, "")
    assert found.room.tokens == left
    assert found.room.limit.startswith("what the conversation leaves")
    assert (await budget(5000, max_tokens=1200)).passages == 425  # int((8192 - 1200) / 1.25) - 5008 - 160
    assert (await budget(0, max_tokens=10**9)).passages == 2048


@pytest.mark.parametrize(("words", "said"), [(5950, "ne laisse pas de place"), (9000, "dépasse à elle seule")])
async def test_a_conversation_that_fills_the_window_leaves_no_passages_and_says_so(words: int, said: str) -> None:
    found = await budget(words)
    assert found.passages == 0
    assert said in found.note
    assert "8192 tokens" in found.note
    assert "(by estimate)" in (await budget(words, language="en")).note


def test_the_length_of_a_prompt_is_told_where_it_may_be_long() -> None:
    short, long = Budget(0, room=None, history=300), Budget(0, room=None, history=4000)  # type: ignore[arg-type]  # not looked at
    hit = Hit(Passage("p", "f", "v", "u", "n", Chunk(0, "x", 0, 1, "", None, "fr")), 1.0, 1.0)
    context = Context("?", tokens=1000, shown=(Shown(1, hit),))
    assert prompt_tokens(short, Context("?")) is None
    assert prompt_tokens(long, Context("?")) == 5000
    assert prompt_tokens(short, context) == int((300 + 1000 + FRAME_TOKENS + 40) * 1.25)


CONTEXT = Context("?", tokens=77, left_out=2, below=3, notes=("é",), searched="avant ?")


def test_what_is_said_of_the_retrieval() -> None:
    assert retrieval_of(CONTEXT) == {
        "context_tokens": 77,
        "left_out": 2,
        "not_relevant": 3,
        "searched": "avant ?",
        "notes": ["é"],
    }
    assert counted({"total_tokens": 5}, CONTEXT) == {"total_tokens": 5, "context_tokens": 77}
    assert counted(None, CONTEXT) == {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "context_tokens": 77,
    }


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        pytest.param(
            b'data: {"choices": [], "usage": {"total_tokens": 5}}\n\n',
            b'data: {"choices": [], "usage": {"total_tokens": 5, "context_tokens": 77}}\n\n',
            id="usage",
        ),
        pytest.param(
            b'data:{"usage":{}}\r\n\r\ndata: [DONE]\r\n\r\n',
            b'data: {"usage": {"context_tokens": 77}}\r\n\r\ndata: [DONE]\r\n\r\n',
            id="carriage-returns",
        ),
        pytest.param(b'data: {"usage":null,"a":1.0}\n\n', b'data: {"usage":null,"a":1.0}\n\n', id="null"),
        pytest.param(b'data: {"a":  "\\"usage\\""}\n\n', b'data: {"a":  "\\"usage\\""}\n\n', id="in-a-text"),
        pytest.param(b': "usage" {}\n\n', b': "usage" {}\n\n', id="comment"),
        pytest.param(b'data: {"usage": {\n\n', b'data: {"usage": {\n\n', id="no-json"),
        pytest.param(b'data: {"choices":  []}\n\n', b'data: {"choices":  []}\n\n', id="others-byte-for-byte"),
    ],
)
def test_only_the_usage_of_a_stream_is_changed(sent: bytes, passed_on: bytes) -> None:
    assert events_counted(sent, CONTEXT) == passed_on


NOTE = "La garantie de la pompe Zéphyr dure 27 mois."


@pytest.fixture
async def desk(tmp_path: Path, models_folder: Path) -> AsyncIterator[tuple[Desk, Loopback]]:
    backend = Loopback()
    with served(backend) as backend.url:
        async with open_desk(tmp_path, models_folder, backend_url=backend.url) as opened:
            yield opened, backend


async def test_an_answer_says_how_its_passages_were_found_and_ollama_gets_its_room(
    desk: tuple[Desk, Loopback],
) -> None:
    opened, backend = desk
    backend.window = {"model_info": {"general.architecture": "llama", "llama.context_length": 8192}}
    file = await opened.upload(opened.admin, "zéphyr.txt", NOTE)
    said = ["Quelle est la garantie de la pompe Zéphyr ?", "27 mois [1].", "Et en années ?"]
    body: dict[str, Any] = {
        "model": "llama3.2:latest",
        "messages": [{"role": "assistant" if n == 1 else "user", "content": text} for n, text in enumerate(said)],
        "files": [{"type": "file", "id": file}],
    }
    answer = (await opened.admin.client.post("/api/chat/completions", json=body)).json()
    tokens = opened.app.embedder.count_tokens([NOTE])[0]
    assert answer["retrieval"] == {
        "context_tokens": tokens,
        "left_out": 0,
        "not_relevant": 0,
        "searched": "Quelle est la garantie de la pompe Zéphyr ? Et en années ?",
        "notes": [],
    }
    assert (answer["usage"]["context_tokens"], answer["usage"]["total_tokens"]) == (tokens, 30)
    assert backend.seen[-1].body["options"] == {"num_ctx": 4096}
    streamed = (await opened.admin.client.post("/api/chat/completions", json=body | {"stream": True})).text
    assert streamed.startswith('data: {"sources": [')
    assert streamed.split("\n\n")[0].endswith(f'"searched": "{said[0]} {said[2]}", "notes": []}}}}')
    assert f'"context_tokens": {tokens}}}}}' in streamed.split("data: [DONE]")[0]


async def test_a_conversation_too_long_for_its_model_goes_on_without_passages_and_says_so(
    desk: tuple[Desk, Loopback],
) -> None:
    opened, backend = desk
    backend.window = {"model_info": {"general.architecture": "llama", "llama.context_length": 2048}}
    file = await opened.upload(opened.admin, "zéphyr.txt", NOTE)
    long = "Raconte la Loire. " * 600
    body: dict[str, Any] = {
        "model": "llama3.2:latest",
        "messages": [
            {"role": "user", "content": long},
            {"role": "assistant", "content": "Elle coule."},
            {"role": "user", "content": "Quelle est la garantie de la pompe Zéphyr ?"},
        ],
        "files": [{"type": "file", "id": file}],
    }
    answer = (await opened.admin.client.post("/api/chat/completions", json=body)).json()
    assert answer["sources"][0]["document"] == []
    assert answer["retrieval"]["left_out"] == 1
    [note] = answer["retrieval"]["notes"]
    assert "dépasse à elle seule les 2048 tokens" in note
    sent = backend.seen[-1].body
    assert [len(message["content"]) for message in sent["messages"]][:2] == [len(long), len("Elle coule.")]
    assert sent["messages"][-1] == body["messages"][-1]
    assert sent["options"] == {"num_ctx": 2048}


async def test_a_question_that_no_passage_answers_is_told_to_the_model(desk: tuple[Desk, Loopback]) -> None:
    opened, backend = desk
    strict = opened.app.settings.retrieval.model_copy(update={"min_relevance": 1.0})
    settings = opened.app.settings.model_copy(update={"retrieval": strict})
    opened.api.state.app = replace(opened.app, settings=settings)
    file = await opened.upload(opened.admin, "zéphyr.txt", NOTE)
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": "Quelle est la hauteur de la tour Eiffel ?"}],
        "files": [{"type": "file", "id": file}],
    }
    answer = (await opened.admin.client.post("/api/chat/completions", json=body | {"model": "echo"})).json()
    assert (answer["retrieval"]["not_relevant"], answer["sources"][0]["document"]) == (1, [])
    prompt = backend.seen[-1].body["messages"][-1]["content"]
    assert prompt.startswith("Les documents de cette conversation ont été parcourus")
    answer = (await opened.admin.client.post("/api/chat/completions", json=body | {"model": "extractive"})).json()
    assert "aucun passage" in answer["choices"][0]["message"]["content"]
