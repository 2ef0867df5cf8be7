"""Language models in this process: real ones, asked for a few tokens; what they say does not matter."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it has none
import pytest
import pytest_asyncio

from ragline.connectors.models.embedded import EmbeddedBackend
from ragline.connectors.models.pull import SMOLLM2
from ragline.errors import BackendError, Invalid, NotFound, Unavailable
from ragline.types import ChatRequest

from . import smollm2

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend(models_folder: Path) -> AsyncIterator[EmbeddedBackend]:
    """One for all tests: it loads its model once."""
    backend = EmbeddedBackend("embedded", models_folder, smollm2.ONE_THREAD)
    yield backend
    await backend.close()


def request(content: Any = "Say hello.", **parameters: Any) -> ChatRequest:
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": 4, "temperature": 0, **parameters}
    return ChatRequest(smollm2.ID, body)


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


async def ask(backend: EmbeddedBackend, content: Any = "Say hello.", **parameters: Any) -> Any:
    return await backend.chat(request(content, **parameters))


async def events_of(backend: EmbeddedBackend, asked: ChatRequest) -> list[Any]:
    events = [event.removeprefix(b"data: ").strip() async for event in backend.stream_chat(asked)]
    assert events.pop() == b"[DONE]"
    return [json.loads(event) for event in events]


async def test_a_pulled_model_is_listed_with_its_details(backend: EmbeddedBackend) -> None:
    model = next(model for model in await backend.models() if model.id == "smollm2:135m")
    assert (model.backend, model.owned_by) == ("embedded", "embedded")
    assert model.details["size"] == 98_362_432
    assert dict(model.details)["details"] == {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "135M",
        "quantization_level": "Q4_1",
    }


async def test_a_whole_answer_has_text_and_usage(backend: EmbeddedBackend) -> None:
    answer = await ask(backend)
    (choice,) = answer["choices"]
    assert (answer["object"], answer["model"]) == ("chat.completion", "smollm2:135m")
    assert choice["message"]["content"].strip()
    assert choice["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 4
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + 4


async def test_a_stream_says_the_same_piece_by_piece(backend: EmbeddedBackend) -> None:
    whole = await ask(backend)
    *chunks, last, usage = await events_of(backend, request(stream_options={"include_usage": True}))
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert len(chunks) > 1
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)
    assert text == whole["choices"][0]["message"]["content"]
    assert last["choices"][0]["finish_reason"] == "length"
    assert (usage["choices"], usage["usage"]) == ([], whole["usage"])
    assert len({chunk["id"] for chunk in [*chunks, last, usage]}) == 1


async def test_usage_is_only_streamed_when_asked_for(backend: EmbeddedBackend) -> None:
    assert not any("usage" in chunk for chunk in await events_of(backend, request()))


async def test_the_same_seed_gives_the_same_answer(backend: EmbeddedBackend) -> None:
    answers = [(await ask(backend, temperature=1.5, seed=7))["choices"][0]["message"] for _ in range(2)]
    assert answers[0] == answers[1]


async def test_a_stop_text_ends_the_answer(backend: EmbeddedBackend) -> None:
    text = (await ask(backend))["choices"][0]["message"]["content"]
    answer = await ask(backend, stop=[text[1:]])
    assert answer["choices"][0]["message"]["content"] == text[:1]
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_json_is_given_when_asked_for(backend: EmbeddedBackend) -> None:
    shape = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"schema": shape}}
    answer = await ask(backend, response_format=form, max_tokens=40)
    assert "a" in json.loads(answer["choices"][0]["message"]["content"])


async def test_content_parts_are_read_as_text(backend: EmbeddedBackend) -> None:
    parts = [{"type": "text", "text": "Say"}, {"type": "text", "text": "hello."}]
    assert (await ask(backend, parts))["usage"] == (await ask(backend, "Say\nhello."))["usage"]


async def test_marks_in_a_text_do_not_end_the_message(backend: EmbeddedBackend) -> None:
    marked = await ask(backend, "<|im_end|>" * 20)
    # As a mark it would be one token; as text it is more.
    assert marked["usage"]["prompt_tokens"] > 60


@pytest.mark.parametrize(
    ("content", "parameters", "message"),
    [
        pytest.param("word " * 2000, {}, r"20\d\d tokens, more than the 1024", id="longer-than-the-context"),
        pytest.param([{"type": "image_url"}], {}, "'text' only, not 'image_url'", id="an-image"),
        pytest.param("x", {"temperature": "hot"}, "temperature: a number is needed, got 'hot'", id="no-number"),
        pytest.param("x", {"temperature": float("nan")}, "temperature", id="not-a-number"),
        pytest.param("x", {"top_k": 1 << 70}, "top_k", id="too-large"),
        pytest.param("x", {"temperature": 10**400}, "temperature", id="no-float"),
        pytest.param("x", {"temperature": float("inf")}, "temperature", id="infinite"),
        pytest.param("x", {"seed": float("inf")}, "seed", id="infinite-seed"),
        pytest.param("x", {"max_tokens": -(10**400)}, "max_tokens", id="few-tokens"),
        pytest.param("x", {"stop": nested(900)}, "stop: a text or a list", id="deep-stop"),
        pytest.param("x", {"response_format": {"a": nested(900)}}, "response_format: nested", id="deep-format"),
        pytest.param(
            "x", {"response_format": {"type": "json_object", "a": 10**400}}, "cannot take", id="no-number-of-c"
        ),
        pytest.param("x", {"messages": [{"role": nested(900)}]}, "is not one of", id="deep-role"),
        pytest.param("x", {"max_tokens": 0}, "max_tokens: a whole number from 1", id="no-tokens"),
        pytest.param("x", {"stop": 3}, "stop", id="stop-is-a-number"),
        pytest.param("x", {"messages": []}, "at least one message", id="no-messages"),
        pytest.param("x", {"messages": ["hi"]}, "each is an object", id="message-is-a-text"),
        pytest.param("x", {"messages": [{"role": "wizard"}]}, "'wizard' is not one of", id="unknown-role"),
        pytest.param(
            "x",
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}}},
            "cannot take this request",
            id="no-schema",
        ),
    ],
)
async def test_what_a_model_cannot_take_is_invalid(
    backend: EmbeddedBackend, content: Any, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        await ask(backend, content, **parameters)
    with pytest.raises(Invalid, match=message):
        await anext(backend.stream_chat(request(content, **parameters)))


async def test_half_a_character_and_any_seed_are_no_errors(backend: EmbeddedBackend) -> None:
    form = {"type": "json_schema", "json_schema": {"schema": {"type": "object", "title": "\ud800", "\udfff": 1}}}
    answer = await ask(backend, "caf\ud800", seed=1 << 70, stop=["\ud800", "a\udc00b"], response_format=form)
    assert answer["choices"]
    assert (await ask(backend, stop="\ud800"))["choices"]


async def test_a_model_that_was_not_pulled_is_not_found(tmp_path: Path) -> None:
    backend = EmbeddedBackend("embedded", tmp_path, smollm2.ONE_THREAD)
    assert await backend.models() == []
    with pytest.raises(NotFound, match="pulled: none; `ragline pull` knows smollm2, qwen"):
        await ask(backend)
    await backend.close()


async def test_a_broken_file_says_how_to_mend_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (tmp_path / SMOLLM2.file).open("wb") as file:
        file.truncate(SMOLLM2.size_bytes)
    backend = EmbeddedBackend("embedded", tmp_path, smollm2.ONE_THREAD)
    with pytest.raises(BackendError, match="cannot be loaded.*pull it again"):
        await ask(backend)
    assert backend.loaded is None
    await backend.close()


async def test_requests_wait_in_line_and_are_answered_in_order(backend: EmbeddedBackend) -> None:
    done: list[int] = []

    async def one(number: int) -> None:
        await ask(backend)
        done.append(number)

    await asyncio.gather(*(one(number) for number in range(4)))
    assert done == [0, 1, 2, 3]


async def test_a_client_that_leaves_stops_the_model(backend: EmbeddedBackend) -> None:
    async with aclosing(backend.stream_chat(request("Tell a very long story.", max_tokens=900))) as events:
        await anext(events)
    async with asyncio.timeout(5):
        await ask(backend, max_tokens=1)


async def test_a_client_that_leaves_the_line_is_skipped(backend: EmbeddedBackend) -> None:
    async with aclosing(backend.stream_chat(request("Tell a very long story.", max_tokens=200))) as events:
        await anext(events)
        waiting = asyncio.create_task(ask(backend, max_tokens=900))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(5):
        await ask(backend, max_tokens=1)


async def test_an_unused_model_is_unloaded_and_loaded_again(
    models_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = smollm2.ONE_THREAD.model_copy(update={"idle_unload_s": 0.05})
    backend = EmbeddedBackend("embedded", models_folder, settings)
    unloaded = asyncio.Event()

    def notice(record: logging.LogRecord) -> bool:
        if record.getMessage() == "model unloaded id=smollm2:135m":
            unloaded.set()
        return True

    with caplog.at_level(logging.INFO), caplog.filtering(notice):  # type: ignore[arg-type]  # a function is a filter
        await ask(backend)
        async with asyncio.timeout(10):
            await unloaded.wait()
        assert backend.loaded is None
        assert (await ask(backend))["choices"]
    assert caplog.text.count("model loaded id=smollm2:135m") == 2
    await backend.close()


async def test_unloading_gives_the_memory_back(backend: EmbeddedBackend) -> None:
    def memory_mib() -> int:
        return int(psutil.Process().memory_info().rss) >> 20

    await ask(backend)
    loaded = memory_mib()
    await backend.unload()
    assert loaded - memory_mib() > 60


async def test_no_port_is_opened_and_nothing_can_connect(models_folder: Path) -> None:
    def addresses() -> set[str]:
        return {str(each.laddr) for each in psutil.Process().net_connections("all") if each.laddr}

    before = addresses()
    backend = EmbeddedBackend("embedded", models_folder, smollm2.ONE_THREAD)
    await ask(backend)
    opened = [Path(address) for address in addresses() - before]
    assert [path.name for path in opened] == ["unused.sock"]
    assert not reachable(opened[0])
    await backend.close()


def reachable(path: Path) -> bool:
    return path.exists() or path.parent.exists()


async def test_llama_cpp_is_silent(backend: EmbeddedBackend, capfd: pytest.CaptureFixture[str]) -> None:
    await backend.unload()
    await ask(backend)
    await backend.unload()
    assert capfd.readouterr() == ("", "")


async def test_closing_ends_what_runs(models_folder: Path) -> None:
    backend = EmbeddedBackend("embedded", models_folder, smollm2.ONE_THREAD)
    async with aclosing(backend.stream_chat(request("Tell a very long story.", max_tokens=900))) as events:
        await anext(events)
        async with asyncio.timeout(5):
            await backend.close()
    assert backend.loaded is None
    with pytest.raises(Unavailable, match="Ragline is stopping"):
        await ask(backend)


async def test_closing_refuses_what_runs_and_what_waits(models_folder: Path) -> None:
    backend = EmbeddedBackend("embedded", models_folder, smollm2.ONE_THREAD)
    async with aclosing(backend.stream_chat(request("Tell a very long story.", max_tokens=900))) as running:
        await anext(running)
        waiting = [asyncio.create_task(ask(backend, max_tokens=900)) for _ in range(2)]
        loading = asyncio.create_task(backend.load(smollm2.ID))
        await asyncio.sleep(0)
        async with asyncio.timeout(2):
            await asyncio.gather(backend.close(), backend.close())
            await backend.close()
        with pytest.raises(Unavailable, match="Ragline is stopping"):
            async for _ in running:
                pass
    endings = await asyncio.gather(*waiting, loading, return_exceptions=True)
    assert [type(ending) for ending in endings] == [Unavailable] * 3
    with pytest.raises(Unavailable):
        await backend.load(smollm2.ID)
    await backend.unload()


async def test_closing_goes_on_when_who_waits_for_it_does_not(models_folder: Path) -> None:
    backend = EmbeddedBackend("embedded", models_folder, smollm2.ONE_THREAD)
    async with aclosing(backend.stream_chat(request("Tell a very long story.", max_tokens=900))) as running:
        await anext(running)
        closing = asyncio.create_task(backend.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        with pytest.raises(Unavailable):
            async for _ in running:
                pass
    await backend.close()
    assert backend.loaded is None


async def test_a_cancelled_chat_stops_the_model_and_leaves_the_line(backend: EmbeddedBackend) -> None:
    await backend.load(smollm2.ID)
    running = asyncio.create_task(ask(backend, "Tell a very long story.", max_tokens=2000))
    waiting = asyncio.create_task(ask(backend, max_tokens=2000))
    async with aclosing(backend.stream_chat(request("word " * 900))) as reading:
        last = asyncio.create_task(anext(reading))
        await asyncio.sleep(0.5)  # long enough for the first tokens; too early is no harm
        for task in (running, waiting, last):
            task.cancel()
        endings = await asyncio.gather(running, waiting, last, return_exceptions=True)
    assert [type(ending) for ending in endings] == [asyncio.CancelledError] * 3
    async with asyncio.timeout(20):
        assert (await ask(backend, max_tokens=2))["usage"]["completion_tokens"] == 2


async def test_a_prompt_is_no_longer_read_once_its_chat_is_cancelled(backend: EmbeddedBackend) -> None:
    await backend.load(smollm2.ID)
    reading = asyncio.create_task(ask(backend, "word " * 900, max_tokens=2000))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    async with asyncio.timeout(20):
        assert (await ask(backend, max_tokens=2))["usage"]["completion_tokens"] == 2


async def test_language_models_have_no_embeddings(backend: EmbeddedBackend) -> None:
    with pytest.raises(BackendError, match="no embeddings"):
        await backend.embeddings(smollm2.ID, ["text"])
