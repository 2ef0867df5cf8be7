"""The type of a file: by its bytes where they tell, by its suffix elsewhere, and never both against each other."""

from __future__ import annotations

import pytest

from ragline.errors import UnsupportedFile
from ragline.pipelines.parse import SUPPORTED, content_type_of

ZIP = b"PK\x03\x04\x14\x00\x06\x00"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        pytest.param("a.pdf", b"%PDF-1.7\n\xe2\xe3", "application/pdf", id="pdf"),
        pytest.param("a.txt", b"%PDF-1.7\n\x00\x01", "application/pdf", id="pdf-by-its-bytes"),
        pytest.param("a.pdf", b"junk before\n%PDF-1.7\n\x00", "application/pdf", id="pdf-after-junk"),
        pytest.param("rapport.DOCX", ZIP, SUPPORTED[".docx"], id="suffix-in-capitals"),
        pytest.param("a.xlsx", OLE, SUPPORTED[".xlsx"], id="encrypted-office"),
        pytest.param("a.odt", ZIP, SUPPORTED[".odt"], id="odt"),
        pytest.param("été.md", "# Été\n".encode(), "text/markdown", id="markdown"),
        pytest.param("a.csv", "a;b\nété;1".encode("utf-16"), "text/csv", id="utf-16-with-mark"),
        pytest.param("a.txt", "café crème".encode("cp1252"), "text/plain", id="cp1252"),
        pytest.param("a.txt", b"", "text/plain", id="empty"),
        pytest.param("Makefile", b"all:\n\techo\n", "text/plain", id="no-suffix"),
        pytest.param("notes.xyz", b"just words", "text/plain", id="unknown-suffix"),
        pytest.param("article.nxml", b'<?xml version="1.0"?><a/>', "application/xml", id="xml-by-its-start"),
        pytest.param("page", b"\n<!DOCTYPE html><p>", "text/html", id="html-by-its-start"),
        pytest.param("main.py", b"print()", "text/x-source", id="source-code"),
        pytest.param("cut.txt", "é".encode() * 10 + b"\xc3", "text/plain", id="head-ends-inside-a-letter"),
        pytest.param("build.log", b"\x1b[32mok\x1b[0m\r\n", "text/plain", id="terminal-colours"),
    ],
)
def test_the_type_is_recognised(name: str, head: bytes, expected: str) -> None:
    assert content_type_of(name, head) == expected


@pytest.mark.parametrize(
    ("name", "head", "seen"),
    [
        pytest.param("a.pdf", b"MZ\x90\x00\x03", "a program", id="program-named-pdf"),
        pytest.param("a.pdf", b"only words", "text", id="text-named-pdf"),
        pytest.param("a.txt", b"\x89PNG\r\n\x1a\n\x00", "a PNG image", id="image-named-txt"),
        pytest.param("a.png", b"\x89PNG\r\n\x1a\n\x00", "a PNG image", id="image"),
        pytest.param("a.zip", ZIP, "a zip archive", id="zip"),
        pytest.param("a.docx", b"just words", "text", id="text-named-docx"),
        pytest.param("a.doc", OLE, "an Office file from before 2007", id="old-word"),
        pytest.param("a.bin", bytes(range(256)), "unknown binary data", id="binary"),
        pytest.param("a.txt", b"abc\x00def", "unknown binary data", id="nul"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(name: str, head: bytes, seen: str) -> None:
    with pytest.raises(UnsupportedFile) as caught:
        content_type_of(name, head)
    assert repr(name) in str(caught.value)
    assert f"it is {seen}" in str(caught.value)
    assert ".docx, .pptx, .xlsx" in str(caught.value)
