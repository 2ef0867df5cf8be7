"""What tesseract saw in a picture, as paragraphs, titles and tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from ragline.pipelines.readers.pdf.aligned import aligned
from ragline.pipelines.readers.pdf.glyphs import Box
from ragline.pipelines.readers.pdf.hyphens import HYPHEN, compounds, joined
from ragline.pipelines.readers.pdf.lines import Line
from ragline.pipelines.readers.pdf.paragraphs import SENTENCE_END
from ragline.pipelines.readers.pdf.rulings import Rulings
from ragline.pipelines.readers.tables.tables import table
from ragline.types import Element

_NOISE = 30.0
_SHORT_NOISE = 50.0
_TITLE_RATIO = 1.35
_MAX_TITLE_CHARS = 200
_SIZE = 1.25
"""A font's size to the usual height of its words, of which many have neither ascenders nor descenders."""
_SPLIT_EM = 0.7
_PARTED_EM = 2.0
_ITEM = re.compile(r"(?:[•●▪◦‣–■□»*-]|\d{1,2}[.)]|[a-z]\))\s")
_NO_RULINGS = Rulings([], [])


@dataclass(slots=True)
class Printed:
    """A line: the block and paragraph it is of; its words, their boxes in pixels, y upwards, and tesseract's trust.

    `is_upright`: it runs down the picture, which lies on its side.
    """

    paragraph: tuple[int, int]
    is_upright: bool
    words: list[str] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    trust: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def height(self) -> float:
        if self.is_upright:
            return median(right - left for left, _, right, _ in self.boxes)
        return median(top - bottom for _, bottom, _, top in self.boxes)

    @property
    def is_parted(self) -> bool:
        """True if blanks part it as they part labels, values and the cells of a table."""
        if self.is_upright:
            return False
        gaps = (right[0] - left[2] for left, right in pairwise(self.boxes))
        return max(gaps, default=0.0) > _PARTED_EM * _SIZE * self.height

    @property
    def confidence(self) -> float:
        letters = sum(map(len, self.words))
        return sum(len(word) * trust for word, trust in zip(self.words, self.trust, strict=True)) / max(letters, 1)


def read_lines(tsv: str) -> list[Printed]:
    """Return the lines with text in tesseract's TSV.

    Its columns are level, page, block, paragraph, line, word, left, top, width, height, confidence and text. The
    letters that are seen in pictures, dirt and ruling lines are left out.
    """
    lines: list[Printed] = []
    for row in tsv.splitlines()[1:]:
        level, _, block, paragraph, _, _, *box, trust, word = row.split("\t", 11)
        left, top, width, height = map(int, box)
        if level == "4":
            lines.append(Printed((int(block), int(paragraph)), height > 1.5 * width))
        elif level == "5" and lines and word.strip(" |"):
            lines[-1].words.append(word.strip())
            lines[-1].boxes.append((left, -top - height, left + width, -top))
            lines[-1].trust.append(max(float(trust), 0.0))
    return [line for line in lines if line.words and _is_text(line)]


def elements(lines: Sequence[Printed], page: int | None) -> Iterator[Element]:
    """Yield the elements of a page in tesseract's order: it knows columns."""
    if not lines:
        return
    body = median(line.height for line in lines for _ in line.words)
    turned = 2 * sum(line.is_upright for line in lines) > len(lines)
    known = {word for line in lines for word in compounds(line.text)}
    paragraph: list[Printed] = []
    for item in [*_with_tables(lines), None]:
        if paragraph and not (isinstance(item, Printed) and _goes_on(paragraph[-1], item)):
            yield _element(paragraph, body, page, known, turned=turned)
            paragraph = []
        if isinstance(item, Printed):
            paragraph.append(item)
        elif item is not None:
            yield from table(item, page=page)


def _goes_on(above: Printed, below: Printed) -> bool:
    """True within a paragraph, and where a sentence goes on in the next: tesseract parts them at uneven margins."""
    if _ITEM.match(below.text) or above.is_parted or below.is_parted:
        return False
    is_same_type = 0.75 * above.height < below.height < 1.33 * above.height
    goes_on = below.text[0].islower() and not SENTENCE_END.search(above.text)
    return above.paragraph == below.paragraph or (is_same_type and goes_on and len(above.words) > 2)


def _is_text(line: Printed) -> bool:
    text = "".join(line.words)
    return any(map(str.isalnum, text)) and line.confidence >= (_NOISE if len(text) > 2 else _SHORT_NOISE)


def _with_tables(lines: Sequence[Printed]) -> list[Printed | Sequence[Sequence[str]]]:
    """Return the lines, those with aligned cells replaced by the rows of a table."""
    stretches = [(stretch, line) for line in lines if not line.is_upright for stretch in _stretches(line)]
    owners = {id(stretch): line for stretch, line in stretches}
    found: list[Printed | Sequence[Sequence[str]]] = []
    seen: set[int] = set()
    for stretch in aligned([stretch for stretch, _ in stretches], _NO_RULINGS, strict=True):
        if stretch.rows is not None:
            found.append(stretch.rows)
        elif id(line := owners[id(stretch)]) not in seen:
            seen.add(id(line))
            found.append(line)
    return [*found, *(line for line in lines if line.is_upright)]


def _stretches(line: Printed) -> Iterator[Line]:
    """Yield the words between wide gaps as the lines of a PDF are."""
    size = _SIZE * line.height
    start = 0
    for at in range(1, len(line.words) + 1):
        if at < len(line.words) and line.boxes[at][0] - line.boxes[at - 1][2] <= _SPLIT_EM * size:
            continue
        boxes = line.boxes[start:at]
        bottom, top = min(box[1] for box in boxes), max(box[3] for box in boxes)
        yield Line(" ".join(line.words[start:at]), boxes[0][0], bottom, boxes[-1][2], top, size, bold=False)
        start = at


def _element(
    paragraph: Sequence[Printed], body: float, page: int | None, known: Collection[str], *, turned: bool
) -> Element:
    text = joined((_soft(line.text) for line in paragraph), known)
    height = median(line.height for line in paragraph)
    is_short = len(text) <= _MAX_TITLE_CHARS and sum(map(str.isalpha, text)) > 3
    if height > _TITLE_RATIO * body and is_short and paragraph[0].is_upright == turned:
        return Element(text, "title", level=1 if height > 1.8 * body else 2, page=page)
    return Element(text, "list" if _ITEM.match(text) else "text", page=page)


def _soft(line: str) -> str:
    """A hyphen at the end of a line is one of the typesetter, as in PDFium's text."""
    return line[:-1] + HYPHEN if len(line) > 1 and line[-1] in "-‐¬" and line[-2].isalpha() else line
