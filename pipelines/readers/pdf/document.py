"""A PDF as it is opened by PDFium: its pages, what it says of itself, its bookmarks."""

from __future__ import annotations

import ctypes
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ragline.errors import ParseFailed
from ragline.pipelines.readers.pdf.columns import rows
from ragline.pipelines.readers.pdf.fields import fields
from ragline.pipelines.readers.pdf.lines import PageText, page_text
from ragline.pipelines.readers.pdf.paragraphs import plain
from ragline.pipelines.readers.pdf.rulings import Rulings, rulings
from ragline.pipelines.reading import NEEDS_PASSWORD, WRONG_PASSWORD, Reading
from ragline.types import Json

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

log = logging.getLogger(__name__)

_LOCKED, _UNKNOWN_LOCK = 4, 5  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY
_KEPT_PAGES = 24
_MOST_BOOKMARKS = 3_000
_MAX_ABOUT_CHARS = 500
_FEW_LETTERS = 40
_LARGE_PICTURE = 0.5
_MOST_OBJECTS = 20_000
_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?)?(?:([+-])(\d\d)'?(\d\d)?|(Z))?")
_PLACEHOLDERS = frozenset({"(anonymous)", "anonymous", "(unspecified)", "unspecified", "untitled"})
_NO_RULINGS = Rulings([], [])


@dataclass(frozen=True, slots=True)
class Page:
    """What is taken from a page at once. `has_gaps`: some lines have stretches side by side.

    `fields` are lines of forms and comments. `is_picture`: nearly all of what it shows is no text, but may be
    recognised.
    """

    text: PageText
    rulings: Rulings
    has_gaps: bool
    fields: list[str]
    is_picture: bool


class Document:
    """An open PDF. Pages count from 1; those that were looked at last are kept."""

    def __init__(self, document: PdfDocument) -> None:
        self.pdf = document
        self._pages: dict[int, Page | None] = {}

    def __len__(self) -> int:
        return len(self.pdf)

    def page(self, number: int) -> Page | None:
        """Return a page, None for one that cannot be read."""
        if number not in self._pages:
            while len(self._pages) >= _KEPT_PAGES:
                del self._pages[next(iter(self._pages))]
            self._pages[number] = self._load(number)
        return self._pages[number]

    def _load(self, number: int) -> Page | None:
        import pypdfium2

        try:
            page = self.pdf[number - 1]
        except pypdfium2.PdfiumError as error:
            log.warning("page %d left out: %s", number, error)
            return None
        try:
            return _taken(page)
        except pypdfium2.PdfiumError as error:
            log.warning("page %d left out: %s", number, error)
            return None
        finally:
            page.close()

    def about(self) -> dict[str, Json]:
        """Return what the document says of itself."""
        said = self.pdf.get_metadata_dict(skip_empty=True)
        found: dict[str, Json] = {}
        for key in ("Title", "Author", "Subject"):
            text = " ".join(said.get(key, "").replace("\x00", "").split())
            if text and text.lower() not in _PLACEHOLDERS:
                found[key.lower()] = text[:_MAX_ABOUT_CHARS]
        if date := iso_date(said.get("CreationDate", "")) or iso_date(said.get("ModDate", "")):
            found["date"] = date
        found["pages"] = len(self)
        return found

    def outline(self) -> Mapping[int, Mapping[str, int]]:
        """Return the bookmarks' titles, as `plain` has them, with their levels from 1, by the pages they lead to."""
        import pypdfium2

        found: dict[int, dict[str, int]] = {}
        try:
            for mark in islice(self.pdf.get_toc(), _MOST_BOOKMARKS):
                target = mark.get_dest()
                index = target.get_index() if target else None
                title = plain(mark.get_title())
                if index is not None and title:
                    found.setdefault(index + 1, {}).setdefault(title, mark.level + 1)
        except (pypdfium2.PdfiumError, UnicodeDecodeError) as error:
            log.info("bookmarks left out: %s", error)
        return found


def opened(reading: Reading) -> Document:
    """Open the PDF. Raises ParseFailed for one that is locked, or none inside."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(reading.path, password=reading.options.password)
    except pypdfium2.PdfiumError as error:
        if error.err_code == _LOCKED and reading.options.password:
            raise ParseFailed(WRONG_PASSWORD) from error
        if error.err_code == _LOCKED:
            raise ParseFailed(NEEDS_PASSWORD) from error
        if error.err_code == _UNKNOWN_LOCK:
            raise ParseFailed("is locked in a way that is not known; save it without protection") from error
        raise ParseFailed("is damaged or not really a PDF; it cannot be read") from error
    if document.get_formtype():
        document.init_forms()
    return Document(document)


def iso_date(text: str) -> str:
    """Return a PDF's date such as `D:20230405123000+02'00'` as `2023-04-05T12:30:00+02:00`, "" for none."""
    if not (found := _DATE.match(text.strip())):
        return ""
    year, month, day, hour, minute, second, sign, hours, minutes, zulu = found.groups()
    if not 1 <= int(month or 1) <= 12 or not 1 <= int(day or 1) <= 31 or int(year) < 1900:
        return ""
    date = "-".join(part for part in (year, month, day) if part)
    if not (day and hour):
        return date
    zone = f"{sign}{hours}:{minutes or '00'}" if sign else "+00:00" if zulu else ""
    return f"{date}T{hour}:{minute}:{second or '00'}{zone}"


def _taken(page: PdfPage) -> Page:
    text_page = page.get_textpage()
    try:
        text = page_text(page, text_page)
    finally:
        text_page.close()
    beside = sum(len(row) > 1 for row in rows(text.lines))
    drawn = rulings(page, text.quarter, text.mirrored) if beside > 1 else _NO_RULINGS
    return Page(text, drawn, beside > 1, fields(page), _is_picture(page, text))


def _is_picture(page: PdfPage, text: PageText) -> bool:
    """True for a page without text that shows something, or whose little text is printed on a scan."""
    from pypdfium2 import raw

    count = min(raw.FPDFPage_CountObjects(page), _MOST_OBJECTS)
    if text.is_garbage:
        return True
    if text.chars > _FEW_LETTERS or not count:
        return False
    kinds = [raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page, index)) for index in range(count)]
    if not text.chars:
        return any(kind != raw.FPDF_PAGEOBJ_TEXT for kind in kinds)
    width, height = page.get_size()
    pictures = [index for index, kind in enumerate(kinds) if kind == raw.FPDF_PAGEOBJ_IMAGE]
    covered = False
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    for index in pictures:
        if raw.FPDFPageObj_GetBounds(raw.FPDFPage_GetObject(page, index), left, bottom, right, top):
            area: float = (right.value - left.value) * (top.value - bottom.value)
            covered |= area > _LARGE_PICTURE * width * height
    return covered
