"""The promise of ingestion, tried the hard way: a real server is killed ten times while it ingests 200 real files."""

from __future__ import annotations

import asyncio
import io
import json
import random
import re
import sqlite3
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest

from ragline.app import open_app
from ragline.config.settings import Database, Settings
from ragline.connectors.records.store import open_records
from ragline.errors import UnsupportedFile
from ragline.pipelines.audit import Finding, audit
from ragline.pipelines.parse import content_type_of
from tests.conftest import SHARED
from tests.http.running import Running, start

pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="reads real documents from ../shared")

KILLS = 10
FILES = 200
DOCUMENTS = 40
"""Files of real formats among them; the others are texts of the evaluation sets, French and English."""
DOCUMENT_BYTES = 60_000
TEXTS = 4
"""Texts of an evaluation set in one file."""
SEED = 20261122
SETTINGS = {"RAGLINE_LOG_LEVEL": "debug", "RAGLINE_QUEUE__RETRY_S": "0.5"}


def real_files() -> Iterator[tuple[str, bytes]]:
    """Give FILES files as (name, bytes), always the same ones."""
    listed = json.loads((SHARED / "data/docs/manifest.json").read_text())["files"]
    documents = []
    for each in listed:
        path = SHARED / "data/docs" / each["path"]
        if (
            each["expected"] == "ok"
            and not each["needs_ocr"]
            and path.is_file()
            and 0 < path.stat().st_size <= DOCUMENT_BYTES
        ):
            documents.append(path)
    taken = [path for path in documents if readable(path)][:DOCUMENTS]
    for path in taken:
        yield path.name, path.read_bytes()
    texts: list[str] = []
    for corpus in ("piaf_a", "xquad_en", "scifact"):
        with (SHARED / "data/beir" / corpus / "corpus.jsonl").open(encoding="utf-8") as lines:
            texts += [f"# {one['title']}\n\n{one['text']}" for one in map(json.loads, lines)][:400]
    random.Random(SEED).shuffle(texts)
    for number in range(FILES - len(taken)):
        part = texts[number * TEXTS : (number + 1) * TEXTS]
        yield f"texte-{number:03}.md", "\n\n".join(part).encode()


def readable(path: Path) -> bool:
    try:
        content_type_of(path.name, io.BytesIO(path.read_bytes()))
    except UnsupportedFile:
        return False
    return True


def upload(client: httpx.Client, name: str, content: bytes) -> str:
    """Return the id of the file once it is acknowledged."""
    answer = client.post("/api/v1/files/", files={"file": (name, content)})
    answer.raise_for_status()
    return str(answer.json()["id"])


def states(client: httpx.Client) -> dict[str, tuple[str, str | None]]:
    """Return status and error of all files by id."""
    found: dict[str, tuple[str, str | None]] = {}
    page = 1
    while items := client.get("/api/v1/files/", params={"page": page}).json()["items"]:
        found |= {item["id"]: (item["data"]["status"], item["data"].get("error")) for item in items}
        page += 1
    return found


def wait_until_done(client: httpx.Client, limit_s: float = 600) -> dict[str, tuple[str, str | None]]:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        known = states(client)
        if all(status in ("completed", "failed") for status, _ in known.values()):
            return known
        time.sleep(0.5)
    raise AssertionError(f"not done after {limit_s} s: {states(client)}")


def wait_for_work(running: Running) -> None:
    """Return when this process embeds something, or has nothing left to do."""
    with running.client() as client:
        while not embedded(running) and any(
            status in ("pending", "processing") for status, _ in states(client).values()
        ):
            time.sleep(0.1)


def embedded(running: Running) -> int:
    """Return how many texts this process began to embed."""
    return sum(map(int, re.findall(r"embedding texts=(\d+)", running.logged)))


def rows(data_dir: Path, query: str) -> list[tuple[str, int]]:
    database = sqlite3.connect(data_dir / "ragline.db")
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def chunk_counts(data_dir: Path) -> dict[str, int]:
    return dict(rows(data_dir, "SELECT filename, chunk_count FROM files WHERE status = 'completed'"))


@pytest.mark.timeout(1500)
def test_ten_kills_lose_double_and_strand_nothing(tmp_path: Path, models_folder: Path) -> None:
    dice = random.Random(SEED)
    files = list(real_files())
    assert len(files) == FILES
    killed = tmp_path / "killed"
    begun = 0
    accepted: dict[str, str] = {}
    waiting = iter(files)
    running = start(killed, models_folder, SETTINGS)
    for kill in range(KILLS):
        with running.client() as client:
            for name, content in islice(waiting, FILES // KILLS):
                accepted[upload(client, name, content)] = name
        if kill % 4 < 3:  # in the middle of embedding; else wherever it is
            wait_for_work(running)
        time.sleep(dice.uniform(0.0, 4.0))
        running.kill()
        begun += embedded(running)
        running = start(killed, models_folder, SETTINGS)
    with running.client() as client:
        known = wait_until_done(client)
    begun += embedded(running)
    running.stop()

    assert set(accepted) == set(known)
    unread = {accepted[file_id]: error for file_id, (status, error) in known.items() if status != "completed"}
    assert asyncio.run(findings(killed)) == []
    [(_, distinct)] = rows(killed, "SELECT 'distinct', count(*) FROM embeddings")
    interrupted = rows(killed, "SELECT 'tries', max(attempts) FROM files")
    print(f"tries of one file at most: {interrupted[0][1]}")
    print(f"{len(accepted)} files, {sum(chunk_counts(killed).values())} chunks, {distinct} distinct, {begun} embedded")
    assert distinct <= begun <= 1.1 * distinct

    quiet = tmp_path / "quiet"
    borrow_embeddings(quiet, killed)
    running = start(quiet, models_folder, SETTINGS)
    with running.client() as client:
        for name, content in files:
            upload(client, name, content)
        calm = wait_until_done(client)
    assert embedded(running) == 0
    running.stop()
    assert chunk_counts(quiet) == chunk_counts(killed)
    assert sorted(unread) == sorted(
        name for name, _ in rows(quiet, "SELECT filename, 0 FROM files WHERE status = 'failed'")
    )
    assert len(calm) == len(known)


async def findings(data_dir: Path) -> list[Finding]:
    async with open_app(Settings(data_dir=data_dir)) as app:
        return list((await audit(app, repair=False, grace_s=0.0)).findings)


def borrow_embeddings(data_dir: Path, other: Path) -> None:
    """Let an installation know what another one embedded: the uninterrupted run need not calculate it all again."""

    async def make_tables() -> None:
        records = await open_records(Database(), data_dir=data_dir)
        await records.close()

    data_dir.mkdir()
    asyncio.run(make_tables())
    database = sqlite3.connect(data_dir / "ragline.db")
    database.execute("ATTACH ? AS other", (str(other / "ragline.db"),))
    database.execute("INSERT INTO embeddings SELECT * FROM other.embeddings")
    database.commit()
    database.close()
