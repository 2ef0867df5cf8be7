"""No document hurts: it is read, or fails with a reason, within the limits, and the next one is read all the same."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has none
import pytest
import pytest_asyncio

from ragline.config.settings import Parsing
from ragline.connectors.workers import Workers
from ragline.errors import ParseFailed, UnsupportedFile
from ragline.pipelines.parse import content_type_of, document_text
from ragline.pipelines.read import read_document
from ragline.pipelines.reading import Options
from tests.parsing.hostile import HOSTILE
from tests.parsing.samples import SENTENCE, samples

LIMITS = Parsing(
    workers=1,
    memory_mb=1024,
    time_limit_s=60,
    cpu_limit_s=10,
    max_text_chars=3_000_000,
    max_unpacked_mb=128,
    max_disk_mb=256,
)
TEXTS = (
    *["txt", "md", "html", "rst", "org", "tex", "adoc", "csv", "tsv", "json", "jsonl", "xml"],
    *["ipynb", "srt", "vtt", "py", "rtf", "eml", "mbox", "log", "yaml"],
)
SIGNS = ' \n\t#<*|[(&"\\a'
SLOW = ("org", "rst")
"""Pandoc reads them; it is stopped for each of the signs, which takes its time."""
MAY_CRASH = frozenset({"pdf with a form in itself"})
"""Where a library ends its process, which then fails this document alone."""
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workers]:
    pool = Workers(LIMITS, home=tmp_path_factory.mktemp("data"))
    yield pool
    await pool.close()


async def text_of(workers: Workers, path: Path) -> str:
    """Return what the document says. Raises ParseFailed and UnsupportedFile."""
    with path.open("rb") as file:
        content_type = content_type_of(path.name, file)
    parsed = await read_document(workers, LIMITS, path, path.name, content_type, options=Options.of(LIMITS))
    assert parsed.elements
    assert all(element.text.strip() and element.text.encode() for element in parsed.elements)
    return document_text(parsed.elements)[0]


async def survived(workers: Workers, folder: Path, name: str, content: bytes) -> str:
    """Read a document, or see it fail well; then a good one. Return the text or the reason."""
    path = folder / name
    path.write_bytes(content)
    before = psutil.Process().memory_info().rss
    try:
        said = await text_of(workers, path)
    except (ParseFailed, UnsupportedFile) as error:
        said = str(error)
        assert name in said or said.startswith("reading the file"), said
        assert str(folder) not in said, said
    assert psutil.Process().memory_info().rss - before < 256 << 20
    good = folder / "bon.txt"
    good.write_text(SENTENCE)
    assert await text_of(workers, good) == SENTENCE
    return said


@pytest.mark.parametrize("suffix", samples())
async def test_the_samples_are_good(workers: Workers, tmp_path: Path, suffix: str) -> None:
    if suffix == "png" and shutil.which("tesseract") is None:
        pytest.skip("tesseract is missing: `make ocr`")
    path = tmp_path / f"bon.{suffix}"
    path.write_bytes(samples()[suffix])
    text = await text_of(workers, path)
    assert SENTENCE in " ".join(text.split())


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_document_made_to_hurt_does_not(workers: Workers, tmp_path: Path, what: str) -> None:
    suffix, make = HOSTILE[what]
    started = time.monotonic()
    content = make()
    made = time.monotonic() - started
    said = await survived(workers, tmp_path, f"mal.{suffix}", content)
    assert "crashed" not in said or what in MAY_CRASH
    assert "pompepompe" * 100 not in said, "an entity was expanded"
    assert "root:" not in said, "a file of this machine was read"
    assert time.monotonic() - started - made < LIMITS.time_limit_s


@pytest.mark.parametrize("suffix", samples())
async def test_damaged_documents_fail_well(workers: Workers, tmp_path: Path, suffix: str) -> None:
    content = samples()[suffix]
    chance = random.Random(suffix)
    cuts = [content[: round(len(content) * share)] for share in (0, 0.01, 0.3, 0.6, 0.9, 0.99)]
    flipped = bytearray(content)
    for _ in range(20):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    noise = content[:8] + chance.randbytes(5000)
    for number, damaged in enumerate((*cuts, bytes(flipped), noise, content + content, content[::-1])):
        await survived(workers, tmp_path, f"mal{number}.{suffix}", damaged)


@pytest.mark.parametrize("suffix", samples())
async def test_documents_with_another_suffix_fail_well(workers: Workers, tmp_path: Path, suffix: str) -> None:
    for other in ("txt", "pdf", "docx", "xlsx", "odt", "epub", "html", "eml", "msg", "doc", "xls", "zip", "png", "bin"):
        await survived(workers, tmp_path, f"faux.{other}", samples()[suffix])


@pytest.mark.parametrize("suffix", TEXTS)
async def test_a_million_of_one_sign(workers: Workers, tmp_path: Path, suffix: str) -> None:
    for number, sign in enumerate(SIGNS[: 4 if suffix in SLOW else None]):
        await survived(workers, tmp_path, f"mal{number}.{suffix}", b"a\n" + sign.encode() * 1_000_000 + b"\nb")
