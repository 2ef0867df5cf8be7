"""The text layer of a PDF as paragraphs and titles, page by page."""

from __future__ import annotations

import ctypes
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from ragline.errors import ParseFailed
from ragline.types import Element

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

log = logging.getLogger(__name__)

_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
_HYPHEN = "\ufffe"  # what PDFium writes for a hyphen and the line break after it
_PIECE = re.compile("[^\n\ufffe]*\ufffe?")
_LIGATURES = str.maketrans({char: unicodedata.normalize("NFKC", char) for char in "ﬀﬁﬂﬃﬄﬅﬆ"})
_INVISIBLE = re.compile("[\xad\u200b\ufeff\x00-\x08\x0b\x0e-\x1f]")
_COMPOUND = re.compile(r"\w+-\w+")
_FRENCH_AFTER_HYPHEN = frozenset({"il", "ils", "je", "nous", "vous", "moi", "toi", "ci", "là", "même", "mêmes", "être"})
_ITEM = re.compile(r"(?:[•●▪◦‣–■□➢✓-]|\d{1,2}[.)]|[a-z]\))\s")
_SENTENCE_END = re.compile(r"[.!?…:;]['\"”»)\]]?$")
_MAX_TITLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A printed line. Coordinates in points from the bottom left; `height` is the font's, 0 where it is unknown.

    `text` ends in U+FFFE where the line ends in a hyphen.
    """

    text: str
    left: float
    bottom: float
    right: float
    height: float


def pages(path: Path) -> Iterator[Element]:
    """Yield the paragraphs of each page in reading order; a page that cannot be read is left out and logged.

    Titles are known by type clearly larger than most of the document's text. Raises ParseFailed for a file that needs
    a password or is no PDF inside.
    """
    document = _open(path)
    try:
        body, compounds = _survey(document)
        for number, lines in _all_lines(document):
            for paragraph in _paragraphs(lines):
                yield _element(paragraph, body, compounds, number)
    finally:
        document.close()


def _open(path: Path) -> PdfDocument:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code == _PASSWORD_ERROR:
            raise ParseFailed("needs a password; save it without one") from error
        raise ParseFailed("is damaged or not really a PDF; it cannot be read") from error


def _all_lines(document: PdfDocument, limit: int | None = None) -> Iterator[tuple[int, list[Line]]]:
    """Yield the number of each page from 1 and its lines."""
    import pypdfium2

    for index in range(min(len(document), limit or len(document))):
        try:
            page = document[index]
            text_page = page.get_textpage()
        except pypdfium2.PdfiumError as error:
            log.warning("page %d left out: %s", index + 1, error)
            continue
        yield index + 1, _lines(page, text_page)
        text_page.close()
        page.close()


def _survey(document: PdfDocument) -> tuple[float, frozenset[str]]:
    """Look at the first 20 pages.

    Returns the height in which most characters are set, in points, 0 where there are none; and the words that have a
    hyphen within a line, in lower case, which keep it at a line's end.
    """
    heights: Counter[float] = Counter()
    compounds: set[str] = set()
    for _, lines in _all_lines(document, limit=20):
        for line in lines:
            compounds.update(_COMPOUND.findall(line.text.lower()))
            if line.height:
                heights[round(line.height * 2) / 2] += len(line.text)
    return heights.most_common(1)[0][0] if heights else 0.0, frozenset(compounds)


def _lines(page: PdfPage, text_page: PdfTextPage) -> list[Line]:
    text: str = text_page.get_text_range().replace("\x02", _HYPHEN)
    sideways = page.get_rotation() in (90, 270)  # the boxes are those of the page before it is turned
    lines = []
    for piece in _PIECE.finditer(text):
        if clean := _clean(piece[0]):
            place = (0.0,) * 4 if sideways else _place(text_page, piece.start(), piece[0])
            lines.append(Line(clean, *place))
    return lines


def _place(text_page: PdfTextPage, start: int, piece: str) -> tuple[float, float, float, float]:
    """Return left, bottom, right and height of a line from its first and last visible character."""
    first = start + len(piece) - len(piece.lstrip())
    last = start + len(piece.rstrip(f"{_HYPHEN} \r")) - 1
    left, bottom, _, top = _box(text_page, first)
    end_left, _, right, _ = _box(text_page, last)
    return left, bottom, max(right, end_left), max(top - bottom, 0.0)


def _box(text_page: PdfTextPage, text_index: int) -> tuple[float, float, float, float]:
    from pypdfium2 import raw

    index = raw.FPDFText_GetCharIndexFromTextIndex(text_page, text_index)
    box = raw.FS_RECTF()
    if index < 0 or not raw.FPDFText_GetLooseCharBox(text_page, index, ctypes.byref(box)):
        return 0.0, 0.0, 0.0, 0.0
    return box.left, box.bottom, box.right, box.top


def _paragraphs(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Yield the lines of each paragraph of a page."""
    step = _usual_step(lines)
    paragraph: list[Line] = []
    for line in lines:
        if paragraph and _breaks(paragraph[-1], line, step):
            yield paragraph
            paragraph = []
        paragraph.append(line)
    if paragraph:
        yield paragraph


