"""The engine unstructured, which every format falls back to that it reads, and what is said of damaged files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import docx
import pptx
import pytest

from ragline.errors import ParseFailed, UnsupportedFile
from ragline.pipelines import parse as parsing
from ragline.pipelines.parse import SUPPORTED, parse
from ragline.pipelines.reading import Options
from ragline.types import Element

Read = Callable[[str, bytes], list[Element]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(name: str, data: bytes) -> list[Element]:
        file = tmp_path / "blob"
        file.write_bytes(data)
        options = Options(engine="unstructured")
        return list(parse(file, name, SUPPORTED[Path(name).suffix], options=options).elements)

    return read


def word() -> bytes:
    document = docx.Document()
    document.add_heading("Congés payés", level=1)
    document.add_paragraph("Chaque salarié a droit à deux jours et demi par mois.")
    document.add_heading("Demande", level=2)
    document.add_paragraph("par le formulaire", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ["Mois", "Jours", "juin", "2,5"], strict=True):
        cell.text = text
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def slides() -> bytes:
    deck = pptx.Presentation()
    for title, body in [("Budget 2026", "Dépenses en baisse"), ("Next steps", "Hire")]:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text_frame.text = body
    deck.slides[1].notes_slide.notes_text_frame.text = "Ask Zoé first"
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def markup(head: str, row: str) -> str:
    cells = [f"<{tag}>{text}</{tag}>" for tag, line in (("th", head), ("td", row)) for text in line.split()]
    return f"<table><tr>{''.join(cells[:2])}</tr><tr>{''.join(cells[2:])}</tr></table>"


def test_word_keeps_headings_lists_and_tables(read: Read) -> None:
    assert read("a.docx", word()) == [
        Element("Congés payés", "title", level=1),
        Element("Chaque salarié a droit à deux jours et demi par mois."),
        Element("Demande", "title", level=2),
        Element("par le formulaire", "list"),
        Element("Mois | Jours\njuin | 2,5", "table", html=markup("Mois Jours", "juin 2,5"), headers=1),
    ]


def test_slides_are_pages_and_their_notes_are_read(read: Read) -> None:
    elements = read("a.pptx", slides())
    assert [(element.kind, element.page, element.text) for element in elements] == [
        ("title", 1, "Budget 2026"),
        ("text", 1, "Dépenses en baisse"),
        ("text", 2, "Ask Zoé first"),
        ("title", 2, "Next steps"),
        ("text", 2, "Hire"),
    ]


def test_a_mail_begins_with_who_and_when(read: Read) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Réunion à 14 h"
    mail["From"] = "Zoé <zoe@example.org>"
    mail["To"] = "paul@example.org"
    mail["Date"] = "Mon, 02 Nov 2026 10:00:00 +0100"
    mail.set_content("Bonjour Paul,\n\nla réunion est avancée.\n")
    mail.add_attachment(b"\x00", maintype="image", subtype="png", filename="plan.png")
    head, *body = read("a.eml", mail.as_bytes())
    assert head.text == (
        "Subject: Réunion à 14 h\nFrom: Zoé <zoe@example.org>\nTo: paul@example.org\n"
        "Date: Mon, 02 Nov 2026 10:00:00 +0100\nAttachments: plan.png"
    )
    assert [element.text for element in body] == ["Bonjour Paul,", "la réunion est avancée."]


def test_an_encrypted_mail_is_refused(read: Read) -> None:
    with pytest.raises(ParseFailed, match=r"'a\.eml' is an encrypted mail"):
        read("a.eml", b"Subject: x\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIIB\n")


HTML = """<html><head><title>t</title><style>p {}</style><script>var x = "no";</script></head><body>
<h1>Le marché</h1><p>Ouvert le <b>samedi</b>.</p><ul><li>légumes</li><li>œufs</li></ul>
<table><tr><th>Prix</th><th>Unité</th></tr><tr><td>3 €</td><td>kg</td></tr></table></body></html>"""


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(HTML.encode(), id="utf-8"),
        pytest.param(HTML.encode("cp1252"), id="undeclared-cp1252"),
        pytest.param(HTML.encode("utf-16"), id="utf-16"),
        pytest.param(f"<?xml version='1.0' encoding='utf-8'?>\n{HTML}".encode(), id="xhtml"),
        pytest.param(
            HTML.replace("<title>", "<meta charset='iso-8859-15'><title>").encode("iso-8859-15"), id="declared"
        ),
    ],
)
def test_a_web_page_is_read_without_scripts_in_its_encoding(read: Read, data: bytes) -> None:
    assert read("a.html", data) == [
        Element("Le marché", "title", level=1),
        Element("Ouvert le samedi."),
        Element("légumes", "list"),
        Element("œufs", "list"),
        Element("Prix | Unité\n3 € | kg", "table", html=markup("Prix Unité", "3€ kg").replace("3€", "3 €"), headers=1),
    ]


RTF = rb"{\rtf1\ansi\ansicpg1252 \pard Le caf\'e9 co\'fbte 2 \u8364?.\par\pard The second paragraph.\par}"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        pytest.param(
            "a.md",
            "# Été\n\nIl fait *chaud*.\n\n## Plage\n\n- sable\n- mer\n\n```python\nx = 1\n```\n".encode(),
            ["title1 Été", "text Il fait chaud.", "title2 Plage", "list sable", "list mer", "code x = 1"],
            id="markdown",
        ),
        pytest.param("a.rst", "Été\n===\n\nIl fait chaud.\n".encode(), ["title1 Été", "text Il fait chaud."], id="rst"),
        pytest.param("a.org", "* Été\nIl fait chaud.\n".encode(), ["title1 Été", "text Il fait chaud."], id="org"),
        pytest.param("a.org", "* Été\nÀ Nîmes.\n".encode("cp1252"), ["title1 Été", "text À Nîmes."], id="org-cp1252"),
        pytest.param("a.rtf", RTF, ["text Le café coûte 2 €.", "text The second paragraph."], id="rtf"),
    ],
)
def test_markup_becomes_titles_and_text(read: Read, name: str, data: bytes, expected: list[str]) -> None:
    assert [f"{e.kind}{e.level or ''} {e.text}" for e in read(name, data)] == expected


def test_pandoc_reads_no_other_file(read: Read, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the secret")
    with pytest.raises(ParseFailed):
        read("a.rst", f".. include:: {tmp_path / 'secret.txt'}\n".encode())


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("a.docx", zipped(x="1"), "lacks the part that holds its text", id="no-document"),
        pytest.param("a.docx", word()[:2000], "is damaged or not really of the type DOCX", id="cut"),
        pytest.param(
            "a.pptx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 9, "is damaged or not really of the type PPTX", id="ole"
        ),
        pytest.param(
            "a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 9, "is damaged or not really of the type DOC", id="doc"
        ),
        pytest.param("a.epub", zipped(x="0" * (20 << 20)), "taken for a zip bomb", id="zip-bomb"),
        pytest.param("a.odt", zipped(x="1"), "lacks its part 'content.xml'", id="odt"),
        pytest.param("a.html", b"<html><script>x</script></html>", "has no text", id="only-script"),
        pytest.param("a.md", b"", "is empty", id="empty"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    file = tmp_path / "blob"
    file.write_bytes(data)
    with pytest.raises(ParseFailed) as caught:
        parse(file, name, SUPPORTED[Path(name).suffix])
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{name!r} ")


def test_a_type_without_reader_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFile, match="'a.mp3' has the type 'audio/mpeg', for which there is no reader"):
        parse(tmp_path / "a", "a.mp3", "audio/mpeg")


def test_the_text_of_a_document_and_where_each_element_lies() -> None:
    elements = [Element("Été", "title", level=1), Element("Il fait\nchaud."), Element("x")]
    text, spans = parsing.document_text(elements)
    assert text == "Été\n\nIl fait\nchaud.\n\nx"
    assert [text[start:end] for start, end in spans] == [element.text for element in elements]
    assert parsing.document_text([]) == ("", [])
