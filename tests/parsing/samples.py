"""A small good document of each format, made here, each with the sentence that a reader must find."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from functools import cache
from pathlib import Path

SENTENCE = "La pompe du canal est réparée en été"

_ODF = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" office:version="1.3"><office:body>{}'
    "</office:body></office:document-content>"
)
_CONTAINER = (
    '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
_BOOK = (
    '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id"><metadata'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">1</dc:identifier><dc:title>Le canal</dc:title>'
    '<dc:language>fr</dc:language></metadata><manifest><item id="one" href="one.xhtml"'
    ' media-type="application/xhtml+xml"/></manifest><spine><itemref idref="one"/></spine></package>'
)
_PAGE = (
    '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml">'
    f"<head><title>Le canal</title></head><body><h1>Le canal</h1><p>{SENTENCE}.</p>"
    "<table><tr><th>Ville</th></tr><tr><td>Lyon</td></tr></table></body></html>"
)


def zipped(members: Mapping[str, str | bytes], kind: str = "") -> bytes:
    """Return a zip archive; `kind` is the content of its first member `mimetype`, not compressed."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        if kind:
            archive.writestr("mimetype", kind, zipfile.ZIP_STORED)
        for name, content in members.items():
            archive.writestr(name, content)
    return into.getvalue()


def odf(kind: str, body: str) -> bytes:
    name = f"application/vnd.oasis.opendocument.{kind}"
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{name}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    return zipped({"content.xml": _ODF.format(body), "META-INF/manifest.xml": manifest}, name)


def docx() -> bytes:
    from docx import Document

    document = Document()
    document.add_heading("Le canal", 1)
    document.add_paragraph(f"{SENTENCE}.")
    table = document.add_table(rows=2, cols=2)
    for number, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"case {number}"
    return _saved(document.save)


def pptx() -> bytes:
    from pptx import Presentation

    deck = Presentation()
    for number in range(2):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = f"Diapositive {number}"
        slide.placeholders[1].text = SENTENCE
    return _saved(deck.save)


def xlsx() -> bytes:
    from openpyxl import Workbook  # type: ignore[import-untyped]  # has no types

    book = Workbook()
    assert book.active is not None
    for row in (("Ville", "Prix"), ("Lyon", 3.5), (SENTENCE, 4)):
        book.active.append(row)
    return _saved(book.save)


def pdf(pages: int = 2) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    into = io.BytesIO()
    canvas = Canvas(into)
    for number in range(pages):
        canvas.drawString(72, 760, f"{SENTENCE}, page {number + 1}.")
        canvas.showPage()
    canvas.save()
    return into.getvalue()


def png() -> bytes:
    import reportlab
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"), 36)  # it has accents
    image = Image.new("L", (1000, 80), 255)
    ImageDraw.Draw(image).text((10, 15), SENTENCE, fill=0, font=font)
    return _saved(lambda into: image.save(into, "PNG"))


def eml() -> bytes:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Été", "Zoé <zoe@example.org>", "Luc <luc@example.org>"
    mail.set_content(f"{SENTENCE}.\n")
    mail.add_alternative(_PAGE, subtype="html")
    mail.add_attachment(b"une note", maintype="text", subtype="plain", filename="note.txt")
    return mail.as_bytes()


def tar() -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as archive:
        content = f"{SENTENCE}.".encode()
        member = tarfile.TarInfo("dossier/été.txt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return into.getvalue()


@cache
def samples() -> Mapping[str, bytes]:
    """Return suffix -> document."""
    text = f"{SENTENCE}.\n"
    notebook = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": [text]}], "metadata": {}, "nbformat": 4}
    made: dict[str, str | bytes] = {
        "txt": text,
        "md": f"# Le canal\n\n{text}\n- un\n- deux\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nx = 1\n```\n",
        "html": _PAGE,
        "rst": f"Le canal\n========\n\n{text}\n* un\n* deux\n",
        "org": f"* Le canal\n{text}\n- un\n",
        "tex": f"\\documentclass{{article}}\\begin{{document}}\\section{{Le canal}}\n{text}\\end{{document}}\n",
        "adoc": f"= Le canal\n\n{text}\n== Deux\n\nfin\n",
        "csv": f"Ville;Prix\nLyon;3,5\n{SENTENCE};4\n",
        "tsv": f"Ville\tPrix\nLyon\t3,5\n{SENTENCE}\t4\n",
        "json": json.dumps({"titre": "Le canal", "notes": [{"texte": SENTENCE}, 1, None]}),
        "jsonl": f'{{"a": 1}}\n{json.dumps({"texte": SENTENCE})}\n',
        "xml": f"<?xml version='1.0'?><notes><note id='1'>{SENTENCE}</note></notes>",
        "ipynb": json.dumps(notebook),
        "srt": f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n",
        "vtt": f"WEBVTT\n\n00:01.000 --> 00:02.000\n{text}\n",
        "py": f'def canal():\n    """{SENTENCE}."""\n    return 1\n',
        "rtf": "{\\rtf1\\ansi\\ansicpg1252 {\\b Le canal}\\par " + SENTENCE.replace("é", "\\'e9") + ".\\par}",
        "docx": docx(),
        "pptx": pptx(),
        "xlsx": xlsx(),
        "odt": odf(
            "text",
            f"<office:text><text:h text:outline-level='1'>Le canal</text:h><text:p>{SENTENCE}</text:p></office:text>",
        ),
        "ods": odf(
            "spreadsheet",
            "<office:spreadsheet><table:table table:name='Un'><table:table-row><table:table-cell"
            f" office:value-type='string'><text:p>{SENTENCE}</text:p></table:table-cell></table:table-row>"
            "</table:table></office:spreadsheet>",
        ),
        "odp": odf(
            "presentation",
            "<office:presentation><draw:page draw:name='Un'><draw:frame><draw:text-box>"
            f"<text:p>{SENTENCE}</text:p></draw:text-box></draw:frame></draw:page></office:presentation>",
        ),
        "epub": zipped(
            {"META-INF/container.xml": _CONTAINER, "book.opf": _BOOK, "one.xhtml": _PAGE}, "application/epub+zip"
        ),
        "pdf": pdf(),
        "png": png(),
        "eml": eml(),
        "mbox": b"From zoe@example.org Mon Jan  6 10:00:00 2025\n" + eml() + b"\n",
        "zip": zipped({"note/été.txt": text, "page.html": _PAGE}),
        "tar": tar(),
        "tar.gz": gzip.compress(tar()),
    }
    return {suffix: data.encode() if isinstance(data, str) else data for suffix, data in made.items()}


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    into = io.BytesIO()
    save(into)
    return into.getvalue()
