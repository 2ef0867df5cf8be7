"""Documents made to hurt: by what is wrong with them, with their suffix. What fuzz runs found is made here anew."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable

from tests.parsing.hostile_files import (
    BOMB,
    CATALOGUE,
    NAMES,
    NOTES,
    OUTSIDE,
    bomb_pdf,
    cyclic_form_pdf,
    cyclic_pdf,
    gzip_of_zeros,
    lying_zip,
    mail_in_mail,
    nested_tables,
    odd_tar,
    paragraphs,
    patched,
    png,
    raw_pdf,
    with_doctype,
    zip_in_zip,
    zip_of_zeros,
)
from tests.parsing.samples import odf, pdf, samples, zipped

HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "zip that unpacks to a gigabyte": ("zip", lambda: zip_of_zeros(1 << 30, "zéros.txt")),
    "zip that lies about it": ("zip", lambda: lying_zip(300 << 20, "zéros.txt")),
    "docx that unpacks to 300 MB": ("docx", lambda: zip_of_zeros(300 << 20, "word/document.xml")),
    "docx that lies about it": ("docx", lambda: lying_zip(300 << 20, "word/document.xml")),
    "xlsx that unpacks to 300 MB": ("xlsx", lambda: zip_of_zeros(300 << 20, "xl/worksheets/sheet1.xml")),
    "epub that unpacks to 300 MB": ("epub", lambda: zip_of_zeros(300 << 20, "one.xhtml")),
    "gzip that unpacks to 300 MB": ("tar.gz", lambda: gzip_of_zeros(300 << 20)),
    "gzip of a gzip of zeros": ("gz", lambda: gzip.compress(gzip_of_zeros(300 << 20))),
    "bzip2 of zeros": ("tar.bz2", lambda: bz2.compress(bytes(100 << 20))),
    "pdf with a stream of 300 MB": ("pdf", bomb_pdf),
    "pdf without pages": ("pdf", lambda: raw_pdf(CATALOGUE, b"<< /Type /Pages /Kids [] /Count 0 >>")),
    "pdf that says it has a billion pages": (
        "pdf",
        lambda: raw_pdf(CATALOGUE, b"<< /Type /Pages /Kids [] /Count 999999999 >>"),
    ),
    "pdf whose pages are a circle": ("pdf", cyclic_pdf),
    "pdf with a form in itself": ("pdf", cyclic_form_pdf),
    "pdf of 20,000 streams without end": (
        "pdf",
        lambda: pdf() + b"4 0 obj<</Length 47>>stream\nBT (mot) Tj ET\nendstre 0 R>>endobj\n" * 20_000,
    ),
    "pdf of nested arrays": (
        "pdf",
        lambda: raw_pdf(b"<< /Type /Catalog /Pages 2 0 R /X " + b"[" * 500_000 + b"]" * 500_000 + b" >>"),
    ),
    "png that says it is huge": ("png", lambda: png(60_000, 60_000, b"\x00" * 60_001)),
    "png that is huge": ("png", lambda: png(20_000, 20_000, bytes(20_001 * 20_000))),
    "json 500,000 deep": ("json", lambda: b"[" * 500_000 + b"]" * 500_000),
    "json line 500,000 deep": ("jsonl", lambda: b'{"a":' * 500_000 + b"1" + b"}" * 500_000),
    "notebook 100,000 deep": ("ipynb", lambda: b'{"cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "json of a huge number": ("json", lambda: b'{"a": ' + b"9" * 2_000_000 + b"}"),
    "xml 500,000 deep": ("xml", lambda: b"<a>" * 500_000 + b"</a>" * 500_000),
    "html 500,000 deep": ("html", lambda: b"<html><div>" + b"<div>" * 500_000 + b"x"),
    "html of 100,000 open lists": ("html", lambda: b"<html>" + b"<ul><li>x" * 100_000),
    "html of nested tables": ("html", lambda: b"<html>" + b"<table><tr><td>" * 50_000 + b"x"),
    "html of spanning cells": (
        "html",
        lambda: b"<table><tr>" + b"<td rowspan=65534 colspan=1000>x</td>" * 1000 + b"</table>",
    ),
    "html of a million attributes": ("html", lambda: b"<p " + b" ".join(b"a%d=1" % n for n in range(300_000)) + b">x"),
    "rtf 500,000 deep": ("rtf", lambda: b"{\\rtf1 " + b"{" * 500_000 + b"x" + b"}" * 500_000 + b"}"),
    "rtf with a gigabyte of binary to come": ("rtf", lambda: b"{\\rtf1 \\bin2147483647 x}"),
    "markdown of nested quotes": ("md", lambda: b">" * 300_000 + b" x\n"),
    "markdown of nested lists": ("md", lambda: b"".join(b" " * (2 * n) + b"- x\n" for n in range(1500))),
    "markdown of brackets": ("md", lambda: b"[a](" * 100_000 + b"![" * 100_000),
    "rst of nested lists": ("rst", lambda: b"".join(b" " * (2 * n) + b"* x\n\n" for n in range(600))),
    "docx with tables 3,000 deep": ("docx", lambda: nested_tables(3000)),
    "docx of a million empty paragraphs": ("docx", lambda: paragraphs(1_000_000)),
    "zip 30 deep": ("zip", lambda: zip_in_zip(30)),
    "mail 100 deep": ("eml", lambda: mail_in_mail(100)),
    "tar with links in a circle, devices and ways out": ("tar", odd_tar),
    "zip with odd names": ("zip", lambda: zipped(dict.fromkeys(NAMES, "une note"))),
    "zip of 50,000 files": ("zip", lambda: zipped({f"{n}.txt": "x" for n in range(50_000)})),
    "xml with an entity bomb": ("xml", lambda: NOTES.format(BOMB).encode()),
    "xml with an entity from outside": ("xml", lambda: NOTES.format(OUTSIDE).encode()),
    "svg with an entity bomb": ("svg", lambda: NOTES.format(BOMB).replace("notes>", "svg>").encode()),
    "docx with an entity bomb": (
        "docx",
        lambda: patched(samples()["docx"], "word/document.xml", with_doctype(BOMB, "Le canal")),
    ),
    "docx with an entity from outside": (
        "docx",
        lambda: patched(samples()["docx"], "word/document.xml", with_doctype(OUTSIDE, "Le canal")),
    ),
    "xlsx with an entity bomb": (
        "xlsx",
        lambda: patched(samples()["xlsx"], "xl/workbook.xml", with_doctype(BOMB, "Sheet")),
    ),
    "pptx with an entity bomb": (
        "pptx",
        lambda: patched(samples()["pptx"], "ppt/slides/slide1.xml", with_doctype(BOMB, "Diapositive")),
    ),
    "odt with an entity bomb": (
        "odt",
        lambda: patched(samples()["odt"], "content.xml", with_doctype(BOMB, "Le canal")),
    ),
    "ods with an entity bomb": (
        "ods",
        lambda: patched(samples()["ods"], "content.xml", with_doctype(BOMB, "La pompe")),
    ),
    "epub with an entity bomb": (
        "epub",
        lambda: patched(samples()["epub"], "one.xhtml", with_doctype(BOMB, "La pompe")),
    ),
    "epub with an entity from outside": (
        "epub",
        lambda: patched(samples()["epub"], "one.xhtml", with_doctype(OUTSIDE, "La pompe")),
    ),
    "ods of repeated rows": (
        "ods",
        lambda: odf(
            "spreadsheet",
            "<office:spreadsheet><table:table table:name='x'><table:table-row table:number-rows-repeated='1048576'>"
            "<table:table-cell table:number-columns-repeated='16384'><text:p>x</text:p></table:table-cell>"
            "</table:table-row></table:table></office:spreadsheet>",
        ),
    ),
    "odt of repeated spaces": (
        "odt",
        lambda: odf("text", "<office:text><text:p>a<text:s text:c='2000000000'/>b</text:p></office:text>"),
    ),
    "xlsx cell at the far end": (
        "xlsx",
        lambda: patched(
            samples()["xlsx"], "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b'r="A1"', b'r="XFD1048576"')
        ),
    ),
    "csv of one line": ("csv", lambda: b"a;" * 1_000_000),
    "csv with a cell of 2 MB": ("csv", lambda: b'a,b\n"' + b"mot " * 500_000 + b'",1\n'),
    "csv with an open quote": ("csv", lambda: b'a,"b\n' * 300_000),
    "csv of a million lines": ("csv", lambda: b"a,b\n" * 1_000_000),
    "json of one long string": ("json", lambda: json.dumps({"a": "mot " * 700_000}).encode()),
    "subtitles without end": ("srt", lambda: b"1\n00:00:01,000 --> 00:00:02,000\n" * 100_000),
    "mail with a hundred thousand headers": ("eml", lambda: b"Subject: x\n" * 100_000 + b"\nx\n"),
    "mail in a mail with a long header": (
        "eml",
        lambda: mail_in_mail(2).replace(b"Subject: niveau 0", b"Subject: niveau 0" + b" et 1" * 60_000),
    ),
    "mail with a huge header": ("eml", lambda: b"Subject: " + b"=?utf-8?q?" * 100_000 + b"\n\nx\n"),
    "mail of 10,000 parts": (
        "eml",
        lambda: (
            b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n\nx\n" * 10_000 + b"--b--\n"
        ),
    ),
    "pdf of 10,000 pages": ("pdf", lambda: pdf(10_000)),
}
"""What is wrong -> suffix, and what makes the document."""
