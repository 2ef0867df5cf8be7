"""The type of a file: what its bytes are, whatever its name says; the name tells kinds of text apart."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import time
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import docx
import openpyxl  # type: ignore[import-untyped]  # has no types
import pptx
import pytest

from ragline.errors import UnsupportedFile
from ragline.pipelines.parse import SUPPORTED, content_type_of
from ragline.pipelines.parse_types import is_text

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
PDF, TEXT, CODE, ZIP, TAR = SUPPORTED[".pdf"], "text/plain", "text/x-source", "application/zip", "application/x-tar"
DOCX, PPTX, XLSX = SUPPORTED[".docx"], SUPPORTED[".pptx"], SUPPORTED[".xlsx"]
FILES = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "docs" / "files"


def kind(name: str, data: bytes) -> str:
    return content_type_of(name, io.BytesIO(data))


def refusal(name: str, data: bytes) -> str:
    with pytest.raises(UnsupportedFile) as caught:
        kind(name, data)
    return str(caught.value)


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


def open_document(kind: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", kind)
        archive.writestr("content.xml", "<a/>")
    return buffer.getvalue()


def office(main: str, part: str) -> bytes:
    types = f'<Types><Override PartName="/{part}" ContentType="application/{main}.main+xml"/></Types>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", types)
        archive.writestr(part, "<a/>")
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("été.txt")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    return buffer.getvalue()


def made(library: str) -> bytes:
    buffer = io.BytesIO()
    match library:
        case "docx":
            docx.Document().save(buffer)
        case "pptx":
            pptx.Presentation().save(buffer)
        case _:
            openpyxl.Workbook().save(buffer)
    return buffer.getvalue()


PROSE = "Il était une fois, dans un pays lointain, une reine, un roi, et leurs enfants.\n" * 5
MAIL = "Return-Path: <a@b.fr>\nReceived: from x\nFrom: Zoé <a@b.fr>\nSubject: =?utf-8?q?=C3=A9t=C3=A9?=\n\nBonjour\n"

MAILBOX = b"From a@b.fr Mon Jul  1 10:00:00 2024\n" + MAIL.encode()


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        pytest.param("a.pdf", b"%PDF-1.7\n\xe2\xe3", PDF, id="pdf"),
        pytest.param("a.txt", b"%PDF-1.7\n\x00\x01", PDF, id="pdf-named-txt"),
        pytest.param("page.html", b"%PDF-1.4\n", PDF, id="pdf-named-html"),
        pytest.param("a.pdf", b"junk before\n%PDF-1.7\n\x00", PDF, id="pdf-after-junk"),
        pytest.param("rapport.zip", made("docx"), DOCX, id="docx-named-zip"),
        pytest.param("rapport", made("docx"), DOCX, id="docx-without-suffix"),
        pytest.param("rapport.DOCX", made("docx"), DOCX, id="suffix-in-capitals"),
        pytest.param("a.docx", made("xlsx"), XLSX, id="xlsx-named-docx"),
        pytest.param("a.pdf", made("pptx"), PPTX, id="pptx-named-pdf"),
        pytest.param("a.docm", office("vnd.ms-word.document.macroEnabled", "word/d.xml"), DOCX, id="docm"),
        pytest.param(
            "a", office("vnd.openxmlformats-officedocument.wordprocessingml.template", "word/d.xml"), DOCX, id="dotx"
        ),
        pytest.param("a", office("vnd.ms-excel.sheet.macroEnabled", "xl/w.xml"), XLSX, id="xlsm"),
        pytest.param(
            "a", office("vnd.openxmlformats-officedocument.presentationml.slideshow", "ppt/p.xml"), PPTX, id="ppsx"
        ),
        pytest.param("a", zipped(**{"word__document.xml": "<a/>"}), DOCX, id="docx-without-content-types"),
        pytest.param("a", open_document("application/vnd.oasis.opendocument.text"), SUPPORTED[".odt"], id="odt"),
        pytest.param(
            "a.odt", open_document("application/vnd.oasis.opendocument.spreadsheet"), SUPPORTED[".ods"], id="ods"
        ),
        pytest.param(
            "a", open_document("application/vnd.oasis.opendocument.presentation-template"), SUPPORTED[".odp"], id="otp"
        ),
        pytest.param("livre", open_document("application/epub+zip"), SUPPORTED[".epub"], id="epub"),
        pytest.param("a.docx", made("docx")[:2000], DOCX, id="torn-docx"),
        pytest.param("a.odt", b"PK\x03\x04\x14\x00", SUPPORTED[".odt"], id="torn-odt"),
        pytest.param("a.docx", zipped(**{"été.txt": "x"}), ZIP, id="archive-named-docx"),
        pytest.param("a.zip", zipped(**{"été.txt": "x"}), ZIP, id="zip"),
        pytest.param("a.tar", tar(), TAR, id="tar"),
        pytest.param("a.txt", tar(), TAR, id="tar-named-txt"),
        pytest.param("a.tgz", gzip.compress(tar()), TAR, id="tar-gz"),
        pytest.param("a", bz2.compress(tar()), TAR, id="tar-bz2"),
        pytest.param("a.tar.xz", lzma.compress(tar()), TAR, id="tar-xz"),
        pytest.param("notes.txt.gz", gzip.compress(b"notes"), "application/gzip", id="gzip"),
        pytest.param("a.md", lzma.compress(b"notes"), "application/gzip", id="xz-named-md"),
        pytest.param("a.xlsx", OLE, XLSX, id="encrypted-office-torn"),
        pytest.param("a.doc", OLE, SUPPORTED[".doc"], id="old-word-torn"),
        pytest.param("photo.pdf", PNG, "image/png", id="png-named-pdf"),
        pytest.param("a.txt", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "image/jpeg", id="jpeg-named-txt"),
        pytest.param("a", b"RIFF\x24\x00\x00\x00WEBPVP8 \x00", "image/webp", id="webp"),
        pytest.param("a.tif", b"II*\x00\x08\x00\x00\x00", "image/tiff", id="tiff"),
        pytest.param("a.doc", rb"{\rtf1\ansi caf\'e9}", "application/rtf", id="rtf-named-doc"),
        pytest.param("a.doc", b"<html><body>x</body></html>", "text/html", id="html-named-doc"),
        pytest.param("export.xls", b"\xef\xbb\xbf<!DOCTYPE html><table>", "text/html", id="html-named-xls"),
        pytest.param("export.xls", "ville\tprix\nNîmes\t3\n".encode("utf-16"), SUPPORTED[".tsv"], id="tsv-named-xls"),
        pytest.param("export.xls", b"ville;prix\nLyon;3\n", "text/csv", id="csv-named-xls"),
        pytest.param("export.xls", b'<?xml version="1.0"?><Workbook/>', "application/xml", id="xml-named-xls"),
        pytest.param("page.xml", b"<?xml version='1.0'?>\n<!DOCTYPE html>\n<html>", "text/html", id="xhtml-named-xml"),
        pytest.param("a.pdf", b"only words", TEXT, id="text-named-pdf"),
        pytest.param("a.docx", PROSE.encode("cp1252"), TEXT, id="text-named-docx"),
        pytest.param("été.md", "# Été\n".encode(), "text/markdown", id="markdown"),
        pytest.param("a.md", b"<p align='center'>Hello</p>\n", "text/markdown", id="markdown-begins-with-html"),
        pytest.param("a.php", b"<!DOCTYPE html>\n<?php echo 1 ?>", CODE, id="php"),
        pytest.param("a.csv", "a;b\nété;1".encode("utf-16"), "text/csv", id="utf-16-with-mark"),
        pytest.param("a.txt", "Un café crème à Nîmes.".encode("utf-16-le"), TEXT, id="utf-16-without-mark"),
        pytest.param("a.txt", "Un café crème à Nîmes.".encode("utf-16-be"), TEXT, id="utf-16-be-without-mark"),
        pytest.param("a.txt", "Все люди рождаются.".encode("utf-16-le"), TEXT, id="russian-utf-16-without-mark"),
        pytest.param("a.txt", "Un café.".encode("utf-32-le"), TEXT, id="utf-32-without-mark"),
        pytest.param("a.txt", "café crème".encode("cp1252"), TEXT, id="cp1252"),
        pytest.param("a.txt", "café crème".encode("cp850"), TEXT, id="cp850"),
        pytest.param("a.txt", "Все люди".encode("koi8-r"), TEXT, id="koi8-r"),
        pytest.param("a.txt", "人間は皆".encode("shift_jis"), TEXT, id="shift-jis"),
        pytest.param("a.txt", b"", TEXT, id="empty"),
        pytest.param("Makefile", b"all:\n\techo\n", TEXT, id="no-suffix"),
        pytest.param("notes.xyz", b"just words", TEXT, id="unknown-suffix"),
        pytest.param("article.nxml", b'<?xml version="1.0"?><a/>', "application/xml", id="nxml"),
        pytest.param("page", b"\n<!DOCTYPE html><p>", "text/html", id="html-by-its-start"),
        pytest.param("main.py", b"print()", CODE, id="source-code"),
        pytest.param("outil", b"#!/bin/sh\necho\n", CODE, id="script-without-suffix"),
        pytest.param("cut.txt", "é".encode() * 10 + b"\xc3", TEXT, id="head-ends-inside-a-letter"),
        pytest.param("build.log", b"\x1b[32mok\x1b[0m\r\n", TEXT, id="terminal-colours"),
        pytest.param("lettre", MAIL.encode(), "message/rfc822", id="mail-without-suffix"),
        pytest.param("lettre.txt", MAIL.encode(), "message/rfc822", id="mail-named-txt"),
        pytest.param(
            "courrier", b"From a@b.fr Mon Jul  1 10:00:00 2024\n" + MAIL.encode(), "application/mbox", id="mbox"
        ),
        pytest.param("a.txt", b"To: everybody\nSubject: lunch is at noon today\n\nx", TEXT, id="note-like-a-mail"),
        pytest.param("film", b"1\r\n00:00:01,000 --> 00:00:02,500\r\nBonjour\r\n", SUPPORTED[".srt"], id="srt"),
        pytest.param("a.txt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nBonjour\n", "text/vtt", id="vtt-named-txt"),
        pytest.param("a.txt", b'{"nom": "Zo\xc3\xa9"}', "application/json", id="json-named-txt"),
        pytest.param("a", b'{"a": 1}\n{"a": 2}\n', "application/x-ndjson", id="json-lines"),
        pytest.param("a.txt", b"[1] see the note below\n", TEXT, id="note-in-brackets"),
        pytest.param("a", json.dumps({"cells": [], "nbformat": 4}).encode(), SUPPORTED[".ipynb"], id="notebook"),
        pytest.param("a.txt", b"nom\tprix\nLyon\t1\nNice\t2\n", SUPPORTED[".tsv"], id="tsv-named-txt"),
        pytest.param("a", b"nom;prix;ville\na;1;b\nc;2;d\n", "text/csv", id="csv-without-suffix"),
        pytest.param("a.txt", PROSE.encode(), TEXT, id="prose-with-commas-in-each-line"),
        pytest.param("recette", PROSE.encode() * 20, TEXT, id="prose-without-suffix"),
    ],
)
def test_the_type_is_recognised(name: str, data: bytes, expected: str) -> None:
    assert kind(name, data) == expected


def test_source_code_without_a_suffix_is_recognised() -> None:
    assert kind("outil", Path(__file__).read_bytes()) == CODE


def test_an_ole_file_is_what_its_streams_are() -> None:
    if not FILES.exists():
        pytest.skip("the shared documents are not beside the repository")
    expected = {
        "simple.doc": SUPPORTED[".doc"],
        "fake-power-point.ppt": SUPPORTED[".ppt"],
        "tests-example.xls": SUPPORTED[".xls"],
        "fake-email.msg": SUPPORTED[".msg"],
    }
    for name, found in expected.items():
        assert kind("without-suffix", (FILES / name).read_bytes()) == found
        assert kind("a.pdf", (FILES / name).read_bytes()) == found
    assert kind("a", (FILES / "password_protected.xlsx").read_bytes()) == DOCX  # which it is, only its name tells
    assert kind("a.xlsx", (FILES / "password_protected.xlsx").read_bytes()) == XLSX


@pytest.mark.parametrize(
    ("name", "data", "seen"),
    [
        pytest.param("a.pdf", b"MZ\x90\x00\x03", "a program", id="program-named-pdf"),
        pytest.param("a.exe", b"MZ\x00\x00", "a program", id="four-bytes-of-a-program"),
        pytest.param("a.bin", bytes(range(256)), "unknown binary data", id="binary"),
        pytest.param("a.md", random.Random(1).randbytes(3000), "unknown binary data", id="binary-named-md"),
        pytest.param("a.txt", b"abc\x00def", "unknown binary data", id="nul"),
        pytest.param("a.heic", b"\x00\x00\x00\x18ftypheic\x00\x00", "a HEIC photo (save it as PNG or JPEG)", id="heic"),
        pytest.param("a.mp4", b"\x00\x00\x00\x18ftypisom\x00\x00", "a video or a sound", id="mp4"),
        pytest.param("a.txt", b"ID3\x04\x00\x00\x00", "a video or a sound", id="mp3-named-txt"),
        pytest.param("a.7z", b"7z\xbc\xaf\x27\x1c\x00", "a 7z archive (pack it as .zip)", id="7z"),
        pytest.param("a.rar", b"Rar!\x1a\x07\x01\x00", "a RAR archive (pack it as .zip)", id="rar"),
        pytest.param("a.db", b"SQLite format 3\x00\x10", "a database (export its tables as .csv)", id="sqlite"),
        pytest.param("a.ps", b"%!PS-Adobe-3.0\n", "a PostScript file (save it as PDF)", id="postscript"),
        pytest.param("a.txt", b"-----BEGIN PGP MESSAGE-----\n", "encrypted by PGP (decrypt it first)", id="pgp"),
        pytest.param("a.xlsb", zipped(**{"xl__workbook.bin": "x"}), "a binary workbook of Excel", id="xlsb"),
        pytest.param("a", open_document("application/vnd.oasis.opendocument.graphics"), "an OpenDocument", id="odg"),
        pytest.param("a.thm", OLE, "a damaged Office file", id="ole-of-unknown-kind"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(name: str, data: bytes, seen: str) -> None:
    said = refusal(name, data)
    assert repr(name) in said
    assert f"it is {seen}" in said
    assert ".docx, .pptx, .xlsx" in said


def test_every_type_that_comes_out_has_a_reader() -> None:
    from ragline.pipelines.readers.registry import READERS

    assert set(SUPPORTED.values()) - set(READERS) == set()


def test_the_file_stands_at_its_beginning_after_all() -> None:
    for data in (made("docx"), tar(), b"text", bz2.compress(tar()), OLE * 100, b'{"a": 1}'):
        file = io.BytesIO(data)
        content_type_of("a.doc", file)
        assert file.tell() == 0


def many_members(count: int) -> bytes:
    """A zip whose list of members alone has megabytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number:0100}", b"")
    return buffer.getvalue()


