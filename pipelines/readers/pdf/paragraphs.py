"""The lines of a column become paragraphs, titles, items of lists and tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from ragline.pipelines.readers.pdf.columns import same_line
from ragline.pipelines.readers.pdf.hyphens import HYPHEN, joined
from ragline.pipelines.readers.pdf.lines import Line
from ragline.types import ElementKind

SENTENCE_END = re.compile(r"[.!?…:;。！？؟][\"'”»’)\]」』]*$")
_ITEM = re.compile(r"(?:[•●▪◦‣–■□➢✓-]|\d{1,2}[.)]|[a-z]\))\s")
_CAPTION = re.compile(r"(?:fig(?:ure)?\.?|tab(?:le|leau)?\.?|abb(?:ildung)?\.?|schéma|photo)\s*\d", re.IGNORECASE)
_LEADERS = re.compile(r"(?:\.{4}|(?: \.){4}|…{2}|_{4}) ?\d{1,4}$")
_SCRIPT_CHARS = 24
_PARTED_EM = 1.5
_NOT_PLAIN = re.compile(r"[\W_]+")
_MAX_TITLE_CHARS = 200
_MAX_BOLD_TITLE_CHARS = 120
_TITLE_RATIO = 1.15
_MAX_COLUMNS = 12
_COLUMN_LINES = 4
BOLD_LEVEL = 4


@dataclass(frozen=True, slots=True)
class Look:
    """How a document looks, the same for all of its parts.

    `body` is the size in which most of it is set, in points, 0 if it has no text. `outline` gives for each page, from
    1, the levels of the titles that its bookmarks name; `levels` the level of a size and weight that they have.
    """

    body: float = 0.0
    is_bold: bool = False
    compounds: frozenset[str] = frozenset()
    outline: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    levels: Mapping[tuple[float, bool], int] = field(default_factory=dict)


@dataclass(slots=True)
class Block:
    """A paragraph, title, item or table. `page` is where it begins; `parts` are its lines, still to be joined.

    `is_body`: running text of the document's own size, which may go on in the next column; `is_full`: its last line
    reaches the margin.
    """

    parts: list[str]
    page: int
    kind: ElementKind
    level: int = 0
    size: float = 0.0
    is_body: bool = False
    is_full: bool = False
    rows: Sequence[Sequence[str]] | None = None

    @property
    def is_open(self) -> bool:
        """True if its last sentence is not over."""
        return not SENTENCE_END.search(self.parts[-1])


def blocks(lines: Sequence[Line], page: int, look: Look, *, mirrored: bool = False) -> list[Block]:
    """Return what one column of a page holds, in the order of its lines."""
    whole = printed(lines, mirrored)
    measure = _Measure.of(whole, look.body)
    return [_block(paragraph, page, look, measure.margin(paragraph[-1])) for paragraph in _paragraphs(whole, measure)]


def printed(lines: Sequence[Line], mirrored: bool) -> list[Line]:
    """Join the stretches of one printed line that follow each other: superscripts, changes of font, wide blanks."""
    whole: list[Line] = []
    for line in lines:
        last = whole[-1] if whole else None
        if (
            last is None
            or last.rows is not None
            or line.rows is not None
            or not same_line(last, line)
            or line.left < last.right - max(line.size, last.size)
        ):
            whole.append(line)
            continue
        is_apart = mirrored or line.left - last.right > 0.12 * max(line.size, last.size)
        longer = last if len(last.text) >= len(line.text) else line
        whole[-1] = Line(
            last.text.replace(HYPHEN, "-") + (" " if is_apart else "") + line.text,
            min(last.left, line.left),
            longer.bottom,
            max(last.right, line.right),
            longer.top,
            longer.size,
            last.bold and line.bold,
            last.words,
            is_parted=last.is_parted or line.left - last.right > _PARTED_EM * longer.size,
        )
    return whole


def plain(title: str) -> str:
    """Return a title for comparison: letters and digits in lower case."""
    return _NOT_PLAIN.sub("", title.casefold())


def starts_low(text: str) -> bool:
    """True for text that begins in the middle of a sentence."""
    return text[:1].islower()


def is_caption(text: str) -> bool:
    return _CAPTION.match(text) is not None


def _paragraphs(lines: Sequence[Line], measure: _Measure) -> Iterator[list[Line]]:
    paragraph: list[Line] = []
    for line in lines:
        if paragraph and measure.breaks(paragraph[-1], line):
            yield paragraph
            paragraph = []
        paragraph.append(line)
    if paragraph:
        yield paragraph


@dataclass(frozen=True, slots=True)
class _Measure:
    """What lines are judged by: `step` is the usual distance of two lines in font sizes.

    `rights`: where most lines end that begin at this place, as several columns may follow each other.
    """

    step: float
    left: float
    right: float
    rights: Mapping[int, float]
    body: float

    @classmethod
    def of(cls, lines: Sequence[Line], body: float) -> _Measure:
        steps = [
            (above.bottom - below.bottom) / below.size
            for above, below in pairwise(lines)
            if below.size and 0.5 < (above.bottom - below.bottom) / below.size < 2.5
        ]
        starts = Counter(round(line.left) for line in lines)
        common = {
            start: _usual_end([line for line in lines if round(line.left) == start])
            for start, count in starts.most_common(_MAX_COLUMNS)
            if count >= _COLUMN_LINES
        }
        return cls(
            median(steps) if len(steps) > 2 else 1.2,
            float(starts.most_common(1)[0][0]) if lines else 0.0,
            _usual_end(lines),
            common,
            body,
        )

    def margin(self, line: Line) -> float:
        """Return where the column of a line ends."""
        return self.rights.get(round(line.left), self.right)

    def breaks(self, above: Line, below: Line) -> bool:
        """True where a paragraph ends between two lines."""
        if above.rows is not None or below.rows is not None or not above.size or not below.size:
            return above.rows is not None or below.rows is not None
        size = max(above.size, below.size)
        down = above.bottom - below.bottom
        if abs(down) < 0.9 * size and self._is_script(above, below):
            return False
        is_far = down > 1.3 * self.step * size or size > _TITLE_RATIO * min(above.size, below.size)
        is_item = _ITEM.match(below.text) and not self._is_title(size)
        if is_far or is_item or _LEADERS.search(above.text):
            return True
        ends = bool(SENTENCE_END.search(above.text))
        if down < 0 or (ends and above.right < below.right - 2 * size):  # up again, or a short last line
            return ends or not starts_low(below.text)
        goes_on = starts_low(below.text) or above.text.endswith((HYPHEN, "-", ","))
        return not goes_on and self._begins(above, below, size, after_sentence=ends)

    def _is_script(self, above: Line, below: Line) -> bool:
        """True if one of two lines is a few small characters beside the other: an index, an exponent."""
        small = min(above, below, key=lambda line: line.size)
        return len(small.text) <= _SCRIPT_CHARS and small.size < 0.85 * max(above.size, below.size, self.body)

    def _begins(self, above: Line, below: Line, size: float, *, after_sentence: bool) -> bool:
        """True if a line has labels and values, the lower one is indented, or its first word had room above."""
        if after_sentence and self._is_indented(above, below, size):
            return True
        if above.is_parted or below.is_parted:  # but a full line may be set wide to reach the margin
            is_full = above.right > self.margin(above) - 0.5 * size
            return after_sentence or not is_full or (above.is_parted and below.is_parted)
        if self._is_title(size) or not below.words:
            return False
        _, start, end = below.words[0]
        return above.right + (end - start) + size < self.margin(above)

    def _is_title(self, size: float) -> bool:
        return bool(self.body) and size > _TITLE_RATIO * self.body

    def _is_indented(self, above: Line, below: Line, size: float) -> bool:
        return below.left > self.left + 0.8 * size and above.left <= self.left + 0.4 * size


def _usual_end(lines: Sequence[Line]) -> float:
    ends = sorted(line.right for line in lines)
    return ends[int(0.8 * (len(ends) - 1))] if ends else 0.0


def _block(lines: Sequence[Line], page: int, look: Look, margin: float) -> Block:
    if lines[0].rows is not None:
        return Block([], page, "table", rows=lines[0].rows)
    parts = [line.text for line in lines]
    size = max(lines, key=lambda line: len(line.text)).size
    if level := _level(lines, joined(parts, look.compounds), size, page, look):
        return Block(parts, page, "title", level, size)
    kind: ElementKind = "list" if _ITEM.match(parts[0]) else "text"
    is_body = not look.body or 0.93 * look.body <= size <= 1.1 * look.body
    is_full = len(lines) > 1 and lines[-1].right > margin - size
    return Block(parts, page, kind, 0, size, is_body and not is_caption(parts[0]), is_full)


def _level(lines: Sequence[Line], text: str, size: float, page: int, look: Look) -> int:
    """Return the level of a title, 0 for anything else.

    A title is what the document's outline names, what is set clearly larger than the text, or a bold line or two that
    end no sentence.
    """
    if len(text) > _MAX_TITLE_CHARS or _LEADERS.search(text):
        return 0
    if look.outline and (level := _in_outline(text, page, look)):
        return level
    # Brackets and symbols come from taller fonts, and a number alone is a page's.
    if not look.body or not any(map(str.isalpha, text)) or not (text[0].isalnum() or text[0] in "«“\"'‘¿¡"):
        return 0
    bold = all(line.bold for line in lines)
    if size > _TITLE_RATIO * look.body:
        level = 1 if size > 1.7 * look.body else 2 if size > 1.35 * look.body else 3
        return look.levels.get((round(size), bold), level)
    is_short = len(lines) <= 2 and len(text) <= _MAX_BOLD_TITLE_CHARS and text[-1] not in ".,;"
    if bold and is_short and not look.is_bold and size >= 0.93 * look.body:
        return look.levels.get((round(size), True), BOLD_LEVEL)
    return 0


def _in_outline(text: str, page: int, look: Look) -> int:
    named = look.outline.get(page, {})
    return named.get(plain(text), 0) if named else 0
