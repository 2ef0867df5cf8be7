"""Rerank servers: what they are sent, and those that fail."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ragline.config.load import load_settings
from ragline.config.settings import Reranker as Settings
from ragline.connectors.embedders.served import Refused
from ragline.connectors.rerankers import open_reranker
from ragline.connectors.rerankers.protocol import Reranker
from ragline.errors import BackendError, BackendTimeout, SetupError, Unavailable

from .loopback import BAD, STATUS, Loopback


async def opened(url: str, model: str = "words", **more: Any) -> Reranker:
    reranker = await open_reranker(Settings(kind="http", url=url, model=model, **more))
    assert reranker is not None
    return reranker


async def test_a_request_has_model_query_documents_and_the_key(loopback: Loopback) -> None:
    reranker = await opened(f"{loopback.url}/v1/", api_key=SecretStr("s3cret"))
    assert await reranker.rank("été à Nîmes", ["hiver", "un été à Nîmes"]) == [0.0, 3.0]
    await reranker.close()
    assert loopback.paths == ["/v1/rerank"]
    assert loopback.bodies == [{"model": "words", "query": "été à Nîmes", "documents": ["hiver", "un été à Nîmes"]}]
    assert loopback.keys == ["Bearer s3cret"]
    assert reranker.name == "words"


async def test_a_whole_address_is_taken_too_and_no_model_is_named_where_none_is_set(loopback: Loopback) -> None:
    reranker = await opened(f"{loopback.url}/v1/rerank", model="")
    assert await reranker.rank("a", ["a"]) == [1.0]
    await reranker.close()
    assert (loopback.paths, "model" in loopback.bodies[0], reranker.name) == (["/v1/rerank"], False, "127.0.0.1")


async def test_a_server_that_wants_texts_is_sent_texts_in_its_batches(loopback: Loopback) -> None:
    reranker = await opened(f"{loopback.url}/tei")
    scores = await reranker.rank("b", ["a"] * 40 + ["b"])
    assert scores == [0.0] * 40 + [1.0]
    assert [len(body.get("texts", ())) for body in loopback.bodies] == [0, 32, 9]
    await reranker.rank("b", ["a"])
    assert [len(body.get("texts", ())) for body in loopback.bodies] == [0, 32, 9, 1], "it is remembered"
    await reranker.close()


async def test_half_a_surrogate_pair_is_sent_as_json(loopback: Loopback) -> None:
    reranker = await opened(loopback.url)
    assert await reranker.rank("\ud800 a", ["a"]) == [1.0]
    await reranker.close()


@pytest.mark.parametrize("model", BAD)
async def test_an_answer_without_one_number_for_each_passage_is_an_error(loopback: Loopback, model: str) -> None:
    reranker = await opened(loopback.url, model)
    with pytest.raises(BackendError) as raised:
        await reranker.rank("a", ["a", "b"])
    assert type(raised.value) is BackendError
    assert f"The reranker at {loopback.url}/rerank answered" in str(raised.value)
    await reranker.close()


@pytest.mark.parametrize("model", STATUS)
async def test_a_refusal_tells_its_status_and_what_is_the_texts_fault_is_marked(loopback: Loopback, model: str) -> None:
    reranker = await opened(loopback.url, model, api_key=SecretStr("s3cret"))
    with pytest.raises(BackendError, match=f"answered {STATUS[model]}") as raised:
        await reranker.rank("a", ["a", "b"])
    assert isinstance(raised.value, Refused) == (model in ("long", "wrong"))
    assert ("reranker.api_key" in str(raised.value)) == (model == "locked")
    assert ("Ollama" in str(raised.value)) == (model == "missing")
    assert "s3cret" not in str(raised.value)
    await reranker.close()


async def test_a_server_that_hangs_is_left_after_the_timeout(loopback: Loopback) -> None:
    reranker = await opened(loopback.url, "hang", timeout_s=0.2)
    with pytest.raises(BackendTimeout, match=r"0\.2 s \(reranker\.timeout_s\)"):
        await reranker.rank("a", ["a"])
    await reranker.close()


async def test_who_goes_away_ends_the_request(loopback: Loopback) -> None:
    reranker = await opened(loopback.url, "hang", timeout_s=60)
    task = asyncio.create_task(reranker.rank("a", ["a"]))
    assert await asyncio.to_thread(loopback.asked.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(loopback.left.wait, 20)
    await reranker.close()


async def test_a_server_that_is_not_there_is_named_without_its_password(dead_url: str) -> None:
    reranker = await opened(dead_url.replace("//", "//ada:geheim@"))
    with pytest.raises(Unavailable, match=f"{dead_url}/rerank") as raised:
        await reranker.rank("a", ["a"])
    assert "geheim" not in str(raised.value)
    await reranker.close()


@pytest.mark.parametrize("url", [None, "", "localhost:8080", "ftp://a", "http://", "http://[::1"])
async def test_an_address_that_is_none_is_refused(url: str | None) -> None:
    with pytest.raises(SetupError, match="reranker.url is"):
        await open_reranker(Settings(kind="http", url=url))


async def test_none_is_none() -> None:
    assert await open_reranker(Settings()) is None


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        pytest.param('kind = "folder"', "needs reranker.path", id="no path"),
        pytest.param('kind = "http"', "needs reranker.url", id="no url"),
        pytest.param('kind = "http"\nurl = "localhost"', "must start with http", id="no scheme"),
    ],
)
def test_settings_that_are_not_enough_are_explained(tmp_path: Path, lines: str, says: str) -> None:
    file = tmp_path / "ragline.toml"
    file.write_text(f"[reranker]\n{lines}\n", encoding="utf-8")
    with pytest.raises(SetupError, match=says):
        load_settings(toml=file)
