"""The printed lines of a PDF's page with their places, from the text layer."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from ragline.pipelines.readers.pdf.glyphs import FAR, Box, Glyphs, Word, turned
from ragline.pipelines.readers.pdf.hyphens import HYPHEN  # PDFium writes the same for a hyphen at a line's end

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

_PIECE = re.compile("[^\r\n\ufffe]+\ufffe?")
_LIGATURES = str.maketrans({char: unicodedata.normalize("NFKC", char) for char in "ﬀﬁﬂﬃﬄﬅﬆ"})
_UNSEEN = "\xad\u200b\u2060\ufeff\x00-\x08\x0b\x0e-\x1f\x7f"
_INVISIBLE = re.compile(f"[{_UNSEEN}]")
_ODD = re.compile(f"[ﬀ-ﬆ\xa0{_UNSEEN}]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_MARKER = re.compile(r"[•●▪◦‣■□➢✓*–—-]|\(?\d{1,3}[.)]|\[\d{1,3}\]|[A-Za-z][.)]|[1-9]\d?(?:\.\d{1,2})+\.?")
_MEANINGLESS = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f\x7f-\x9f]")
_BLANK = re.compile("[\\s\ufffe]")
_SPLIT_EM = 0.7
_MIRRORED_SPLIT_EM = 3.5  # the ends of a word of two scripts are not where its letters end
_SPREAD_EM = 1.2
_TYPICAL_CHARS = 3
_MARKER_EM = 3.0


@dataclass(frozen=True, slots=True)
class Line:
    """A printed line, or the stretch of it before a wide gap. Points, y upwards, x in the direction of reading.

    `text` ends in U+FFFE where the line ends in a hyphen. `size` is the font's, 0 where it is unknown. `rows` is set
    where a whole table takes the place of a line: its cells. `is_parted`: a wide gap is within it.
    """

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float
    bold: bool
    words: Sequence[Word] = ()
    rows: Sequence[Sequence[str]] | None = None
    is_parted: bool = False


@dataclass(frozen=True, slots=True)
class PageText:
    """The text layer of a page, turned so that most lines run from left to right.

    A page read from right to left is mirrored. `asides` are lines in other directions. `box` is that of the page,
    `quarter` how often it was turned by 90° counterclockwise, in 0..3. `is_garbage`: its text cannot be read by anyone.
    """

    lines: Sequence[Line]
    asides: Sequence[Line]
    box: Box
    quarter: int = 0
    mirrored: bool = False
    is_garbage: bool = False

    @property
    def chars(self) -> int:
        return sum(len(line.text) for line in (*self.lines, *self.asides))


def page_text(page: PdfPage, text_page: PdfTextPage) -> PageText:
    """Return the lines of a page in the order of its text layer, turned upright."""
    text = _text(text_page)
    garbage = is_garbage(text)
    if not text or text.isspace() or garbage:
        return PageText([], [], page.get_bbox(), is_garbage=garbage)
    glyphs = Glyphs(text_page.raw)
    pieces = [(piece.start(), piece.end(), glyphs.quarter(piece.start())) for piece in _PIECE.finditer(text)]
    turns: Counter[int] = Counter()
    for start, end, turn in pieces:
        turns[turn] += end - start
    usual = turns.most_common(1)[0][0]
    mirrored = len(_RIGHT_TO_LEFT.findall(text)) * 2 > len(text) - len(_BLANK.findall(text))
    quarter = max(usual, 0)
    lines: list[Line] = []
    asides: list[Line] = []
    for start, end, turn in pieces:
        into = lines if turn == usual else asides
        into.extend(_lines(glyphs, text, start, end, quarter=quarter, mirrored=mirrored))
    return PageText(lines, asides, turned(page.get_bbox(), quarter, mirrored), quarter, mirrored)


def clean(text: str) -> str:
    """Return text as people write it: without invisible characters, ligatures and decomposed accents."""
    if _ODD.search(text):
        text = " ".join(_INVISIBLE.sub("", text.translate(_LIGATURES)).split())
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_garbage(text: str) -> bool:
    """True where half of the characters have no meaning: no map to Unicode came with the font."""
    lost = len(_MEANINGLESS.findall(text))
    return lost > 0 and lost * 2 > len(text) - len(_BLANK.findall(text))


def _text(text_page: PdfTextPage) -> str:
    """Return the text with one character for each of PDFium's."""
    from pypdfium2 import raw

    count: int = raw.FPDFText_CountChars(text_page)
    if count <= 0:
        return ""
    text: str = text_page.get_text_range()
    if len(text) != count:  # characters that have no place in UTF-16, or were left out
        codes = (raw.FPDFText_GetUnicode(text_page.raw, index) for index in range(count))
        text = "".join(chr(code) if code else "\ufffd" for code in codes)
    return text.replace("\x02", HYPHEN)


