"""One store for each test, on the engine in this process, on the double of a server, and on a real one if there is."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from qdrant_client import AsyncQdrantClient

from ragline.config.settings import Vectors
from ragline.connectors.vectors import layout, open_vectors
from ragline.connectors.vectors.protocol import VectorStore

from .made import DIMENSION
from .qdrant_double import qdrant_double

REAL_URL = os.environ.get("RAGLINE_TEST_QDRANT_URL")
REAL_KEY = os.environ.get("RAGLINE_TEST_QDRANT_API_KEY")


@pytest.fixture(scope="session")
def double_url() -> Iterator[str]:
    with qdrant_double() as url:
        yield url


@pytest.fixture(params=["edge", "double", *(["real"] if REAL_URL else [])])
def settings(request: pytest.FixtureRequest) -> Vectors:
    """The settings of each kind of store."""
    if request.param == "edge":
        return Vectors()
    if request.param == "double":
        return Vectors(url=request.getfixturevalue("double_url"))
    return Vectors(url=REAL_URL, api_key=SecretStr(REAL_KEY) if REAL_KEY else None)


@pytest.fixture
async def model_id(settings: Vectors) -> AsyncIterator[str]:
    """A model id of this test's own, whose collection is gone afterwards."""
    model_id = f"Test/Model:{uuid.uuid4()}"
    yield model_id
    if settings.url is not None:
        key = settings.api_key.get_secret_value() if settings.api_key else None
        client = AsyncQdrantClient(url=settings.url, api_key=key, check_compatibility=False)
        await client.delete_collection(layout.store_name(model_id))
        await client.close()


@pytest.fixture
async def store(settings: Vectors, model_id: str, tmp_path: Path) -> AsyncIterator[VectorStore]:
    store = await open_vectors(settings, folder=tmp_path, model_id=model_id, dimension=DIMENSION)
    yield store
    await store.close()
