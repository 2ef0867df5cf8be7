"""What kind of document a file is, from its name and its first bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

from ragline.errors import UnsupportedFile

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
EPUB = "application/epub+zip"
RTF = "application/rtf"
TEXT = "text/plain"
CODE = "text/x-source"

_CODE_SUFFIXES = re.findall(
    r"\S+",
    ".bash .c .cc .clj .cpp .cs .css .dart .ex .go .h .hpp .hs .ini .java .jl .js .jsx .kt .lua .m .php .pl .ps1 .py "
    ".r .rb .rs .scala .scss .sh .sql .swift .toml .ts .tsx .vb .vue .yaml .yml .zig",
)

SUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        ".pdf": PDF,
        ".docx": DOCX,
        ".pptx": PPTX,
        ".xlsx": XLSX,
        ".odt": ODT,
        ".epub": EPUB,
        ".rtf": RTF,
        ".txt": TEXT,
        ".text": TEXT,
        ".log": TEXT,
        ".md": "text/markdown",
        ".markdown": "text/markdown",
        ".html": "text/html",
        ".htm": "text/html",
        ".xhtml": "text/html",
        ".rst": "text/x-rst",
        ".org": "text/org",
        ".csv": "text/csv",
        ".tsv": "text/tab-separated-values",
        ".eml": "message/rfc822",
        ".json": "application/json",
        ".jsonl": "application/x-ndjson",
        ".ndjson": "application/x-ndjson",
        ".xml": "application/xml",
        **dict.fromkeys(_CODE_SUFFIXES, CODE),
    }
)
"""Suffix, in lower case, to content type. Text with any other suffix is read as plain text."""

ZIPPED = frozenset({DOCX, PPTX, XLSX, ODT, EPUB})
"""The types that are zip archives."""

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How an Office file begins that is encrypted, or older than 2007."""

_BOMS = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff", b"\xff\xfe", b"\xfe\xff")
_CONTROLS = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")  # 07-0d and ESC occur in logs of terminals
_KINDS = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (OLE, "an Office file from before 2007, or an encrypted one"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
)
_MARKUP = (
    (b"{\\rtf", RTF),
    (b"<!doctype html", "text/html"),
    (b"<html", "text/html"),
    (b"<?xml", "application/xml"),
    (b"<!doctype", "application/xml"),
)


def content_type_of(name: str, head: bytes) -> str:
    """Return the content type of the file `name`, whose first bytes (4 KiB or the whole file) are `head`.

    A PDF is known by its bytes, everything else by suffix, and the bytes must not contradict. Raises UnsupportedFile
    for what no parser reads. An empty file has the type of its suffix.
    """
    suffix = PurePath(name).suffix.lower()
    wanted = SUPPORTED.get(suffix)
    if head.lstrip().startswith(b"%PDF-") or (wanted == PDF and b"%PDF-" in head[:1024]):
        return PDF
    if wanted in ZIPPED:
        # An encrypted Office file is no zip; the parser says that it needs a password.
        if head.startswith((b"PK\x03\x04", OLE)) or not head:
            return wanted
    elif is_text(head) and (wanted != PDF or not head):
        return wanted or _markup(head) or TEXT
    raise UnsupportedFile(
        f"{name!r} cannot be read: it is {_seen(head)}"
        f"{f', whatever its suffix {suffix!r} says' if wanted else ''}. Can be read: {', '.join(_documents())}, "
        "source code and other plain text"
    )


def is_text(head: bytes) -> bool:
    """True for bytes without control characters, or with the mark of UTF-16 or UTF-32; true for no bytes."""
    if head.startswith(_BOMS):
        return True
    if head.startswith(tuple(magic for magic, _ in _KINDS if magic != b"MZ")):
        return False
    return b"\x00" not in head and len(_CONTROLS.findall(head)) <= len(head) // 100


def _markup(head: bytes) -> str | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:20].lower()
    return next((kind for magic, kind in _MARKUP if start.startswith(magic)), None)


def _seen(head: bytes) -> str:
    if is_text(head):
        return "text"
    return next((seen for magic, seen in _KINDS if head.startswith(magic)), "unknown binary data")


def _documents() -> list[str]:
    return [suffix for suffix, kind in SUPPORTED.items() if kind != CODE]
