"""PDF: long documents in parts, limits, damage, hostile files; all within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.parse import Options, Part, parts_of
from ragline.pipelines.read import joined
from tests.parsing.printed import PROSE, drawn, read, texts, write


def chapters(count: int) -> bytes:
    """Pages that end within a sentence, with running heads, chapters and bookmarks."""

    def page(number: int) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            write(canvas, 70, 815, ["Histoire de la forêt" if number % 2 else "Une étude"], size=9)
            write(canvas, 290, 30, [str(number)], size=9)
            if number % 5 == 1:
                canvas.bookmarkPage(str(number))
                canvas.addOutlineEntry(f"Chapitre {number}", str(number), 0)
                write(canvas, 70, 770, [f"Chapitre {number}"], size=11)
            write(canvas, 70, 740, [f"Ceci est la page {number}.", *PROSE, *PROSE[:-3]])

        return draw

    return drawn(*(page(number) for number in range(1, count + 1)))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_parts_say_the_same_as_the_whole(tmp_path: Path, size: int) -> None:
    data = chapters(23)
    whole = read(tmp_path, data)
    stretches = [Part(first, min(first + size - 1, 23)) for first in range(1, 24, size)]
    parts = joined([read(tmp_path, data, part=part) for part in stretches], "f.pdf")
    assert list(parts.elements) == list(whole.elements)
    assert parts.about == whole.about
    assert "Chapitre 21" in texts(whole)
    assert "Une étude" not in texts(whole)


def test_a_long_document_is_taken_apart_and_a_short_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "f.pdf"
    file.write_bytes(drawn(*[lambda canvas: write(canvas, 70, 700, ["Une page."])] * 450))
    assert parts_of(file, "f.pdf", "application/pdf") == [Part(1, 200), Part(201, 400), Part(401, 450)]
    file.write_bytes(chapters(20))
    assert parts_of(file, "f.pdf", "application/pdf") == []


def test_scanned_pages_are_few_in_a_part(tmp_path: Path) -> None:
    file = tmp_path / "f.pdf"
    file.write_bytes(drawn(*[lambda canvas: canvas.rect(100, 100, 300, 300, fill=1)] * 20))
    assert parts_of(file, "f.pdf", "application/pdf") == [Part(1, 6), Part(7, 12), Part(13, 18), Part(19, 20)]
    assert parts_of(file, "f.pdf", "application/pdf", options=Options(languages=())) == []


def test_too_many_pages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OverLimit, match=r"^'f\.pdf' has 6 pages, more than 5 \(parsing\.max_pages\)"):
        read(tmp_path, chapters(6), options=Options(max_pages=5))


def test_one_page_that_is_listed_again_and_again_is_read_once(tmp_path: Path) -> None:
    parsed = read(tmp_path, listed(["3 0 R"] * 5000), options=Options(max_pages=1000))
    assert texts(parsed) == ["Bonjour"]
    assert parsed.notes == [
        "has 5000 pages, more than 1000 (parsing.max_pages); they are all the same, and one was read"
    ]


def listed(pages: list[str], count: int | None = None) -> bytes:
    """A PDF without a table of its objects, whose page tree lists these."""
    stream = b"BT /F1 12 Tf 72 700 Td (Bonjour) Tj ET"
    return (
        b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[%s]/Count %d>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>endobj\n"
        b"4 0 obj<</Length %d>>stream\n%s\nendstream endobj\n"
        b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n"
        b"trailer<</Root 1 0 R>>\n" % (" ".join(pages).encode(), count or len(pages), len(stream), stream)
    )


def test_pages_that_are_missing_are_named(tmp_path: Path) -> None:
    parsed = read(tmp_path, listed(["3 0 R", "9 0 R", "8 0 R", "3 0 R", "7 0 R"]))
    assert texts(parsed) == ["Bonjour", "Bonjour"]
    assert parsed.notes == ["pages 2-3, 5 are damaged and were left out"]


def test_a_document_without_pages_says_so(tmp_path: Path) -> None:
    with pytest.raises(ParseFailed, match=r"^'f\.pdf' (?:has no pages|is damaged)"):
        read(tmp_path, listed([]))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(listed(["2 0 R", "3 0 R"]), id="tree-in-itself"),
        pytest.param(listed(["3 0 R"], count=2_000_000_000), id="count-of-billions"),
        pytest.param(listed(["3 0 R"]).replace(b"[0 0 595 842]", b"[0 0 1e30 1e30]"), id="endless-page"),
        pytest.param(listed(["3 0 R"]).replace(b"[0 0 595 842]", b"[0 0 0 0]"), id="page-of-no-size"),
        pytest.param(listed(["3 0 R"]).replace(b"/F1 12 Tf 72 700 Td", b"/F1 1e20 Tf 1e20 -1e20 Td"), id="far-away"),
        pytest.param(listed(["3 0 R"]).replace(b"72 700 Td", b"0 0 0 0 0 0 Tm"), id="flat-letters"),
        pytest.param(chapters(3)[:-1500], id="cut"),
        pytest.param(chapters(3).replace(b"startxref", b"startxxxx"), id="no-table-of-objects"),
    ],
)
def test_broken_files_are_read_or_refused_with_a_reason(tmp_path: Path, data: bytes) -> None:
    start = time.process_time()
    try:
        assert read(tmp_path, data, options=Options(languages=())).elements
    except ParseFailed as error:
        assert str(error).startswith("'f.pdf' ")  # noqa: PT017  # either will do
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(lambda canvas: write(canvas, 0, 800, ["x" * 300_000], size=1), id="one-word"),
        pytest.param(lambda canvas: write(canvas, 0, 800, [". " * 150_000], size=1), id="dots"),
        pytest.param(lambda canvas: write(canvas, 0, 800, ["a b"] * 20_000, size=0.03), id="lines"),
        pytest.param(
            lambda canvas: [canvas.drawString(5 * (n % 120), 5 * (n // 120), str(n)) for n in range(16_000)], id="cells"
        ),
        pytest.param(
            lambda canvas: [
                *(canvas.grid(range(0, 590, 2), range(0, 840, 3)), canvas.grid(range(1, 590, 3), range(1, 840, 3))),
                *(canvas.drawString(5 * (n % 120), 5 * (n // 120), "x") for n in range(16_000)),
            ],
            id="grids",
        ),
    ],
)
def test_strange_pages_take_seconds_at_most(tmp_path: Path, page: Callable[[Canvas], None]) -> None:
    data = drawn(page)
    start = time.process_time()
    assert read(tmp_path, data).elements
    assert time.process_time() - start < 8
