"""The Qdrant server: what goes wrong between it and us."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from qdrant_client import AsyncQdrantClient, models

from ragline.config.settings import Vectors
from ragline.connectors.vectors import layout, open_vectors
from ragline.errors import SetupError, Unavailable
from ragline.types import Scope

from .made import DIMENSION, point, query
from .qdrant_double import qdrant_double


@pytest.fixture
def dead_url() -> Iterator[str]:
    """An address that refuses connections: bound, so that nothing else takes it, but not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


async def test_a_server_that_cannot_be_reached_is_named(dead_url: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=dead_url) as caught:
        await open_vectors(Vectors(url=dead_url), folder=tmp_path, model_id="m", dimension=DIMENSION)
    assert caught.value.retryable


async def test_a_server_lost_later_is_named(tmp_path: Path) -> None:
    with qdrant_double() as url:
        store = await open_vectors(Vectors(url=url), folder=tmp_path, model_id="m", dimension=DIMENSION)
        await store.stage([point("an apple")], version="v1")
    with pytest.raises(Unavailable, match=url):
        await store.candidates(query(), Scope(), limit=1)
    with pytest.raises(Unavailable, match=url):
        await store.publish("file-1", version="v1")
    await store.close()


@pytest.mark.parametrize("url", ["localhost:6333:1", "ftp://", "http://[::1"])
async def test_what_is_no_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="url"):
        await open_vectors(Vectors(url=url), folder=tmp_path, model_id="m", dimension=DIMENSION)


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection:UserWarning")
async def test_the_api_key_is_sent_and_a_wrong_one_refused(tmp_path: Path) -> None:
    with qdrant_double(api_key="right") as url:
        settings = Vectors(url=url, api_key=SecretStr("right"))
        store = await open_vectors(settings, folder=tmp_path, model_id="m", dimension=DIMENSION)
        assert await store.count() == 0
        await store.close()
        for wrong in (Vectors(url=url, api_key=SecretStr("wrong")), Vectors(url=url)):
            with pytest.raises(SetupError, match=r"refuses vectors\.api_key"):
                await open_vectors(wrong, folder=tmp_path, model_id="m", dimension=DIMENSION)


async def test_processes_that_start_at_once_make_one_collection(double_url: str, tmp_path: Path) -> None:
    settings = Vectors(url=double_url)
    stores = await asyncio.gather(
        *(open_vectors(settings, folder=tmp_path, model_id="at-once", dimension=DIMENSION) for _ in range(5))
    )
    await stores[0].stage([point("an apple")], version="v1")
    assert [await store.count() for store in stores] == [1] * 5
    for store in stores:
        await store.close()


async def test_a_collection_that_is_not_ours_is_left_alone(double_url: str, tmp_path: Path) -> None:
    client = AsyncQdrantClient(url=double_url, check_compatibility=False)
    await client.create_collection(
        layout.store_name("foreign"), vectors_config=models.VectorParams(size=4, distance=models.Distance.DOT)
    )
    await client.close()
    with pytest.raises(SetupError, match="not made by Ragline"):
        await open_vectors(Vectors(url=double_url), folder=tmp_path, model_id="foreign", dimension=DIMENSION)
