"""How much an Ollama model reads is asked once, and `num_ctx` is set so that nothing is cut without a word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ragline.config.settings import Connection
from ragline.connectors.models.ollama import OllamaBackend
from ragline.connectors.models.ollama_window import Window, context_length, window_in
from ragline.types import ChatRequest, Json

from .loopback import Loopback

SHOWN: dict[str, Any] = {
    "parameters": 'num_ctx                        8192\nstop                           "<|eot_id|>"',
    "model_info": {"general.architecture": "llama", "llama.context_length": 131072, "clip.context_length": 77},
}


@pytest.fixture
async def backend(loopback: Loopback) -> AsyncIterator[OllamaBackend]:
    backend = OllamaBackend(Connection(name="ollama", kind="ollama", url=loopback.url, timeout_s=5))
    yield backend
    await backend.close()


@pytest.mark.parametrize(
    ("shown", "window"),
    [
        pytest.param(SHOWN, Window(131072, 8192), id="both"),
        pytest.param({"model_info": {"x.context_length": 4096}}, Window(4096), id="no-architecture"),
        pytest.param({"parameters": "num_ctx 2048\nnum_ctx 4096"}, Window(None, 4096), id="set-twice"),
        pytest.param({"parameters": 'stop "num_ctx 5"\nnum_ctx x\nnum_ctx'}, Window(), id="no-number"),
        pytest.param({"model_info": {"general.architecture": [], "a.context_length": True}}, Window(), id="odd"),
        pytest.param(
            {"model_info": {"a.context_length": -1}, "parameters": f"num_ctx {'9' * 999}"}, Window(), id="beyond"
        ),
        pytest.param({"model_info": None, "parameters": 5}, Window(), id="nothing"),
        pytest.param({"parameters": "num_ctx ²"}, Window(), id="superscript"),
    ],
)
def test_what_ollama_says_of_a_window_is_read(shown: dict[str, Json], window: Window) -> None:
    assert window_in(shown) == window


@pytest.mark.parametrize(
    ("prompt", "chosen", "window", "length"),
    [
        pytest.param(100, {}, Window(131072), 4096, id="never-below-what-ollama-takes-by-itself"),
        pytest.param(4000, {}, Window(131072), 6144, id="in-steps-of-2048"),
        pytest.param(5120, {}, Window(131072), 6144, id="exactly"),
        pytest.param(5121, {}, Window(131072), 8192, id="one-more"),
        pytest.param(4000, {"num_predict": 5000}, Window(131072), 10240, id="room-for-the-answer"),
        pytest.param(4000, {"num_predict": -1}, Window(131072), 6144, id="an-answer-without-limit"),
        pytest.param(50_000, {}, Window(8192), 8192, id="the-window-is-the-limit"),
        pytest.param(100, {}, Window(2048), 2048, id="a-small-window"),
        pytest.param(100, {}, Window(131072, 16384), 16384, id="never-below-the-modelfile"),
        pytest.param(100, {"num_ctx": 32768}, Window(131072, 16384), 32768, id="never-below-the-client"),
        pytest.param(9000, {"num_ctx": 2048}, Window(131072), 10240, id="more-than-the-client-where-it-needs-more"),
        pytest.param(9000, {}, Window(), 10240, id="window-not-known"),
        pytest.param(9000, {"num_ctx": "many"}, Window(), "many", id="no-number-is-left-to-ollama"),
    ],
)
def test_num_ctx_is_what_is_needed(prompt: int, chosen: dict[str, Json], window: Window, length: Json) -> None:
    assert context_length(prompt, chosen, window) == length


def chat(**more: Any) -> ChatRequest:
    body: dict[str, Json] = {"messages": [{"role": "user", "content": "Où ?"}]}
    return ChatRequest(model="llama3.2:latest", body=body, **more)


async def test_a_short_chat_without_passages_is_sent_as_it_is(backend: OllamaBackend, loopback: Loopback) -> None:
    loopback.window = SHOWN
    await backend.chat(chat())
    assert [seen.path for seen in loopback.seen] == ["/api/chat"]
    assert "options" not in loopback.seen[0].body


async def test_a_window_is_asked_once_and_num_ctx_set_in_whole_answers_and_streams(
    backend: OllamaBackend, loopback: Loopback
) -> None:
    loopback.window = SHOWN
    assert await backend.window("llama3.2:latest") == 131072
    await backend.chat(chat(prompt_tokens=9000))
    async for _ in backend.stream_chat(chat(prompt_tokens=9000)):
        pass
    assert [seen.path for seen in loopback.seen] == ["/api/show", "/api/chat", "/api/chat"]
    assert [seen.body["options"] for seen in loopback.seen[1:]] == [{"num_ctx": 10240}] * 2


async def test_an_ollama_that_does_not_say_it_is_not_asked_again(backend: OllamaBackend, loopback: Loopback) -> None:
    assert await backend.window("llama3.2:latest") is None
    await backend.chat(chat(prompt_tokens=9000))
    assert [seen.path for seen in loopback.seen] == ["/api/show", "/api/chat"]
    assert loopback.seen[1].body["options"] == {"num_ctx": 10240}


async def test_an_ollama_that_is_not_there_has_no_window(dead_url: str) -> None:
    backend = OllamaBackend(Connection(name="ollama", kind="ollama", url=dead_url, timeout_s=1))
    assert await backend.window("m") is None
    await backend.close()
