"""Real and hostile files of others, listed with what a right parser finds in them in shared/data/docs/manifest.json."""

from __future__ import annotations

import json
import re
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
from ragline.pipelines.parse import content_type_of, document_text, parse

DOCS = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "docs"

NOT_YET = {
    "d003": "needs OCR",
    "d008": "needs OCR",
    "d012": "the file says 'Main document' and, in its footer, 'para1': the manifest's snippet is not in it",
    "d014": ".doc, the format of Word before 2007, needs LibreOffice",
    "d015": ".ppt, the format of PowerPoint before 2007, needs LibreOffice",
    "d020": ".xls, the format of Excel before 2007",
    "d031": ".msg, a mail saved by Outlook",
    "d032": ".msg",
    "d047": "needs OCR",
    "d048": "needs OCR",
    "d049": "archives are not unpacked",
    "d056": ".ods, a spreadsheet of LibreOffice",
    "d057": ".odp, a presentation of LibreOffice",
    "d063": "needs OCR",
    "d071": ".msg",
    "d096": "the letters are printed 4 points apart, which reads as spaces between them",
}
"""Rows whose text is not found, and why. A row that starts to pass must leave this table."""


@dataclass(frozen=True)
class Row:
    id: str
    path: Path
    fails: bool
    must_contain: tuple[str, ...]
    must_not_contain: tuple[str, ...]


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
        )
        for row in json.loads(manifest.read_text())["files"]
    ]


ROWS = [pytest.param(row, id=f"{row.id}-{row.path.name}") for row in rows()]
pytestmark = pytest.mark.skipif(not ROWS, reason="the shared documents are not beside the repository")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[Workers]:
    pool = Workers(Parsing(workers=1, memory_mb=1024))
    yield pool
    await pool.close()


async def read(workers: Workers, path: Path) -> str:
    with path.open("rb") as file:
        content_type = content_type_of(path.name, file.read(4096))
    elements = await workers.run(parse, path, path.name, content_type, max_chars=50_000_000, timeout_s=30)
    return document_text(elements)[0]


def normal(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text))


def missing(row: Row, text: str) -> list[str]:
    return [snippet for snippet in row.must_contain if normal(snippet) not in normal(text)]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_document_gives_its_text_or_a_clean_error(workers: Workers, row: Row) -> None:
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
