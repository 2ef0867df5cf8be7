"""A file becomes elements: the right reader for its type, and errors that a person understands."""

from __future__ import annotations

import importlib
import logging
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from traceback import walk_tb
from types import MappingProxyType

from ragline.errors import Damaged, ParseFailed, RaglineError, Unavailable, UnsupportedFile
from ragline.pipelines.parse_types import (
    CODE,
    DOCX,
    EPUB,
    ODT,
    OLE,
    PDF,
    PPTX,
    RTF,
    SUPPORTED,
    TEXT,
    XLSX,
    ZIPPED,
    content_type_of,
)
from ragline.types import Element

__all__ = ["SUPPORTED", "content_type_of", "document_text", "parse"]

log = logging.getLogger(__name__)

Reader = Callable[[Path], Iterable[Element]]

_READERS: Mapping[str, str] = MappingProxyType(
    {
        PDF: "parse_pdf:pages",
        DOCX: "parse_unstructured:docx",
        PPTX: "parse_unstructured:pptx",
        "text/markdown": "parse_unstructured:markdown",
        "text/html": "parse_unstructured:html",
        "message/rfc822": "parse_unstructured:mail",
        EPUB: "parse_unstructured:epub",
        ODT: "parse_unstructured:odt",
        RTF: "parse_unstructured:rtf",
        "text/x-rst": "parse_unstructured:rst",
        "text/org": "parse_unstructured:org",
        XLSX: "parse_tables:sheets",
        "text/csv": "parse_tables:comma_separated",
        "text/tab-separated-values": "parse_tables:tab_separated",
        TEXT: "parse_text:plain",
        CODE: "parse_text:code",
        "application/json": "parse_data:json_document",
        "application/x-ndjson": "parse_data:json_lines",
        "application/xml": "parse_data:xml_document",
    }
)
"""Content type to "module:function" beside this file, imported when the first file of the type comes."""

MAX_UNZIPPED_BYTES = 1 << 30
MAX_ZIP_RATIO = 200
"""Limits of what a zip-based document says it unpacks to; the ratio counts above 10 MiB (real ones stay below 40)."""


def parse(path: Path, name: str, content_type: str, *, max_chars: int) -> list[Element]:
    """Return the elements of a file in reading order: at least one, none empty, at most `max_chars` characters in all.

    `name` is what the user calls the file; messages use it. Text beyond `max_chars` is left out and logged. Raises
    ParseFailed for a file that is damaged, encrypted or without text, UnsupportedFile for a type with no reader.
    Runs for seconds and trusts no file: call it in a worker.
    """
    try:
        reader = _reader(name, content_type)
        _check_bytes(path, content_type)
        with warnings.catch_warnings(action="ignore"):  # of libraries, about the file; nobody reads a worker's stderr
            elements = _limited(reader(path), max_chars, name)
    except RecursionError:
        raise ParseFailed(f"{name!r} is nested too deeply to be read") from None
    except ParseFailed as error:
        raise ParseFailed(f"{name!r} {error}") from error
    except (RaglineError, MemoryError):
        raise
    except Exception as error:  # a dozen libraries, each with errors of its own: all mean that the file is damaged
        if while_importing(error):
            log.warning("a reader could not be loaded for %s", content_type, exc_info=True)
            raise Unavailable(f"the reader for {_kind(content_type)} could not be loaded; it is tried again") from error
        log.warning("cannot read a file of type %s", content_type, exc_info=True)
        raise Damaged(f"{name!r} is damaged or not really {_kind(content_type)}; it cannot be read") from error
    if not elements:
        hint = "; scanned pages need OCR, which this version does not do" if content_type == PDF else ""
        raise ParseFailed(f"{name!r} has no text{hint}")
    return elements


def document_text(elements: Sequence[Element]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of a document, its elements joined by blank lines, and the (start, end) of each element in it."""
    spans = []
    start = 0
    for element in elements:
        spans.append((start, start + len(element.text)))
        start += len(element.text) + 2
    return "\n\n".join(element.text for element in elements), spans


def _reader(name: str, content_type: str) -> Reader:
    place = _READERS.get(content_type)
    if place is None:
        raise UnsupportedFile(f"{name!r}: no reader for the type {content_type!r}; known: {', '.join(_READERS)}")
    module, function = place.split(":")
    reader: Reader = getattr(importlib.import_module(f"ragline.pipelines.{module}"), function)
    return reader


def while_importing(error: BaseException) -> bool:
    """Tell whether a library failed to load, which says nothing of the file."""
    return any(frame.f_code.co_filename.startswith("<frozen importlib") for frame, _ in walk_tb(error.__traceback__))


def _check_bytes(path: Path, content_type: str) -> None:
    """Raise ParseFailed for what needs no reader to see. Its text lacks the file's name."""
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise ParseFailed("is empty")
    if content_type not in ZIPPED:
        return
    if head == OLE:
        raise ParseFailed("needs a password, or is from an Office before 2007; save it without one, in today's format")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    unzipped = sum(member.file_size for member in members)
    zipped = sum(member.compress_size for member in members)
    if unzipped > MAX_UNZIPPED_BYTES or (unzipped > 10 << 20 and unzipped > MAX_ZIP_RATIO * zipped):
        raise ParseFailed(
            f"unpacks to {unzipped >> 20} MiB, {unzipped // max(zipped, 1)} times its size, and is taken for a zip "
            f"bomb; allowed are {MAX_UNZIPPED_BYTES >> 20} MiB and {MAX_ZIP_RATIO} times"
        )


def _limited(elements: Iterable[Element], max_chars: int, name: str) -> list[Element]:
    kept = []
    left = max_chars
    for element in map(encodable, elements):
        if not element.text.strip():
            continue
        if len(element.text) > left:
            log.warning("text cut at %d characters", max_chars)
            if text := element.text[:left].strip():
                kept.append(Element(text, element.kind, element.level, element.page))
            break
        left -= len(element.text)
        kept.append(element)
    return kept


def _kind(content_type: str) -> str:
    suffix = next((suffix for suffix, kind in SUPPORTED.items() if kind == content_type), "")
    return suffix.lstrip(".").upper()


def encodable(element: Element) -> Element:
    """Replace lone surrogates, which JSON and mails can hold but neither UTF-8 nor a tokenizer takes."""
    try:
        element.text.encode()
    except UnicodeEncodeError:
        return replace(element, text=element.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return element
