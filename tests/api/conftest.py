"""One installation a test, with a model server that answers in OpenAI's and Ollama's format and keeps what it saw."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.api.desk import Desk, open_desk
from tests.api.talker import Talker
from tests.models.loopback import Loopback
from tests.serving import served


@pytest.fixture(scope="session")
def model_server() -> Iterator[Loopback]:
    backend = Loopback()
    with served(backend) as backend.url:
        yield backend


@pytest.fixture(scope="module")
def talker() -> Iterator[Talker]:
    made = Talker()
    with served(made) as made.url:
        yield made


@pytest.fixture
def backend(model_server: Loopback) -> Loopback:
    model_server.forget()
    return model_server


@pytest.fixture
async def desk(tmp_path: Path, models_folder: Path, backend: Loopback) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, models_folder, backend_url=backend.url) as opened:
        yield opened
