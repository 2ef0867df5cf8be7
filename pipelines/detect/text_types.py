"""Which kind of text a file is: its suffix decides among kinds of text, unless the text is clearly something else."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from ragline.pipelines.parse_types import (
    CODE,
    CSV,
    EML,
    HTML,
    JSON,
    JSON_LINES,
    LATEX,
    MARKDOWN,
    MBOX,
    NOTEBOOK,
    RTF,
    SUBRIP,
    SUPPORTED,
    TEXT,
    TEXTUAL,
    TSV,
    WEBVTT,
    XLS,
    XLSX,
    XML,
)

if TYPE_CHECKING:
    from magika import Magika

_MAX_JSON_BYTES = 256 << 10
"""Up to here JSON without a suffix is tried by reading it, beyond by how it begins."""
_SURE = 0.95
_MIN_BYTES = 100
_CODE_LABELS = """
    asm c clojure cmake cpp cs css dart diff dockerfile elixir erlang fortran go groovy haskell java
    javascript julia kotlin lisp lua makefile objectivec ocaml pascal perl php powershell proto python r ruby rust
    scala scss shell solidity sql swift tsx typescript vba verilog vhdl vue zig"""
_LABELS = {
    **dict.fromkeys(_CODE_LABELS.split(), CODE),
    "markdown": MARKDOWN,
    "latex": LATEX,
    "csv": CSV,
    "tsv": TSV,
    "html": HTML,
    "xml": XML,
    "ipynb": NOTEBOOK,
}
"""What magika calls a text, as far as it is better read as such than as plain text."""

_MARKUP = re.compile(
    r"(?P<rtf>\{\\rtf)|(?P<html><!doctype\s+html|<html[\s>])|(?P<xml><\?xml\s|<!doctype\s+(?!html)\w)", re.IGNORECASE
)
_ROOT = re.compile(r"<(?:\w+:)?([A-Za-z]\w*)[\s/>]")
_MAIL_FIELD = re.compile(r"([!-9;-~]{1,60}):[ \t]?")
_MAILBOX = re.compile(r"From \S{1,300} .{0,40}\d\d:\d\d")
_ONLY_MAIL = frozenset({"return-path", "received", "message-id", "mime-version", "delivered-to"})
_MAIL_FIELDS = _ONLY_MAIL | {"from", "to", "cc", "subject", "date", "content-type", "reply-to", "sender"}
_SUBRIP = re.compile(r"(?:\d{1,6}[ \t]*\n)?\d{1,3}:\d\d:\d\d[,.]\d{1,3}[ \t]*-->[ \t]*\d")
_JSON_START = re.compile(r'\{\s*"[^"\n]{0,200}"\s*:|\[\s*\{\s*"[^"\n]{0,200}"\s*:')
_SENTENCE = re.compile(r"[.!?]\s*$")


def text_type(head: str, suffix: str, file: BinaryIO) -> str:
    """Return the type of a text by its beginning `head` and its suffix.

    A suffix of text is believed unless the text is in a markup that calls itself something else; `.txt` and `.log` are
    plain text unless it is clear what they are, and prose never becomes code.
    """
    wanted = SUPPORTED.get(suffix)
    start = head.lstrip("\ufeff \t\r\n")
    if wanted != CODE and (marked := _markup(start, wanted)) is not None:
        return marked
    if wanted in TEXTUAL and (wanted not in (TEXT, RTF) or suffix == ".log"):
        return str(wanted)
    lines = [line for line in start.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]
    found = _by_shape(start, lines, file, loosely=wanted in (XLS, XLSX))
    return found or (_by_magika(head) if wanted is None else None) or TEXT


def _markup(start: str, wanted: str | None) -> str | None:
    found = _MARKUP.match(start)
    if found is None:
        return None
    if found["rtf"]:
        return RTF
    if found["html"]:
        return HTML
    # Of XML, what a suffix says of itself stays: the type of a web page, of a book's chapter.
    root = _ROOT.search(re.sub(r"<[!?][^<>]{0,2000}>", "", start[:4096]))
    if root is not None and root[1].lower() == "html":
        return HTML
    return XML if wanted != HTML else HTML


def _by_shape(start: str, lines: list[str], file: BinaryIO, *, loosely: bool) -> str | None:
    if start.startswith("WEBVTT"):
        return WEBVTT
    if _SUBRIP.match("\n".join(lines[:2])):
        return SUBRIP
    if _is_mail(lines):
        return EML
    if lines and _MAILBOX.match(lines[0]) and _is_mail(lines[1:]):
        return MBOX
    if start.startswith("#!") and re.match(r"#!\s*/[\w./-]+", start):
        return CODE
    return _json(start, lines, file) or separated(lines, loosely=loosely)


def _is_mail(lines: list[str]) -> bool:
    """True for the head of a mail: known fields from the first line on, and one that only mails have, or the usual."""
    names: set[str] = set()
    for line in lines[:40]:
        if line[0] in " \t" and names:
            continue
        field = _MAIL_FIELD.match(line)
        if field is None:
            break
        names.add(field[1].lower())
    known = names & _MAIL_FIELDS
    first = _MAIL_FIELD.match(lines[0]) if lines else None
    usual = {"from", "subject"} <= known and bool({"to", "date"} & known)
    return first is not None and len(known) >= 2 and (usual or len(known & _ONLY_MAIL) >= 2)


def _json(start: str, lines: list[str], file: BinaryIO) -> str | None:
    if not start.startswith(("{", "[")):
        return None
    if len(lines) > 1 and all(_is_object(line) for line in lines[:2]):
        return JSON_LINES
    file.seek(0)
    data = file.read(_MAX_JSON_BYTES + 1)
    if len(data) > _MAX_JSON_BYTES:
        return JSON if _JSON_START.match(start) else None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and "nbformat" in value and "cells" in value:
        return NOTEBOOK
    return JSON if value else None


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def separated(lines: list[str], *, loosely: bool = False) -> str | None:
    """Return CSV or TSV for lines with the same number of cells; prose with commas has not.

    `loosely`: for what calls itself a workbook, the first line is enough.
    """
    rows = [re.sub(r'"[^"]*"', "", line) for line in lines[:20]]
    if len(lines) > 20 or len(rows) > 5:
        rows = rows[: min(20, len(lines) - 1)]  # the last line of the beginning may be cut
    if not rows:
        return None
    if loosely:
        return TSV if "\t" in rows[0] else CSV if ";" in rows[0] or "," in rows[0] else None
    for mark, least_cells, least_rows, kind in (
        ("\t", 1, 3, TSV),
        (";", 2, 3, CSV),
        ("|", 2, 4, CSV),
        (",", 2, 4, CSV),
    ):
        counts = {row.strip(" ").count(mark) for row in rows}
        if len(counts) != 1 or max(counts) < least_cells or len(rows) < least_rows:
            continue
        if rows[0].lstrip(" ").startswith(mark):
            continue
        if mark == "," and sum(row.count(", ") for row in rows) > 0.2 * sum(row.count(",") for row in rows):
            continue
        if not any(_SENTENCE.search(row) for row in rows):
            return kind
    return None


def _by_magika(head: str) -> str | None:
    """Return what magika is sure of; None for prose and for little text."""
    data = head.encode(errors="replace")
    if len(data) < _MIN_BYTES:
        return None
    result = _magika().identify_bytes(data)
    if not result.ok or result.score < _SURE:
        return None
    return _LABELS.get(str(result.output.label))


@cache
def _magika() -> Magika:
    from magika import Magika

    return Magika()