def _usual_step(lines: Sequence[Line]) -> float:
    """The usual distance of two lines in line heights; 1.2 where a page has too few to tell."""
    steps = [
        (above.bottom - below.bottom) / below.height
        for above, below in pairwise(lines)
        if below.height and 0.5 < (above.bottom - below.bottom) / below.height < 2.5
    ]
    return median(steps) if len(steps) > 2 else 1.2


def _breaks(above: Line, below: Line, step: float) -> bool:
    """True where a paragraph ends between two lines."""
    if not above.height or not below.height:
        return False
    down = above.bottom - below.bottom
    size = max(above.height, below.height)
    if abs(down) < 0.5 * size and below.left >= above.right - size:
        return False  # the same printed line, cut by a change of font or a superscript
    if _ITEM.match(below.text) or size > 1.15 * min(above.height, below.height):
        return True
    if down < 0:  # up again: the next column
        return bool(_SENTENCE_END.search(above.text)) or not below.text[0].islower()
    if down > 1.3 * step * size:
        return True
    return bool(_SENTENCE_END.search(above.text)) and above.right < below.right - 2 * size


def _element(lines: Sequence[Line], body: float, compounds: frozenset[str], page: int) -> Element:
    text = _joined(lines, compounds)
    height = min(line.height for line in lines)
    # Brackets and symbols come from taller fonts, and a number alone is a page's.
    wordy = text[0].isalnum() and any(char.isalpha() for char in text)
    if body and height > 1.15 * body and len(text) <= _MAX_TITLE_CHARS and wordy:
        level = 1 if height > 1.7 * body else 2 if height > 1.35 * body else 3
        return Element(text, "title", level=level, page=page)
    return Element(text, "list" if _ITEM.match(text) else "text", page=page)


def _joined(lines: Sequence[Line], compounds: frozenset[str]) -> str:
    """The lines as one text: a hyphen at a line's end joins the halves of a word, any other line end is a space."""
    parts = [lines[0].text]
    for line in lines[1:]:
        last = parts[-1]
        if last.endswith((_HYPHEN, "-")) and last[-2:-1].isalnum():
            parts[-1] = last[:-1] + ("-" if _keeps_hyphen(last[:-1], line.text, compounds) else "")
        elif line.text[0] not in ",.;)":
            parts.append(" ")
        parts.append(line.text)
    return "".join(parts).replace(_HYPHEN, "-")


def _keeps_hyphen(before: str, after: str, compounds: frozenset[str]) -> bool:
    """True for `Saint-Malo`, `19-20`, `affecte-t-il`, `peut-être` and what has a hyphen elsewhere in the document."""
    left = re.split(r"[^\w]", before)[-1]
    right = re.split(r"[^\w]", after, maxsplit=1)[0]
    if not (left[-1:].islower() and right[:1].islower()):
        return True
    return right in _FRENCH_AFTER_HYPHEN or after.startswith("t-") or f"{left}-{right}".lower() in compounds


def _clean(piece: str) -> str:
    text = _INVISIBLE.sub("", piece).translate(_LIGATURES)
    return unicodedata.normalize("NFC", " ".join(text.split()))
