"""PDF: pages, paragraphs, titles, hyphens and accents; broken, locked and scanned files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from ragline.errors import ParseFailed
from ragline.pipelines.parse import Options, parse
from ragline.types import Element


def pdf(*pages: list[tuple[int, str]], password: str | None = None) -> bytes:
    """A PDF of lines (font size, text), each 1.2 font sizes below the one before; an empty text is a gap."""
    buffer = io.BytesIO()
    encrypt = StandardEncryption(password, canPrint=1) if password else None
    canvas = Canvas(buffer, pagesize=A4, encrypt=encrypt)
    for lines in pages:
        down = 780.0
        for size, text in lines:
            canvas.setFont("Helvetica", size)
            canvas.drawString(70, down, text)
            down -= 1.2 * size
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def read(path: Path, data: bytes, *, max_chars: int = 100_000) -> list[Element]:
    file = path / "f.pdf"
    file.write_bytes(data)
    return list(parse(file, "f.pdf", "application/pdf", options=Options(max_chars=max_chars)).elements)


FRENCH = [
    (20, "La forêt de Brocéliande"),
    (11, ""),
    (11, "À l’automne, les chênes perdent leurs feuilles et les prome-"),
    (11, "neurs viennent ramasser des châtaignes près de l’étang où dort"),
    (11, "la légende. Le cœur de la forêt reste fermé."),
    (11, ""),
    (11, "Le sentier part du village et monte vers l’église ; peut-"),
    (11, "être y verrez-vous un cerf."),
    (11, "• Durée : deux heures"),
    (11, "• Départ : place de la mairie"),
]
ENGLISH = [(11, "The second page says where to sleep. The inn has"), (11, "twelve rooms and a garden.")]


def test_paragraphs_titles_and_lists_are_found_in_reading_order(tmp_path: Path) -> None:
    assert read(tmp_path, pdf(FRENCH, ENGLISH)) == [
        Element("La forêt de Brocéliande", "title", level=1, page=1),
        Element(
            "À l’automne, les chênes perdent leurs feuilles et les promeneurs viennent ramasser des châtaignes près de "
            "l’étang où dort la légende. Le cœur de la forêt reste fermé.",
            page=1,
        ),
        Element("Le sentier part du village et monte vers l’église ; peut-être y verrez-vous un cerf.", page=1),
        Element("• Durée : deux heures", "list", page=1),
        Element("• Départ : place de la mairie", "list", page=1),
        Element("The second page says where to sleep. The inn has twelve rooms and a garden.", page=2),
    ]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param("the informa-", "tion is here", "the information is here", id="word"),
        pytest.param("le port de Saint-", "Malo est beau", "le port de Saint-Malo est beau", id="name"),
        pytest.param("cela affecte-", "t-il la vitesse", "cela affecte-t-il la vitesse", id="french-question"),
        pytest.param("que dites-", "vous de cela", "que dites-vous de cela", id="french-pronoun"),
        pytest.param("a well-known well-", "known inn", "a well-known well-known inn", id="seen-elsewhere"),
        pytest.param("the years 2019-", "2020 were odd", "the years 2019-2020 were odd", id="numbers"),
    ],
)
def test_a_hyphen_at_a_line_end_joins_a_word(tmp_path: Path, first: str, second: str, expected: str) -> None:
    assert read(tmp_path, pdf([(11, first), (11, second)])) == [Element(expected, page=1)]


def test_more_text_than_allowed_fails_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(ParseFailed, match=r"^'f\.pdf' has more than 40 characters of text.*parsing\.max_text_chars"):
        read(tmp_path, pdf(FRENCH, ENGLISH), max_chars=40)


def test_a_locked_file_asks_for_its_password(tmp_path: Path) -> None:
    with pytest.raises(ParseFailed, match=r"^'f\.pdf' needs a password; give it with the upload"):
        read(tmp_path, pdf(FRENCH, password="secret"))


def test_the_password_opens_a_locked_file(tmp_path: Path) -> None:
    file = tmp_path / "f.pdf"
    file.write_bytes(pdf(ENGLISH, password="café"))
    parsed = parse(file, "f.pdf", "application/pdf", options=Options(password="café"))
    assert parsed.elements[0].text.startswith("The second page says")
    with pytest.raises(ParseFailed, match=r"^'f\.pdf' is not opened by the password that was given"):
        parse(file, "f.pdf", "application/pdf", options=Options(password="cafe"))


def test_a_document_of_blank_pages_has_no_text(tmp_path: Path) -> None:
    with pytest.raises(ParseFailed, match=r"^'f\.pdf' has no text$"):
        read(tmp_path, pdf([], []))


@pytest.mark.parametrize("data", [b"%PDF-1.4\nnothing", pdf(FRENCH)[:300]], ids=["no-objects", "cut"])
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ParseFailed, match=r"'f\.pdf' is damaged or not really a PDF"):
        read(tmp_path, data)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(ParseFailed, match=r"'f\.pdf' is empty"):
        read(tmp_path, b"")
