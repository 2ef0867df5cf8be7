"""One server for all tests of the contract, with the shared model server as its OpenAI and its Ollama.

The folder is skipped where the shared contract is not beside the repository.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SHARED
from tests.http.running import start

from .house import House
from .stub import Stub, stub_of

SCRIPT = SHARED / "tools" / "model_stub.py"
CONTRACT = SHARED / "contract"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SCRIPT.exists() and CONTRACT.exists():
        return
    reason = "needs ../shared/contract and ../shared/tools/model_stub.py beside the repository"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


def settings_for(stub: Stub) -> dict[str, str]:
    """Return settings of a server whose only models are the stub's."""
    connections = [
        {"name": "open", "kind": "openai", "url": f"{stub.url}/v1"},
        {"name": "ollama", "kind": "ollama", "url": stub.url},
    ]
    return {
        "ENV": "dev",
        "RAGLINE_PREFECT__ENABLED": "false",
        "RAGLINE_PARSING__WORKERS": "1",
        "RAGLINE_MODELS__CONNECTIONS": json.dumps(connections),
        "RAGLINE_MODELS__ALIASES": "{}",
    }


@pytest.fixture(scope="session")
def stub() -> Iterator[Stub]:
    with stub_of(SCRIPT) as running:
        yield running


@pytest.fixture(scope="session")
def house(stub: Stub, tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[House]:
    running = start(tmp_path_factory.mktemp("contract"), models_folder, settings_for(stub))
    house = House(running, stub)
    yield house
    house.close()
    running.stop()


@pytest.fixture(scope="session")
def narrow(stub: Stub, tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[House]:
    """A second server as operators have it: not for development, open sign-up, uploads of at most 1 MB."""
    more = {"ENV": "prod", "RAGLINE_AUTH__SIGNUP": "open", "RAGLINE_SERVER__MAX_UPLOAD_BYTES": str(1 << 20)}
    running = start(tmp_path_factory.mktemp("narrow"), models_folder, settings_for(stub) | more)
    house = House(running, stub)
    yield house
    house.close()
    running.stop()


@pytest.fixture(scope="session")
def unlocked(stub: Stub, tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[House]:
    """A third one, on which nobody has to sign in."""
    more = {"RAGLINE_AUTH__ENABLED": "false"}
    running = start(tmp_path_factory.mktemp("unlocked"), models_folder, settings_for(stub) | more)
    house = House(running, stub)
    yield house
    house.close()
    running.stop()
