"""The passages of real documents are stretches of their text, in every profile, and nothing is left between them."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Sequence
from html import unescape
from typing import get_args

import pytest
import pytest_asyncio

from ragline.config.settings import Chunking, Profile
from ragline.connectors.workers import Workers
from ragline.errors import ParseFailed
from ragline.pipelines.chunk import chunk
from ragline.pipelines.parse import content_type_of, document_text
from ragline.pipelines.read import read_document
from ragline.pipelines.reading import Options
from ragline.types import Chunk, Element
from tests.parsing.test_manifest import LIMITS, NOT_YET, Row, rows

READABLE = [row for row in rows() if not row.fails and row.id not in NOT_YET]
pytestmark = pytest.mark.skipif(not READABLE, reason="the shared documents are not beside the repository")

MAX_PROFILED_CHARS = 300_000
"""A longer document is cut by the default profile only."""


def count_quarters(texts: Sequence[str]) -> list[int]:
    return [math.ceil(len(text) / 4) for text in texts]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[Workers]:
    pool = Workers(LIMITS)
    yield pool
    await pool.close()


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.id}-{row.path.name}") for row in READABLE])
@pytest.mark.asyncio(loop_scope="module")
async def test_every_passage_is_a_stretch_of_the_text(workers: Workers, row: Row) -> None:
    with row.path.open("rb") as file:
        content_type = content_type_of(row.path.name, file)
    options = Options.of(LIMITS)
    try:
        parsed = await read_document(workers, LIMITS, row.path, row.path.name, content_type, options=options)
    except ParseFailed:
        if row.must_contain:
            raise
        pytest.skip("may be refused")
    text, _ = document_text(parsed.elements)
    profiles: Sequence[Profile] = get_args(Profile)
    for profile in profiles if len(text) <= MAX_PROFILED_CHARS else profiles[:1]:
        chunks = chunk(parsed.elements, settings=Chunking(profile=profile), count_tokens=count_quarters)
        check(text, chunks)
        check_places(parsed.elements, chunks)


def check(text: str, chunks: Sequence[Chunk]) -> None:
    assert chunks
    end = 0
    for number, passage in enumerate(chunks):
        assert passage.index == number
        assert passage.text == text[passage.start : passage.end]
        assert passage.text.strip()
        assert count_quarters([passage.text])[0] <= 256
        assert not text[end : passage.start].strip()
        assert passage.end > end
        end = passage.end
    assert not text[end:].strip()


def check_places(elements: Sequence[Element], chunks: Sequence[Chunk]) -> None:
    """What passages say of their place is what their elements say; there are rows of one sheet and one member only."""
    _, spans = document_text(elements)
    first = 0
    for passage in chunks:
        while spans[first][1] <= passage.start:
            first += 1
        inside = []
        for element, (start, _) in zip(elements[first:], spans[first:], strict=True):
            if start >= passage.end:
                break
            inside.append(element)
        assert {element.member for element in inside} == {passage.member}
        assert {element.sheet for element in inside if element.sheet is not None} <= {passage.sheet}
        pages = [element.page for element in inside if element.page is not None]
        assert (passage.page, passage.page_end) == ((pages[0], pages[-1]) if pages else (None, None))
        said = normal(passage.text)
        for row in (passage.html or "").split("<tr>")[1:]:
            assert "<th" in row or normal(unescape(re.sub(r"<[^>]*>", " ", row))) in said


def normal(text: str) -> str:
    return " ".join(text.replace("|", " ").split())
