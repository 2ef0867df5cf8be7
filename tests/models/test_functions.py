"""Function models through their back end: what they may yield, how they fail, and that nothing they do harms others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from ragline.connectors.models.functions import FunctionsBackend
from ragline.errors import BackendError, BackendTimeout, Invalid, RaglineError, Unavailable
from ragline.functions import Request
from ragline.types import Asker, ChatRequest, Chunk, Context, Hit, Json, Passage, Source

CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "météo", "arguments": '{"ville":'}}
REST_OF_CALL = {"index": 0, "function": {"arguments": ' "Orléans"}'}}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@dataclass
class Made:
    """A function model whose `chat` is any callable."""

    chat: Callable[[Request], object]
    id: str = "made"
    name: str = "Made"


def backend(chat: Callable[[Request], Any], *others: Made, timeout_s: float = 5) -> FunctionsBackend:
    return FunctionsBackend("mine", [Made(chat), *others], timeout_s=timeout_s)


@contextlib.asynccontextmanager
async def opened(chat: Callable[[Request], Any], **more: Any) -> AsyncIterator[FunctionsBackend]:
    made = backend(chat, **more)
    try:
        yield made
    finally:
        await made.close()


async def whole(chat: Callable[[Request], Any], request: ChatRequest | None = None, **more: Any) -> Any:
    async with opened(chat, **more) as made:
        return json.loads(json.dumps(await made.chat(request or ChatRequest("made", {}))))


async def streamed(chat: Callable[[Request], Any]) -> list[Any]:
    async with opened(chat) as made:
        events = [event async for event in made.stream_chat(ChatRequest("made", {}))]
    assert events[-1] == b"data: [DONE]\n\n"
    return [json.loads(event[6:]) for event in events[:-1]]


async def async_pieces(_: Request) -> AsyncIterator[str]:
    yield "é"
    yield "té"


async def coroutine(_: Request) -> str:
    return "été"


async def coroutine_of_pieces(request: Request) -> AsyncIterator[str]:
    return async_pieces(request)


def plain_pieces(_: Request) -> Iterator[str]:
    yield "é"
    yield "té"


def calling(chat: Callable[[Request], Any], request: Request) -> object:
    return chat(request)


class Callee:
    async def __call__(self, _: Request) -> str:
        return "été"


@pytest.mark.parametrize(
    "chat",
    [
        pytest.param(async_pieces, id="async-generator"),
        pytest.param(coroutine, id="coroutine"),
        pytest.param(coroutine_of_pieces, id="coroutine-of-a-generator"),
        pytest.param(plain_pieces, id="generator"),
        pytest.param(lambda _: "été", id="function"),
        pytest.param(lambda _: ["é", "té"], id="list"),
        pytest.param(partial(calling, async_pieces), id="function-of-an-async-generator"),
        pytest.param(partial(calling, coroutine), id="function-of-a-coroutine"),
        pytest.param(Callee(), id="object"),
        pytest.param(lambda _: {"content": "été"}, id="delta"),
        pytest.param(lambda _: {"choices": [{"delta": {"content": "été"}}]}, id="chunk"),
        pytest.param(lambda _: {"choices": [{"message": {"content": "été"}}], "id": "x"}, id="completion"),
    ],
)
async def test_a_function_may_answer_in_any_way_python_has(chat: Callable[[Request], Any]) -> None:
    answer = await whole(chat)
    assert answer["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "été"},
        "finish_reason": "stop",
        "logprobs": None,
    }
    events = await streamed(chat)
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events) == "été"
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert len({event["id"] for event in events}) == 1


async def calls_a_tool(_: Request) -> AsyncIterator[object]:
    yield {"reasoning_content": "je "}
    yield {"reasoning_content": "pense"}
    yield {"tool_calls": [CALL]}
    yield {"choices": [{"delta": {"tool_calls": [REST_OF_CALL]}, "finish_reason": "tool_calls"}]}
    yield {"usage": USAGE}


async def test_tool_calls_and_usage_come_whole_and_in_a_stream() -> None:
    answer = await whole(calls_a_tool)
    [choice] = answer["choices"]
    joined = {"name": "météo", "arguments": '{"ville": "Orléans"}'}
    assert choice["message"]["tool_calls"] == [{"index": 0, "id": "call_1", "type": "function", "function": joined}]
    assert choice["message"]["reasoning_content"] == "je pense"
    assert (choice["finish_reason"], answer["usage"]) == ("tool_calls", USAGE)
    events = await streamed(calls_a_tool)
    assert [event["choices"][0]["delta"] for event in events[3:5]] == [
        {"tool_calls": [CALL]},
        {"tool_calls": [REST_OF_CALL]},
    ]
    assert (events[-1]["choices"][0]["finish_reason"], events[-1]["usage"]) == ("tool_calls", USAGE)


async def test_chunks_of_the_openai_client_may_be_passed_on() -> None:
    from openai.types.chat import ChatCompletionChunk

    chunk = ChatCompletionChunk.model_validate(
        {
            "id": "x",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "other",
            "choices": [{"index": 0, "delta": {"content": "été"}, "finish_reason": None}],
        }
    )
    answer = await whole(lambda _: [chunk])
    assert (answer["choices"][0]["message"]["content"], answer["model"]) == ("été", "made")


async def test_half_a_character_and_no_number_can_be_sent_all_the_same() -> None:
    answer = await whole(lambda _: ["a\ud800", {"usage": {"total_tokens": 1, "cost": float("nan")}}])
    assert answer["choices"][0]["message"]["content"] == "a?"
    assert answer["usage"] == {"total_tokens": 1, "cost": None}


def leaves(_: Request) -> str:
    sys.exit("bye")


async def leaves_later(_: Request) -> AsyncIterator[str]:
    yield "é"
    raise SystemExit(3)


def interrupts(_: Request) -> Iterator[str]:
    raise KeyboardInterrupt
    yield ""


async def cancels_itself(_: Request) -> str:
    raise asyncio.CancelledError


def stops(_: Request) -> str:
    raise StopIteration


async def nothing(_: Request) -> None:
    pass


def secret(_: Request) -> str:
    raise FileNotFoundError("/home/ada/secret")


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        pytest.param(leaves, "function 'made' failed: SystemExit;", id="sys-exit"),
        pytest.param(leaves_later, "function 'made' failed: SystemExit;", id="sys-exit-later"),
        pytest.param(interrupts, "function 'made' failed: KeyboardInterrupt;", id="keyboard-interrupt"),
        pytest.param(cancels_itself, "function 'made' failed: CancelledError;", id="cancelled"),
        pytest.param(stops, "function 'made' failed: StopIteration;", id="stop-iteration"),
        pytest.param(secret, "function 'made' failed: FileNotFoundError;", id="path"),
        pytest.param(lambda: "", "function 'made' failed: TypeError;", id="arguments"),
        pytest.param(nothing, "function 'made': gave NoneType instead of text", id="none"),
        pytest.param(lambda _: 42, "function 'made': gave int instead of text", id="number"),
        pytest.param(lambda _: b"ab", "function 'made': gave int instead of text", id="bytes"),
        pytest.param(lambda _: [{"txet": "a"}], "function 'made': gave a dict with txet instead of", id="unknown-dict"),
        pytest.param(lambda _: {"content": 1}, "a dict whose `content` is no text", id="content"),
        pytest.param(lambda _: {"usage": {1, 2}}, "a dict that is no JSON", id="no-json"),
    ],
)
async def test_whatever_a_function_does_wrong_names_it_and_tells_nothing_more(
    chat: Callable[[Request], Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    threads = threading.active_count()
    with pytest.raises(BackendError) as caught:
        await whole(chat)
    assert said in str(caught.value)
    assert "/home" not in str(caught.value)
    assert [record.levelno for record in caplog.records if "id=made" in record.message] == [logging.ERROR]
    for _ in range(100):
        if threading.active_count() <= threads:
            break
        await asyncio.sleep(0.01)
    assert threading.active_count() <= threads


async def test_after_an_exit_the_next_chat_is_answered() -> None:
    asked = 0

    async def exits_once(_: Request) -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            _task = asyncio.get_running_loop().create_task(exits())
            await asyncio.sleep(0.05)
        return "encore là"

    async def exits() -> None:
        raise SystemExit(1)

    async with opened(exits_once) as made:
        for _ in range(2):
            answer: Any = await made.chat(ChatRequest("made", {}))
            assert answer["choices"][0]["message"]["content"] == "encore là"


async def test_an_error_of_ragline_stays_what_it_is() -> None:
    def refuses(_: Request) -> str:
        raise Invalid("la question est trop longue")

    with pytest.raises(Invalid, match="trop longue"):
        await whole(refuses)


async def sleeps(_: Request) -> AsyncIterator[str]:
    yield "a"
    time.sleep(2)  # noqa: ASYNC251  # as beginners write it
    yield "b"


async def test_code_that_blocks_leaves_the_server_free() -> None:
    longest = 0.0
    async with opened(sleeps) as made:
        work = asyncio.ensure_future(made.chat(ChatRequest("made", {})))
        while not work.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        assert longest < 1.5
        answer: Any = work.result()
        assert answer["choices"][0]["message"]["content"] == "ab"


async def test_plain_functions_answer_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=5)

    def waits_for_the_others(_: Request) -> str:
        return str(meeting.wait() >= 0)

    async with opened(waits_for_the_others) as made:
        answers: Sequence[Any] = await asyncio.gather(*(made.chat(ChatRequest("made", {})) for _ in range(3)))
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == ["True"] * 3


async def test_a_function_that_blocks_for_ever_is_given_up_and_the_next_chat_gets_a_new_thread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    freed, first = threading.Event(), True

    async def blocks_once(_: Request) -> str:
        nonlocal first
        if first:
            first = False
            freed.wait(20)
        return "libre"

    async with opened(blocks_once, timeout_s=0.3) as made:
        with pytest.raises(BackendTimeout, match="function 'made': silent for 0.3 s; raise the connection's timeout_s"):
            await made.chat(ChatRequest("made", {}))
        for _ in range(300):
            if "blocks its thread" in caplog.text:
                break
            await asyncio.sleep(0.01)
        answer: Any = await made.chat(ChatRequest("made", {}))
        freed.set()
    assert answer["choices"][0]["message"]["content"] == "libre"


@dataclass
class Watcher:
    """A function that goes on for ever, and what became of it."""

    ended: threading.Event = field(default_factory=threading.Event)
    yielded: int = 0

    async def awaiting(self, _: Request) -> AsyncIterator[str]:
        try:
            yield "é"
            await asyncio.sleep(60)
        finally:
            self.ended.set()

    async def yielding(self, _: Request) -> AsyncIterator[str]:
        try:
            while True:
                self.yielded += 1
                yield "é"
        finally:
            self.ended.set()

    def plain(self, _: Request) -> Iterator[str]:
        try:
            while True:
                self.yielded += 1
                yield "é"
        finally:
            self.ended.set()


@pytest.mark.parametrize("kind", ["awaiting", "yielding", "plain"])
async def test_a_client_that_leaves_ends_the_function(kind: str) -> None:
    watcher = Watcher()
    async with opened(getattr(watcher, kind)) as made:
        async with aclosing(made.stream_chat(ChatRequest("made", {}))) as events:
            assert b"assistant" in await anext(events)
            await anext(events)
        assert await asyncio.to_thread(watcher.ended.wait, 5)
    assert watcher.yielded < 100, "a function is held back while nobody reads"


async def test_a_chat_that_is_cancelled_ends_the_function() -> None:
    watcher = Watcher()
    async with opened(watcher.awaiting) as made:
        work = asyncio.ensure_future(made.chat(ChatRequest("made", {})))
        await asyncio.sleep(0.1)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert await asyncio.to_thread(watcher.ended.wait, 5)


async def test_closing_breaks_off_what_is_being_answered() -> None:
    watcher = Watcher()
    async with opened(watcher.awaiting) as made:
        work = asyncio.ensure_future(made.chat(ChatRequest("made", {})))
        await asyncio.sleep(0.1)
        await made.close()
        with pytest.raises(Unavailable, match="stopping"):
            await work
        assert await asyncio.to_thread(watcher.ended.wait, 5)


CHUNK = Chunk(index=0, text="La garantie dure 27 mois.", start=0, end=25, heading="Garantie", page=2, language="fr")
FOUND = Context(
    "garantie", [Source(1, "f1", "zéphyr.pdf", [Hit(Passage("p", "f1", "v", "u", "zéphyr.pdf", CHUNK), 0.9, 0.8)])]
)


ADA = Asker("u1", "Ada", "user")


@dataclass
class Told:
    """What a function can reach, without a server."""

    user: Asker = ADA
    messages: Sequence[Mapping[str, Json]] = ({"role": "user", "content": "Quelle garantie ?"},)
    question: str = "Quelle garantie ?"
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    searched: list[Any] = field(default_factory=list)
    closed: bool = False

    async def search(
        self, text: str, *, files: Sequence[str], collections: Sequence[str], limit: int | None
    ) -> Context:
        assert asyncio.get_running_loop() is self.loop
        self.searched.append((text, files, collections, limit))
        return FOUND

    async def stream(
        self, model: str, messages: Sequence[Mapping[str, Json]], parameters: Mapping[str, Json]
    ) -> AsyncGenerator[bytes, None]:
        assert asyncio.get_running_loop() is self.loop
        try:
            for delta in ({"content": f"{model}: "}, {"content": str(messages[-1]["content"])}):
                yield b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"
            last: Json = {"choices": [{"delta": {}, "finish_reason": "length"}], "usage": dict(parameters)}
            yield b"data: " + json.dumps(last).encode() + b"\n\ndata: [DONE]\n\n"
            await asyncio.sleep(0 if parameters else 60)
        finally:
            self.closed = True


def with_reach(told: Told) -> ChatRequest:
    prompt: Json = [{"role": "user", "content": "<context>…"}]
    body: dict[str, Json] = {"model": "made", "messages": prompt, "temperature": 0.5, "stream": True}
    return ChatRequest("made", body, FOUND, "fr", told)


async def test_a_request_tells_what_was_asked_by_whom_and_what_was_retrieved() -> None:
    seen: list[Request] = []

    def keeps(request: Request) -> str:
        seen.append(request)
        return ""

    await whole(keeps, with_reach(Told()))
    [request] = seen
    assert (request.question, request.language, request.model) == ("Quelle garantie ?", "fr", "made")
    assert (request.user.id, request.user.name, request.user.role) == ("u1", "Ada", "user")
    assert request.parameters == {"temperature": 0.5}
    assert (request.messages[0]["content"], request.prompt[0]["content"]) == ("Quelle garantie ?", "<context>…")
    assert request.context is not None
    [passage] = request.context
    assert (passage.text, passage.source, passage.name, passage.page) == (CHUNK.text, 1, "zéphyr.pdf", 2)
    assert passage.similarity == pytest.approx(0.9)


async def searches(request: Request) -> AsyncIterator[str]:
    for passage in await request.search("garantie", files=["f1"], limit=1):
        yield passage.text


def searches_plainly(request: Request) -> Iterator[str]:
    for passage in request.wait(request.search("garantie", files=["f1"], limit=1)):
        yield passage.text


@pytest.mark.parametrize("chat", [pytest.param(searches, id="async"), pytest.param(searches_plainly, id="plain")])
async def test_a_search_is_done_by_the_server(chat: Callable[[Request], Any]) -> None:
    told = Told()
    answer = await whole(chat, with_reach(told))
    assert answer["choices"][0]["message"]["content"] == CHUNK.text
    assert told.searched == [("garantie", ["f1"], (), 1)]


async def asks_another(request: Request) -> AsyncIterator[object]:
    async for piece in request.stream("autre", total_tokens=7):
        yield piece


async def test_another_models_answer_is_passed_on_with_all_it_has() -> None:
    answer = await whole(asks_another, with_reach(Told()))
    assert answer["choices"][0]["message"]["content"] == "autre: <context>…"
    assert (answer["choices"][0]["finish_reason"], answer["usage"]) == ("length", {"total_tokens": 7})


async def test_another_models_text_can_be_had_whole() -> None:
    async def shouts(request: Request) -> str:
        said = await request.complete("autre", [{"role": "user", "content": "été"}], total_tokens=1)
        return said.upper()

    answer = await whole(shouts, with_reach(Told()))
    assert answer["choices"][0]["message"]["content"] == "AUTRE: ÉTÉ"


async def test_a_client_that_leaves_ends_the_other_model_too() -> None:
    async def asks_for_ever(request: Request) -> AsyncIterator[object]:
        async for piece in request.stream("autre"):
            yield piece

    told = Told()
    async with opened(asks_for_ever) as made:
        async with aclosing(made.stream_chat(with_reach(told))) as events:
            for _ in range(3):
                await anext(events)
        for _ in range(200):
            if told.closed:
                break
            await asyncio.sleep(0.01)
    assert told.closed


async def test_a_request_made_by_hand_says_that_it_has_no_server() -> None:
    with pytest.raises(RaglineError, match="not made by a server"):
        await Request(question="Pourquoi ?").search("ciel")


async def test_waiting_in_an_async_function_is_refused_and_not_for_ever() -> None:
    async def waits(request: Request) -> str:
        request.wait(request.search("a"))
        return ""

    with pytest.raises(BackendError, match="RuntimeError"):
        await whole(waits, with_reach(Told()))
