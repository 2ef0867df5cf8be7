"""The embedded engine: one process, writes that survive its death, a folder that always opens again."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ragline.config.settings import Vectors
from ragline.connectors.vectors import edge, layout, open_vectors
from ragline.errors import SetupError, Unavailable
from ragline.types import Scope

from .made import DIMENSION, point, query

MODEL = "test-model"

WRITE_AND_DIE = """
import asyncio, os, sys
from pathlib import Path
from ragline.config.settings import Vectors
from ragline.connectors.vectors import open_vectors
from ragline.connectors.vectors.protocol import Point
from ragline.types import Chunk, Passage, SparseVector

async def main() -> None:
    store = await open_vectors(Vectors(), folder=Path(sys.argv[1]), model_id="test-model", dimension=4)
    chunk = Chunk(index=0, text="survivor", start=0, end=8, heading="", page=None, language="en")
    point_id = "b4d1c9ae-58d5-5c6f-9f33-2f7e0d9d5d10"
    passage = Passage(id=point_id, file_id="f", version="v1", user_id="u", name="n", chunk=chunk)
    await store.stage([Point(passage, (), (1.0, 0.0, 0.0, 0.0), SparseVector((7,), (1.0,)))], version="v1")
    await store.publish("f", version="v1")
    os._exit(9)

asyncio.run(main())
"""

OPEN = """
import asyncio, sys
from pathlib import Path
from ragline.config.settings import Vectors
from ragline.connectors.vectors import open_vectors
from ragline.errors import SetupError

try:
    asyncio.run(open_vectors(Vectors(), folder=Path(sys.argv[1]), model_id="test-model", dimension=4))
except SetupError as error:
    print(error)
    sys.exit(3)
"""


async def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, str(folder)]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)


async def test_an_acknowledged_write_survives_the_death_of_the_process(tmp_path: Path) -> None:
    died = await run(WRITE_AND_DIE, tmp_path)
    assert (died.returncode, died.stderr) == (9, "")
    store = await open_vectors(Vectors(), folder=tmp_path, model_id=MODEL, dimension=DIMENSION)
    assert [passage.chunk.text for passage in await store.passages("f", version="v1")] == ["survivor"]
    [hit] = await store.candidates(query(), Scope(file_ids=frozenset({"f"})), limit=5)
    assert hit.cosine == pytest.approx(1.0)
    await store.close()


async def test_a_second_process_is_told_that_the_folder_is_in_use(tmp_path: Path) -> None:
    store = await open_vectors(Vectors(), folder=tmp_path, model_id=MODEL, dimension=DIMENSION)
    refused = await run(OPEN, tmp_path)
    assert refused.returncode == 3, refused.stderr
    assert "in use by another Ragline process" in refused.stdout
    await store.close()
    assert (await run(OPEN, tmp_path)).returncode == 0


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await open_vectors(Vectors(), folder=tmp_path, model_id=MODEL, dimension=DIMENSION)
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.count()


async def test_closing_waits_for_the_writes_under_way(tmp_path: Path) -> None:
    store = await open_vectors(Vectors(), folder=tmp_path, model_id=MODEL, dimension=DIMENSION)
    writing = asyncio.create_task(store.stage([point(f"{i}", index=i) for i in range(60)], version="v1"))
    await asyncio.sleep(0)
    await store.close()
    await writing
    again = await open_vectors(Vectors(), folder=tmp_path, model_id=MODEL, dimension=DIMENSION)
    assert await again.count() == 60
    await again.close()


async def test_a_start_that_died_while_making_the_folder_does_no_harm(tmp_path: Path) -> None:
    unfinished = tmp_path / (layout.store_name(MODEL) + ".new") / "segments"
    unfinished.mkdir(parents=True)
    store = await open_vectors(Vectors(), folder=tmp_path, model_id=MODEL, dimension=DIMENSION)
    assert await store.count() == 0
    await store.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param("{", id="cut-off"),
        pytest.param("{}", id="empty"),
        pytest.param('{"vectors": 1}', id="other-shape"),
    ],
)
async def test_a_damaged_folder_is_named(tmp_path: Path, content: str | None) -> None:
    store = await open_vectors(Vectors(), folder=tmp_path, model_id=MODEL, dimension=DIMENSION)
    await store.close()
    config = tmp_path / layout.store_name(MODEL) / "edge_config.json"
    config.unlink()
    if content is not None:
        config.write_text(content)
    with pytest.raises(SetupError, match="cannot be opened"):
        await open_vectors(Vectors(), folder=tmp_path, model_id=MODEL, dimension=DIMENSION)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be opened"):
        await open_vectors(Vectors(), folder=tmp_path / "file", model_id=MODEL, dimension=DIMENSION)


async def test_writes_are_out_of_the_log_soon_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "FLUSH_S", 0.01)
    store = await open_vectors(Vectors(), folder=tmp_path / "one", model_id=MODEL, dimension=DIMENSION)
    await store.stage([point("an apple")], version="v1")
    await store.publish("file-1", version="v1")
    async with asyncio.timeout(30):
        while any(task.get_name() == "flush" for task in asyncio.all_tasks()):  # noqa: ASYNC110  # no event there
            await asyncio.sleep(0.01)
    shutil.copytree(tmp_path / "one", tmp_path / "two")  # what a loss of power leaves: without the log
    shutil.rmtree(tmp_path / "two" / layout.store_name(MODEL) / "wal")
    again = await open_vectors(Vectors(), folder=tmp_path / "two", model_id=MODEL, dimension=DIMENSION)
    assert [passage.chunk.text for passage in await again.passages("file-1", version="v1")] == ["an apple"]
    await again.close()
    await store.close()