def cyclic_ole() -> bytes:
    """A container whose directory leads back to itself, in an endless chain of sectors."""
    header = bytearray(512)
    header[:8] = OLE
    header[24:32] = b"\x3e\x00\x03\x00\xfe\xff\x09\x00"
    header[32:34] = b"\x06\x00"
    header[44:48] = (1).to_bytes(4, "little")  # sectors of the table
    header[48:52] = (1).to_bytes(4, "little")  # where the directory begins
    header[56:60] = (4096).to_bytes(4, "little")
    header[60:64] = header[68:72] = b"\xfe\xff\xff\xff"
    header[76:80] = (0).to_bytes(4, "little")
    header[80:512] = b"\xff" * 432
    table = (0xFFFFFFFD).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\xff" * 504
    return bytes(header) + table + bytes(512)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("a.docx", many_members(30_000), id="zip-of-30000-members"),
        pytest.param("a.doc", cyclic_ole() + bytes(1 << 20), id="cyclic-ole"),
        pytest.param("a.doc", OLE + random.Random(7).randbytes(1 << 20), id="random-ole"),
        pytest.param("a.zip", b"PK\x03\x04" + b"PK\x05\x06" * 200_000, id="many-ends"),
        pytest.param("a", gzip.compress(bytes(200 << 20)), id="gzip-of-200-MiB"),
        pytest.param("a", bz2.compress(bytes(100 << 20)), id="bzip2-of-100-MiB"),
        pytest.param("a", b"{" * (1 << 20), id="open-braces"),
        pytest.param("a.xls", b"<?xml " + b"<!a " * 100_000, id="open-declarations"),
        pytest.param("a", b"a" * (4 << 20), id="one-word"),
        pytest.param("a", b'["' * (1 << 17), id="nested-json"),
    ],
)
def test_hostile_bytes_cost_little_time_and_memory(name: str, data: bytes) -> None:
    kind("warm", PROSE.encode() * 20)  # a library is loaded once
    file = io.BytesIO(data)
    tracemalloc.start()
    start = time.process_time()
    with suppress(UnsupportedFile):
        content_type_of(name, file)
    taken = time.process_time() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 2
    assert peak < 30 << 20


def test_text_is_told_from_binary_data() -> None:
    assert is_text(b"")
    assert is_text("été".encode("utf-16"))
    assert not is_text(b"\x01\x02\x03\x04")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_unpacks_without_a_bound_is_not_looked_into(method: int) -> None:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", method) as archive:
        archive.writestr("[Content_Types].xml", bytes(300 << 20))
    tracemalloc.start()
    assert content_type_of("rapport.docx", into) in {DOCX, ZIP}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 << 20
