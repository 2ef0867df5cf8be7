"""ModelRegistry over back ends on real ports."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from difflib import get_close_matches

import pytest

from ragline.config.settings import Connection
from ragline.connectors.models.forward import OllamaRoute
from ragline.connectors.models.ollama import OllamaBackend
from ragline.connectors.models.openai import OpenAIBackend
from ragline.connectors.models.protocol import ModelBackend
from ragline.connectors.models.registry import ModelRegistry
from ragline.errors import BackendError, NotFound
from ragline.types import ChatRequest, Json, Model

from .loopback import Loopback

Open = Callable[..., ModelRegistry]


@dataclass
class Shelf:
    """A back end of our own: offers what stands on it, or fails with `error`."""

    name: str
    ids: list[str] = field(default_factory=list)
    error: str | None = None
    bug: Exception | None = None
    listed: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None
    closed: bool = False

    async def models(self) -> list[Model]:
        self.listed += 1
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise BackendError(self.error)
        if self.bug is not None:
            raise self.bug
        return [Model(id=id, backend=self.name, owned_by="function") for id in self.ids]

    async def chat(self, request: ChatRequest) -> Mapping[str, Json]:
        raise BackendError(f"{self.name}: only lists {request.model}")

    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        raise BackendError(f"{self.name}: only lists {request.model}")
        yield b""

    async def embeddings(self, model: str, texts: list[str]) -> list[list[float]]:
        raise BackendError(f"{self.name}: only lists {model}")

    async def close(self) -> None:
        self.closed = True


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def open_registry(clock: Clock) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        def opened(
            backends: Sequence[ModelBackend],
            aliases: Mapping[str, Sequence[str]] | None = None,
            *,
            list_ttl_s: float = 30,
            list_timeout_s: float = 1,
            prefixes: Mapping[str, str] | None = None,
        ) -> ModelRegistry:
            registry = ModelRegistry(
                backends,
                aliases=aliases or {},
                list_ttl_s=list_ttl_s,
                list_timeout_s=list_timeout_s,
                prefixes=prefixes or {},
                clock=clock,
            )
            stack.push_async_callback(registry.close)
            return registry

        yield opened


def ollama(url: str, name: str = "ollama") -> OllamaBackend:
    return OllamaBackend(Connection(name=name, kind="ollama", url=url))


def openai(url: str, name: str = "gateway") -> OpenAIBackend:
    return OpenAIBackend(Connection(name=name, kind="openai", url=url))


async def test_the_lists_of_all_back_ends_are_merged_in_order(open_registry: Open, loopback: Loopback) -> None:
    registry = open_registry([openai(f"{loopback.url}/v1"), ollama(loopback.url)])
    assert [(model.id, model.backend) for model in await registry.list()] == [
        ("echo", "gateway"),
        ("llama3.2:latest", "ollama"),
    ]
    assert registry.down == {}


async def found(registry: ModelRegistry, name: str) -> tuple[str, str]:
    """Return which back end serves a name, and its own name for it."""
    backend, model = await registry.find(name)
    return backend.name, model.id


async def test_of_two_models_with_one_name_the_first_keeps_it_and_both_can_be_reached(open_registry: Open) -> None:
    registry = open_registry([Shelf("one", ["a", "b"]), Shelf("two", ["b", "c"])])
    assert [(model.id, model.backend, model.own_id) for model in await registry.list()] == [
        ("a", "one", None),
        ("b", "one", None),
        ("two.b", "two", "b"),
        ("c", "two", None),
    ]
    assert [await found(registry, name) for name in ("b", "two.b", "one.b", "two.c")] == [
        ("one", "b"),
        ("two", "b"),
        ("one", "b"),
        ("two", "c"),
    ]


async def test_a_prefix_stands_before_the_names_and_the_back_end_keeps_its_own(open_registry: Open) -> None:
    shelves = [Shelf("one", ["a", "t:latest"]), Shelf("two", ["a", "b:latest"]), Shelf("three", ["a"])]
    registry = open_registry(shelves, {"alias": ["near.b"]}, prefixes={"two": "near", "three": "near"})
    assert [(model.id, model.backend, model.own_id) for model in await registry.list()] == [
        ("a", "one", None),
        ("t:latest", "one", None),
        ("near.a", "two", "a"),
        ("near.b:latest", "two", "b:latest"),
        ("three.a", "three", "a"),
        ("alias", "two", "b:latest"),
    ]
    assert [await found(registry, name) for name in ("near.a", "near.b", "two.b", "three.a", "alias")] == [
        ("two", "a"),
        ("two", "b:latest"),
        ("two", "b:latest"),
        ("three", "a"),
        ("two", "b:latest"),
    ]
    with pytest.raises(NotFound, match="model 'b' not found; GET /api/models lists"):
        await registry.find("b")


async def test_a_model_whose_names_are_all_taken_is_left_out_and_logged(
    open_registry: Open, caplog: pytest.LogCaptureFixture
) -> None:
    registry = open_registry([Shelf("one", ["a", "two.a"]), Shelf("two", ["a"])])
    assert [(model.id, model.backend) for model in await registry.list()] == [("a", "one"), ("two.a", "one")]
    assert "model left out backend=two id='a': its names are taken" in caplog.text


async def test_a_model_of_a_back_end_that_went_down_is_still_asked_of_it(open_registry: Open, clock: Clock) -> None:
    shelf = Shelf("shelf", ["a", "b:latest"])
    registry = open_registry([shelf, Shelf("other", ["c"])], {"alias": ["a", "c"]}, prefixes={"shelf": "my"})
    await registry.list()
    shelf.error = "unplugged"
    await registry.list(refresh=True)
    assert [model.id for model in await registry.list()] == ["c", "alias"]
    assert [await found(registry, name) for name in ("my.a", "my.b", "shelf.a")] == [
        ("shelf", "a"),
        ("shelf", "b:latest"),
        ("shelf", "a"),
    ]
    with pytest.raises(NotFound, match="shelf is down"):
        await registry.find("nowhere")


async def test_a_list_does_not_wait_for_a_back_end_that_is_known_to_be_down(open_registry: Open, clock: Clock) -> None:
    hanging = Shelf("hanging", ["a"], error="out")
    registry = open_registry([hanging, Shelf("shelf", ["b"])])
    await registry.list()
    hanging.gate, clock.now = asyncio.Event(), 31
    assert [model.id for model in await asyncio.wait_for(registry.list(), 0.5)] == ["b"]
    assert hanging.listed == 2


async def test_the_states_of_all_back_ends_are_told_without_waiting_again(open_registry: Open, clock: Clock) -> None:
    away = Shelf("away", error="out")
    registry = open_registry([away, Shelf("here", ["a"])])
    assert await registry.states() == {"away": False, "here": True}
    away.error, away.gate, clock.now = None, asyncio.Event(), 31
    assert await asyncio.wait_for(registry.states(), 0.5) == {"away": False, "here": True}
    away.gate.set()
    await registry.list(refresh=True)
    assert await registry.states() == {"away": True, "here": True}


async def test_dead_back_ends_do_not_block_the_others(
    open_registry: Open, loopback: Loopback, dead_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ragline")
    silent, refusing = ollama(f"{loopback.url}/slow", "silent"), ollama(dead_url, "refusing")
    registry = open_registry([silent, refusing, openai(f"{loopback.url}/v1")], list_timeout_s=0.5)
    began = time.monotonic()
    assert [model.id for model in await registry.list()] == ["echo"]
    assert time.monotonic() - began < 5
    assert registry.down["silent"] == "no list of models within 0.5 s"
    assert registry.down["refusing"].startswith("refusing: not reachable")
    await registry.list(refresh=True)
    assert len([record for record in caplog.records if "model back end down" in record.message]) == 2


ODD_LISTS = [
    pytest.param(b'{"data": [{"id": "odd", "created": 1e999}]}', id="infinite"),
    pytest.param(b'{"data": [{"id": "odd", "created": NaN}]}', id="not-a-number"),
    pytest.param(b'{"data": [{"id": "odd\\ud800"}]}', id="half-a-surrogate-pair"),
    pytest.param(b'{"data": ' + b"[" * 9000 + b"]" * 9000 + b"}", id="very-deep"),
    pytest.param(b'{"models": ' + b"[" * 9000 + b"]" * 9000 + b"}", id="very-deep-ollama"),
]


@pytest.mark.parametrize("odd_list", ODD_LISTS)
async def test_a_malformed_list_takes_nothing_from_the_others(
    open_registry: Open, loopback: Loopback, odd_list: bytes
) -> None:
    loopback.odd_list = odd_list
    odd = [openai(f"{loopback.url}/odd", "odd"), ollama(f"{loopback.url}/odd", "odd-ollama")]
    registry = open_registry([*odd, openai(f"{loopback.url}/v1")])
    assert [model.id for model in await registry.list()] == ["echo"]
    assert "odd" in registry.down


@pytest.mark.parametrize(
    "details",
    [
        pytest.param(b'"id": "odd", "x": ' + b"[" * 500 + b"]" * 500, id="deep"),
        pytest.param(b'"id": [[]], "created": 1e300', id="no-name"),
    ],
)
async def test_a_model_that_cannot_be_shown_is_left_out(
    open_registry: Open, loopback: Loopback, details: bytes
) -> None:
    loopback.odd_list = b'{"data": [{' + details + b'}, {"id": "good", "created": 1e300}, {"id": "\xc3\xa9"}]}'
    registry = open_registry([openai(f"{loopback.url}/odd", "odd")])
    assert [(model.id, model.created) for model in await registry.list()] == [("good", 0), ("é", 0)]
    assert registry.down == {}


async def test_a_back_end_with_a_bug_is_down_and_its_traceback_logged(
    open_registry: Open, caplog: pytest.LogCaptureFixture
) -> None:
    registry = open_registry([Shelf("buggy", bug=ZeroDivisionError("oops")), Shelf("shelf", ["a"])])
    assert [model.id for model in await registry.list()] == ["a"]
    assert registry.down == {"buggy": "ZeroDivisionError: oops; the traceback is in the server's log"}
    assert "Traceback" in caplog.text


async def test_an_unknown_name_of_any_length_is_compared_and_echoed_in_part(
    open_registry: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def close_matches(name: str, names: Sequence[str], **limits: int) -> list[str]:
        compared.append(name)  # the longer, the longer it takes
        return get_close_matches(name, names, **limits)

    monkeypatch.setattr("ragline.connectors.models.registry.get_close_matches", close_matches)
    registry = open_registry([Shelf("shelf", ["mistral:7b"])])
    with pytest.raises(NotFound) as caught:
        await registry.find("mistral" * 1_000_000)
    assert len(str(caught.value)) < 200
    assert [len(name) < 200 for name in compared] == [True]


async def test_a_back_end_that_comes_back_is_listed_and_logged(
    open_registry: Open, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ragline")
    shelf = Shelf("shelf", ["a"], error="out for lunch")
    registry = open_registry([shelf])
    assert await registry.list() == []
    assert registry.down == {"shelf": "out for lunch"}
    shelf.error = None
    clock.now = 31
    assert await registry.list() == [], "it is asked meanwhile"
    await asyncio.sleep(0)
    assert [model.id for model in await registry.list()] == ["a"]
    assert registry.down == {}
    assert [record.message for record in caplog.records] == [
        "model back end down name=shelf reason=out for lunch",
        "model back end is back name=shelf models=1",
    ]


async def test_lists_are_kept_for_their_time_unless_refreshed(open_registry: Open, clock: Clock) -> None:
    shelf = Shelf("shelf", ["a"])
    registry = open_registry([shelf])
    await registry.list()
    clock.now = 29
    await registry.list()
    assert shelf.listed == 1
    await registry.list(refresh=True)
    assert shelf.listed == 2
    clock.now = 60
    await registry.list()
    assert shelf.listed == 3


async def test_many_who_ask_at_once_ask_the_back_end_once(open_registry: Open) -> None:
    shelf = Shelf("shelf", ["a"], gate=asyncio.Event())
    registry = open_registry([shelf])
    askers = [asyncio.create_task(registry.find("a")) for _ in range(5)]
    await shelf.asked.wait()
    askers[0].cancel()
    assert shelf.gate is not None
    shelf.gate.set()
    found = await asyncio.gather(*askers, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert [answer[1].id for answer in found[1:] if not isinstance(answer, BaseException)] == ["a"] * 4
    assert shelf.listed == 1


async def test_a_name_without_its_tag_finds_the_latest(open_registry: Open, loopback: Loopback) -> None:
    registry = open_registry([ollama(loopback.url)], {"llama3.2": ["extractive"]})
    backend, model = await registry.find("llama3.2")
    assert (backend.name, model.id) == ("ollama", "llama3.2:latest")


async def test_an_alias_leads_to_its_first_target_that_exists(open_registry: Open) -> None:
    aliases = {"gpt-4-turbo": ["smollm2:135m", "extractive"], "served": ["extractive"], "lost": ["nowhere"]}
    registry = open_registry([Shelf("functions", ["extractive", "served"])], aliases)
    assert [(model.id, model.alias_of, model.owned_by) for model in await registry.list()] == [
        ("extractive", None, "function"),
        ("served", None, "function"),
        ("gpt-4-turbo", "extractive", "function"),
    ]
    backend, model = await registry.find("gpt-4-turbo")
    assert (backend.name, model.id, model.alias_of) == ("functions", "extractive", None)
    with pytest.raises(NotFound):
        await registry.find("lost")


async def test_an_alias_is_not_listed_where_its_latest_tag_is_served(open_registry: Open) -> None:
    registry = open_registry([Shelf("shelf", ["llama3.2:latest", "b"])], {"llama3.2": ["b"]})
    assert [model.id for model in await registry.list()] == ["llama3.2:latest", "b"]


async def test_an_unknown_name_is_refused_with_its_neighbours_and_the_dead(open_registry: Open) -> None:
    registry = open_registry([Shelf("shelf", ["mistral:7b", "qwen:1b"]), Shelf("away", error="unplugged")])
    with pytest.raises(NotFound) as caught:
        await registry.find("mistrall")
    assert str(caught.value) == "model 'mistrall' not found; nearest: 'mistral:7b'; away is down"


async def test_without_any_model_the_error_says_so(open_registry: Open) -> None:
    registry = open_registry([Shelf("shelf")])
    with pytest.raises(NotFound, match="model 'a' not found; no back end offers any model"):
        await registry.find("a")


async def test_a_model_that_was_just_added_is_found(open_registry: Open, clock: Clock) -> None:
    shelf = Shelf("shelf", ["a"])
    registry = open_registry([shelf])
    await registry.find("a")
    shelf.ids.append("new")
    clock.now = 1
    _, model = await registry.find("new")
    assert model.id == "new"


async def test_unknown_names_do_not_ask_the_back_ends_each_time(open_registry: Open) -> None:
    shelf = Shelf("shelf", ["a"])
    registry = open_registry([shelf])
    for _ in range(3):
        with pytest.raises(NotFound):
            await registry.find("b")
    assert shelf.listed == 1


async def test_a_known_name_does_not_wait_for_a_list_grown_old(open_registry: Open, clock: Clock) -> None:
    shelf = Shelf("shelf", ["a"])
    registry = open_registry([shelf])
    await registry.find("a")
    shelf.gate = asyncio.Event()
    clock.now = 31
    _, model = await asyncio.wait_for(registry.find("a"), 0.5)
    assert model.id == "a"
    shelf.gate.set()
    await registry.list()
    assert shelf.listed == 2


async def test_the_ollama_route_is_the_first_that_is_reachable(
    open_registry: Open, loopback: Loopback, dead_url: str
) -> None:
    registry = open_registry([Shelf("shelf", ["a"]), ollama(dead_url, "away"), ollama(loopback.url, "here")])
    route = await registry.ollama_backend()
    assert isinstance(route, OllamaBackend)
    assert route.name == "here"


async def test_all_reachable_ollamas_are_routes_and_a_model_leads_to_its_own(
    open_registry: Open, loopback: Loopback, dead_url: str
) -> None:
    first, second = ollama(loopback.url, "first"), ollama(loopback.url, "second")
    registry = open_registry([ollama(dead_url, "away"), first, openai(f"{loopback.url}/v1"), second])
    assert await registry.ollama_backends() == [first, second]
    assert await registry.ollama_of("llama3.2") == (first, "llama3.2:latest")
    assert await registry.ollama_of("second.llama3.2") == (second, "llama3.2:latest")
    assert [await registry.ollama_of(name) for name in ("echo", "nowhere")] == [None, None]


async def test_without_a_reachable_ollama_there_is_no_route(open_registry: Open, dead_url: str) -> None:
    registry = open_registry([Shelf("shelf", ["a"]), ollama(dead_url)])
    assert await registry.ollama_backend() is None


async def test_closing_closes_every_back_end() -> None:
    shelves = [Shelf("one", gate=asyncio.Event()), Shelf("two")]
    registry = ModelRegistry(shelves, aliases={}, list_ttl_s=1, list_timeout_s=1)
    waiting = asyncio.create_task(registry.list())
    await shelves[0].asked.wait()
    await registry.close()
    assert [shelf.closed for shelf in shelves] == [True, True]
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_an_ollama_back_end_is_a_route_and_an_openai_one_is_not() -> None:
    assert issubclass(OllamaBackend, OllamaRoute)
    assert not issubclass(OpenAIBackend, OllamaRoute)
