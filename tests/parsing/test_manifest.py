"""Real and hostile files of others, listed with what a right parser finds in them in shared/data/docs/manifest.json."""

from __future__ import annotations

import json
import re
import shutil
import time
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from ragline.config.settings import Parsing
from ragline.connectors.workers import Workers
from ragline.errors import ParseFailed, UnsupportedFile
from ragline.pipelines.parse import content_type_of, document_text
from ragline.pipelines.read import read_document
from ragline.pipelines.reading import Options

DOCS = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "docs"

LIMITS = Parsing(workers=2, memory_mb=1024, time_limit_s=30)

NOT_YET = {
    "d012": "the file says 'Main document' and, in its footer, 'para1': the manifest's snippet is not in it",
}
"""Rows whose text is not found, and why. A row that starts to pass must leave this table."""


@dataclass(frozen=True)
class Row:
    id: str
    path: Path
    fails: bool
    must_contain: tuple[str, ...]
    must_not_contain: tuple[str, ...]
    needs_ocr: bool


def rows() -> list[Row]:
    manifest = DOCS / "manifest.json"
    if not manifest.exists():
        return []
    return [
        Row(
            row["id"],
            DOCS / row["path"],
            row["expected"] == "clean_error",
            tuple(row["must_contain"]),
            tuple(row.get("must_not_contain", ())),
            row["needs_ocr"],
        )
        for row in json.loads(manifest.read_text())["files"]
    ]


ROWS = [pytest.param(row, id=f"{row.id}-{row.path.name}") for row in rows()]
pytestmark = pytest.mark.skipif(not ROWS, reason="the shared documents are not beside the repository")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[Workers]:
    pool = Workers(LIMITS)
    yield pool
    await pool.close()


async def read(workers: Workers, path: Path) -> str:
    with path.open("rb") as file:
        content_type = content_type_of(path.name, file)
    parsed = await read_document(workers, LIMITS, path, path.name, content_type, options=Options.of(LIMITS))
    return document_text(parsed.elements)[0]


def normal(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text))


def missing(row: Row, text: str) -> list[str]:
    return [snippet for snippet in row.must_contain if normal(snippet) not in normal(text)]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_document_gives_its_text_or_a_clean_error(workers: Workers, row: Row) -> None:
    if row.needs_ocr and shutil.which("tesseract") is None:
        pytest.skip("tesseract is not installed: `make ocr`")
    start = time.monotonic()
    text, reason = "", ""
    try:
        text = await read(workers, row.path)
    except (ParseFailed, UnsupportedFile) as error:
        reason = str(error)
    assert (row.path.name in reason) or (text and not row.fails)
    assert time.monotonic() - start < 30
    assert not [snippet for snippet in row.must_not_contain if snippet in text]
    if row.id in NOT_YET:
        assert missing(row, text), "passes now: take it out of NOT_YET"
    else:
        assert missing(row, text) == []
