"""What kind of document a file is: by what its bytes are, and by its name where they do not tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import BinaryIO

from ragline.errors import UnsupportedFile

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
EPUB = "application/epub+zip"
RTF = "application/rtf"
DOC = "application/msword"
PPT = "application/vnd.ms-powerpoint"
XLS = "application/vnd.ms-excel"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODP = "application/vnd.oasis.opendocument.presentation"
HTML = "text/html"
MARKDOWN = "text/markdown"
RST = "text/x-rst"
ORG = "text/org"
ASCIIDOC = "text/asciidoc"
LATEX = "text/x-tex"
CSV = "text/csv"
TSV = "text/tab-separated-values"
JSON = "application/json"
JSON_LINES = "application/x-ndjson"
XML = "application/xml"
SUBRIP = "application/x-subrip"
WEBVTT = "text/vtt"
NOTEBOOK = "application/x-ipynb+json"
EML = "message/rfc822"
MSG = "application/vnd.ms-outlook"
MBOX = "application/mbox"
"""Mails one after the other, as Thunderbird and Unix keep them."""
ZIP = "application/zip"
TAR = "application/x-tar"
"""Compressed by gzip, bzip2 or xz, or not at all."""
GZIP = "application/gzip"
"""A single file, compressed by gzip, bzip2 or xz."""
IMAGES = frozenset({"image/png", "image/jpeg", "image/tiff", "image/webp", "image/gif", "image/bmp"})
TEXT = "text/plain"
CODE = "text/x-source"

_SUFFIXES = {
    PDF: ".pdf",
    DOCX: ".docx .docm .dotx .dotm",
    PPTX: ".pptx .pptm .ppsx .ppsm .potx .potm",
    XLSX: ".xlsx .xlsm .xltx .xltm",
    ODT: ".odt .ott",
    EPUB: ".epub",
    RTF: ".rtf",
    TEXT: ".txt .text .log",
    MARKDOWN: ".md .markdown .mdown .mkd",
    HTML: ".html .htm .xhtml",
    RST: ".rst",
    ORG: ".org",
    ASCIIDOC: ".adoc .asciidoc",
    LATEX: ".tex .latex .ltx",
    CSV: ".csv",
    TSV: ".tsv .tab",
    EML: ".eml",
    MSG: ".msg",
    MBOX: ".mbox",
    JSON: ".json .geojson",
    JSON_LINES: ".jsonl .ndjson",
    XML: ".xml .nxml .jats .dbk .docbook .svg .rss .atom .kml .gpx .xsd .xsl .xslt",
    SUBRIP: ".srt",
    WEBVTT: ".vtt",
    NOTEBOOK: ".ipynb",
    DOC: ".doc .dot",
    PPT: ".ppt .pps .pot",
    XLS: ".xls .xlt",
    ODS: ".ods .ots",
    ODP: ".odp .otp",
    "image/png": ".png",
    "image/jpeg": ".jpg .jpeg .jpe",
    "image/tiff": ".tif .tiff",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    ZIP: ".zip",
    TAR: ".tar .tgz .tbz .tbz2 .txz",
    GZIP: ".gz .bz2 .xz",
    CODE: """.bash .bat .c .cc .cfg .clj .cmake .conf .cpp .cs .css .cxx .dart .diff .erl .ex .exs .f90 .go .gradle
        .graphql .groovy .h .hpp .hs .hxx .ini .java .jl .js .jsx .kt .kts .less .lua .m .mjs .ml .patch .php .pl .pm
        .properties .proto .ps1 .py .pyi .r .rb .rs .sass .scala .scss .sh .sql .swift .tf .toml .ts .tsx .vb .vue
        .yaml .yml .zig .zsh""",
}
SUPPORTED: Mapping[str, str] = MappingProxyType(
    {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
)
"""Suffix, in lower case, to content type. Text with any other suffix is read as what its first lines look like."""

ZIPPED = frozenset({DOCX, PPTX, XLSX, ODT, ODS, ODP, EPUB})
"""The types that are zip archives."""

OFFICE = frozenset({DOC, PPT, XLS, MSG, DOCX, PPTX, XLSX})
"""The types that may come in OLE's container, which Office used before 2007 and uses for what is encrypted."""

TEXTUAL = frozenset(
    {TEXT, MARKDOWN, HTML, RST, ORG, ASCIIDOC, LATEX, CSV, TSV, EML, MBOX, JSON, JSON_LINES, XML, SUBRIP, WEBVTT}
    | {NOTEBOOK, CODE, RTF}
)
"""The types whose bytes are text."""

LONG = frozenset({PDF, "image/tiff", ZIP, TAR})
"""The types that may be read in parts."""

HEAD_BYTES = 8192

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How a file in OLE's container begins."""

_PDF = re.compile(rb"%PDF-\d")
_CONTROLS = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f\ufffd\ufffe\uffff\ue000-\uf8ff]")  # ESC occurs in logs
_READABLE = (
    ".pdf, .docx, .pptx, .xlsx, .doc, .ppt, .xls, .odt, .odp, .ods, .rtf, .epub, .html, .md, .txt, .csv, .json, .xml, "
    ".eml, .msg, .ipynb, .srt, .vtt, images, .zip and .tar archives, source code and other plain text"
)


def content_type_of(name: str, file: BinaryIO) -> str:
    """Return the content type of the file `name`, which stands at its beginning before and after.

    What the bytes are is believed; the suffix only tells kinds of text apart, and damaged files. Raises
    UnsupportedFile for what no parser reads. An empty file has the type of its suffix. It takes some milliseconds
    and little memory, whatever the file is; text without a known suffix takes half a second the first time.
    """
    head = file.read(HEAD_BYTES)
    suffix = PurePath(name).suffix.lower()
    try:
        kind, seen = _look(head, suffix, file)
    finally:
        file.seek(0)
    if kind is not None:
        return kind
    claimed = f", whatever its suffix {suffix!r} says" if suffix in SUPPORTED else ""
    raise UnsupportedFile(f"{name!r} cannot be read: it is {seen}{claimed}. Can be read: {_READABLE}")


def _look(head: bytes, suffix: str, file: BinaryIO) -> tuple[str | None, str]:
    """Return the type, or None and what was seen instead."""
    from ragline.pipelines.detect.containers import container_type
    from ragline.pipelines.detect.magic import binary_kind, unreadable_text
    from ragline.pipelines.detect.text_types import text_type

    wanted = SUPPORTED.get(suffix)
    if not head:
        return wanted or TEXT, ""
    if _PDF.match(head.lstrip()) or (wanted == PDF and _PDF.search(head, 0, 1024)):
        return PDF, ""
    if (held := container_type(head, wanted, file)) is not None:
        return held
    if (text := text_in(head)) is None:
        return binary_kind(head)
    seen = unreadable_text(head)
    return (None, seen) if seen else (text_type(text, suffix, file), "")


def is_text(head: bytes) -> bool:
    """True for the beginning of a text in any encoding; true for no bytes."""
    return text_in(head) is not None


def text_in(head: bytes) -> str | None:
    """Return the beginning of a text, its letters roughly right; None for binary data."""
    from ragline.pipelines.readers.text.encoding import unicode_encoding

    encoding = unicode_encoding(head)
    if encoding is None and b"\x00" in head:
        return None
    if encoding not in (None, "utf-8-sig"):
        head = head[: len(head) // 4 * 4]
    text = head.decode(encoding or "cp1252", errors="ignore")
    return text if len(_CONTROLS.findall(text)) <= len(text) // 100 else None
