"""Embedding servers that fail, and what they are sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import SecretStr

from ragline.config.settings import Embedder as Settings
from ragline.connectors.embedders import open_embedder
from ragline.connectors.embedders.protocol import Embedder
from ragline.errors import BackendError, BackendTimeout, RaglineError, SetupError, Unavailable

from .loopback import Loopback

Kind = Literal["ollama", "openai"]
NOWHERE = Path("unused")
both = pytest.mark.parametrize("kind", ["ollama", "openai"])


async def opened(kind: Kind, url: str, model: str, **more: Any) -> Embedder:
    url = url if kind == "ollama" else f"{url}/v1"
    return await open_embedder(Settings(kind=kind, url=url, model=model, **more), folder=NOWHERE)


@both
@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        pytest.param("missing", BackendError, "404", id="no such model"),
        pytest.param("html", BackendError, "format", id="not an API"),
        pytest.param("zero", BackendError, "useless vectors", id="a vector of length 0"),
        pytest.param("empty", BackendError, "one text", id="an empty vector"),
        pytest.param("hang", BackendTimeout, "0.2 s", id="no answer"),
    ],
)
async def test_a_server_that_fails_is_named_with_its_model(
    loopback: Loopback, kind: Kind, model: str, error: type[RaglineError], says: str
) -> None:
    with pytest.raises(error) as raised:
        await opened(kind, loopback.url, model, timeout_s=0.2 if model == "hang" else 30)
    assert type(raised.value) is error
    for part in (says, loopback.url, repr(model)):
        assert part in str(raised.value)


@both
async def test_a_server_that_is_not_there_is_unavailable(dead_url: str, kind: Kind) -> None:
    with pytest.raises(Unavailable, match=dead_url):
        await opened(kind, dead_url, "words")


@both
async def test_too_few_vectors_are_an_error(loopback: Loopback, kind: Kind) -> None:
    embedder = await opened(kind, loopback.url, "few")
    with pytest.raises(BackendError, match="answered 2 texts with 1 vectors"):
        await embedder.embed_passages(["one", "two"])
    await embedder.close()


@both
async def test_a_call_holds_no_more_texts_than_the_batch_size(loopback: Loopback, kind: Kind) -> None:
    embedder = await opened(kind, loopback.url, "words", batch_size=3)
    loopback.bodies.clear()
    await embedder.embed_passages([f"text {number}" for number in range(7)])
    assert [len(body["input"]) for body in loopback.bodies] == [3, 3, 1]
    await embedder.close()


@both
async def test_the_key_is_sent_and_never_shown(loopback: Loopback, kind: Kind) -> None:
    embedder = await opened(kind, loopback.url, "words", api_key=SecretStr("s3cret"))
    assert set(loopback.keys) == {"Bearer s3cret"}
    with pytest.raises(BackendError) as raised:
        await opened(kind, loopback.url, "missing", api_key=SecretStr("s3cret"))
    assert "s3cret" not in str(raised.value)
    await embedder.close()


async def test_ollama_must_not_truncate_and_tells_how_much_the_model_reads(loopback: Loopback) -> None:
    embedder = await opened("ollama", loopback.url, "narrow")
    assert embedder.max_tokens == 100
    loopback.bodies.clear()
    await embedder.embed_passages(["word " * 300])
    assert all(body["truncate"] is False for body in loopback.bodies)
    assert max(len(text) for body in loopback.bodies for text in body["input"]) <= 300
    await embedder.close()


@both
async def test_prefixes_are_sent_and_a_passage_prefix_is_part_of_the_id(loopback: Loopback, kind: Kind) -> None:
    plain = await opened(kind, loopback.url, "words")
    embedder = await opened(kind, loopback.url, "words", query_prefix="query: ", passage_prefix="passage: ")
    loopback.bodies.clear()
    await embedder.embed_passages(["one"])
    await embedder.embed_query("two")
    assert [body["input"] for body in loopback.bodies] == [["passage: one"], ["query: two"]]
    assert embedder.model_id.startswith(f"{plain.model_id}/")
    await plain.close()
    await embedder.close()


async def test_tokens_are_estimated_from_bytes(loopback: Loopback) -> None:
    embedder = await opened("openai", loopback.url, "words")
    assert embedder.count_tokens(["", "abc", "abcd", "é", "漢字"]) == [0, 1, 2, 1, 2]
    await embedder.close()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        pytest.param(Settings(kind="openai", model="m"), "embedder.url is None", id="no url"),
        pytest.param(Settings(kind="openai", model="m", url="localhost:8000"), "'localhost:8000'", id="no scheme"),
        pytest.param(Settings(kind="ollama", model="m", url="ftp://a"), "'ftp://a'", id="not http"),
        pytest.param(Settings(model="nomic"), "'nomic'", id="another model packaged"),
    ],
)
async def test_wrong_settings_are_explained(settings: Settings, says: str) -> None:
    with pytest.raises(SetupError, match=says):
        await open_embedder(settings, folder=NOWHERE)
