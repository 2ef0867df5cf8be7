"""The blocks in `docs/clients.md` run as they are, but for the address, the key and the file."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ragline.config.settings import Connection, Models

from .desk import Desk, open_desk
from .port import on_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "clients.md").read_text()
BLOCKS = dict(re.findall(r"^## ([\w]+)\n\n```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> AsyncIterator[Desk]:
    models = Models(connections=(Connection(name="embedded", kind="embedded"),), aliases={})
    async with open_desk(tmp_path_factory.mktemp("desk"), models_folder, models=models) as opened:
        yield opened


@pytest.mark.parametrize("client", ["openai", "ollama", "anthropic", "LlamaIndex", "LangChain"])
async def test_the_block_of_a_client_runs(desk: Desk, client: str) -> None:
    file_id = await desk.upload(
        desk.admin, "zéphyr.txt", f"La garantie de la pompe Zéphyr, vue par {client} : 27 mois."
    )
    async with on_port(desk.api) as url:
        block = BLOCKS[client].replace("http://127.0.0.1:3000", url)
        block = block.replace("sk-…", desk.admin.key).replace("your-file-id", file_id)
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", block], capture_output=True, text=True, timeout=90, check=False
        )
    assert done.returncode == 0, done.stderr
    assert ("384" in done.stdout) is (client in {"openai", "ollama", "LangChain"})
    assert ("zéphyr.txt" in done.stdout) is (client in {"openai", "anthropic"})