def _lines(glyphs: Glyphs, text: str, start: int, end: int, *, quarter: int, mirrored: bool) -> Iterator[Line]:
    """Yield a printed line cut at its wide gaps, its letters joined where they are set apart."""
    words = glyphs.words(text, start, end, quarter=quarter, mirrored=mirrored)
    if not words:
        return
    typical = next((word[0] for word in words if len(word[0]) > _TYPICAL_CHARS), words[0][0])
    index = text.index(typical, start, end) + len(typical) // 2
    _, bottom, _, top = turned(glyphs.box(index), quarter, mirrored)
    if not -FAR < bottom <= top < FAR:
        bottom = top = 0.0
    size = glyphs.size(index) or top - bottom
    bold = glyphs.is_bold(index) and glyphs.is_bold(text.rindex(words[-1][0], start, end))
    for part in _stretches(_joined_letters(words, size), size, mirrored):
        if printed := clean(" ".join([word[0] for word in part])):
            left, right = part[0][1], part[-1][2]
            if mirrored or left > right:
                left, right = min(word[1] for word in part), max(word[2] for word in part)
            if not -FAR < left <= right < FAR:
                left = right = 0.0
            yield Line(printed, left, bottom, right, top, size, bold, part)


def _stretches(words: list[Word], size: float, mirrored: bool) -> Iterator[list[Word]]:
    """Yield the words between wide gaps; the mark of a list's item stays with its text."""
    placed = sorted(words, key=itemgetter(1)) if mirrored else words
    start = 0
    for at in range(1, len(words) + 1):
        if at < len(words):
            gap = placed[at][1] - placed[at - 1][2]
            back = placed[at][1] < placed[at - 1][1] - 0.3 * size  # a stretch that was printed before
            if gap <= size * (_MIRRORED_SPLIT_EM if mirrored else _SPLIT_EM) and not back:
                continue
            if at == 1 and 0 < gap <= size * _MARKER_EM and _MARKER.fullmatch(placed[0][0]):
                continue
        part = placed[start:at]
        yield part if not mirrored else [word for word in words if part[0][1] <= word[1] <= part[-1][1]]
        start = at


def _joined_letters(words: list[Word], size: float) -> list[Word]:
    """Join the letters of a line that are set apart: single ones at regular distances. Wider gaps part its words."""
    if len(words) < 5 or sum([len(word[0]) for word in words]) > 2 * len(words):
        return words
    if sum(len(text) == 1 and text.isalpha() for text, _, _ in words) < 0.8 * len(words):
        return words
    gaps = sorted(after[1] - before[2] for before, after in pairwise(words))
    usual = gaps[len(gaps) // 2]
    if not 0 < usual <= size * _SPREAD_EM:
        return words
    joined = [words[0]]
    for text, left, right in words[1:]:
        before, first, last = joined[-1]
        if left - last <= 1.5 * usual + 0.5:
            joined[-1] = (before + text, first, right)
        else:
            joined.append((text, left, right))
    return joined
