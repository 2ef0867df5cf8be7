"""PDF: paragraphs, titles, lists and tables in the order of reading, and the text of scanned pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.readers.pdf.aligned import aligned
from ragline.pipelines.readers.pdf.columns import columns
from ragline.pipelines.readers.pdf.document import Document, Page, opened
from ragline.pipelines.readers.pdf.flow import Flow
from ragline.pipelines.readers.pdf.grids import ruled
from ragline.pipelines.readers.pdf.hyphens import compounds
from ragline.pipelines.readers.pdf.lines import Line
from ragline.pipelines.readers.pdf.margins import WINDOW, Seen, running
from ragline.pipelines.readers.pdf.paragraphs import Block, Look, blocks, plain
from ragline.pipelines.readers.pdf.rulings import grids
from ragline.pipelines.readers.pdf.scans import Scans
from ragline.pipelines.reading import Part, Reading
from ragline.types import Element

_SAMPLE = 16
"""Pages, spread over the document, from which its look is known; each part looks at the same."""
_PAGES_A_PART = 200
_SCANS_A_PART = 6
_LOOKS_A_PART = 8
_SAME = 40
_NAMED = 3
_NAMED_CHARS = 80


def pages(reading: Reading) -> Iterator[Element]:
    """Yield what the pages hold, in reading order.

    A page without text is recognised, where tesseract is installed. What cannot be read is noted. Raises ParseFailed
    for a file that needs a password, is no PDF inside, or has no page that can be read, OverLimit for too many pages.
    """
    document = opened(reading)
    try:
        total = _count(document, reading)
        reading.about.update(document.about())
        reader = _Reader(document, reading, total)
        yield from reader.elements(reading.part or Part(1, total))
    finally:
        document.pdf.close()


def parts(reading: Reading) -> list[Part]:
    """Return the stretches of pages that a long document is read in: scanned ones are short, for they take longer.

    Looks at some pages only.
    """
    document = opened(reading)
    try:
        total = _count(document, reading)
        found: list[Part] = []
        for first in range(1, total + 1, _PAGES_A_PART):
            last = min(first + _PAGES_A_PART - 1, total)
            looks = {round(first + (last - first) * at / (_LOOKS_A_PART - 1)) for at in range(_LOOKS_A_PART)}
            scanned = any(page is not None and page.is_picture for page in map(document.page, sorted(looks)))
            step = _SCANS_A_PART if scanned and reading.options.languages else _PAGES_A_PART
            found += [Part(start, min(start + step - 1, last)) for start in range(first, last + 1, step)]
    finally:
        document.pdf.close()
    return found if len(found) > 1 else []


def _count(document: Document, reading: Reading) -> int:
    """Return how many pages are to be read. Raises ParseFailed for none, OverLimit for too many."""
    total, most = len(document), reading.options.max_pages
    if not total:
        raise ParseFailed("has no pages")
    if total <= most:
        return total
    sample = [document.page(1 + (total - 1) * at // (_SAME - 1)) for at in range(_SAME)]
    texts = {tuple(line.text for line in page.text.lines) if page else None for page in sample}
    if len(texts) > 1:
        raise OverLimit(f"has {total} pages, more than {most} (parsing.max_pages); split it or raise the limit")
    reading.note(f"has {total} pages, more than {most} (parsing.max_pages); they are all the same, and one was read")
    return 1


class _Reader:
    """Reads stretches of one document, the same way whichever they are."""

    def __init__(self, document: Document, reading: Reading, total: int) -> None:
        self._document = document
        self._total = total
        self._look = _look(document, total)
        self._flow = Flow(self._look.compounds)
        self._near: dict[int, Seen] = {}
        self._scans = Scans(document.pdf, reading)
        self._repeated: dict[str, None] = {}
        self._reading = reading

    def elements(self, part: Part) -> Iterator[Element]:
        """Yield what begins on the pages of a part; a paragraph that ends on the page after is whole."""
        found = False
        for number in range(max(part.first - 1, 1), min(part.last + 1, self._total) + 1):
            for element in self._page(number, is_mine=part.first <= number <= part.last):
                if part.first <= (element.page or 0) <= part.last:
                    found = True
                    yield element
        for element in self._flow.end():
            if part.first <= (element.page or 0) <= part.last:
                found = True
                yield element
        if self._repeated and part.first == 1:
            self._reading.note(f"lines that repeat at the edges of the pages were left out: {_quoted(self._repeated)}")
        self._scans.end(found=found)

    def _page(self, number: int, *, is_mine: bool) -> Iterator[Element]:
        self._look_around(number)
        if number not in self._near:
            if is_mine:
                self._scans.damaged.append(number)
            yield from self._flow.add_elements([])
            return
        page = self._near[number].page
        found = self._columns(number, page)
        if not page.is_picture:
            yield from self._flow.add(number, found)
            return
        alone = Flow(self._look.compounds)
        elements = [*alone.add(number, found), *alone.end()]
        if is_mine:
            elements += self._scans.elements(number, [element.text for element in elements])
        yield from self._flow.add_elements(elements)

    def _look_around(self, number: int) -> None:
        """Have the pages near a page at hand, to compare their edges."""
        near = range(max(number - WINDOW, 1), min(number + WINDOW, self._total) + 1)
        self._near = {other: seen for other, seen in self._near.items() if other in near}
        for other in near:
            if other not in self._near and (page := self._document.page(other)) is not None:
                self._near[other] = Seen(page, self._look.body)

    def _columns(self, number: int, page: Page) -> list[list[Block]]:
        repeated = running(number, self._near, self._total)
        self._repeated.update(dict.fromkeys(text for edge in repeated if (text := edge.title)))
        gone = {id(line) for edge in repeated for line in edge.lines}
        lines: Sequence[Line] = [line for line in page.text.lines if id(line) not in gone]
        if page.has_gaps:
            lines = aligned(ruled(lines, grids(page.rulings)), page.rulings, strict=True)
        found = []
        for column in columns(lines):
            tabled = aligned(column, page.rulings, strict=False) if page.has_gaps else column
            found.append(blocks(tabled, number, self._look, mirrored=page.text.mirrored))
        beside = [line.text for line in page.text.asides if id(line) not in gone]
        found.append([Block([text], number, "text") for text in (*beside, *page.fields)])
        return found


def _quoted(texts: Collection[str]) -> str:
    more = ", …" if len(texts) > _NAMED else ""
    return ", ".join(repr(text[:_NAMED_CHARS]) for text in list(texts)[:_NAMED]) + more


def _look(document: Document, total: int) -> Look:
    """Look at a sample of the pages, spread over the whole document."""
    heights: Counter[float] = Counter()
    bold: Counter[bool] = Counter()
    hyphened: set[str] = set()
    outline = document.outline()
    levels: dict[tuple[float, bool], int] = {}
    for number in sorted({1 + (total - 1) * at // (_SAMPLE - 1) for at in range(_SAMPLE)}):
        page = document.page(number)
        named = outline.get(number, {})
        for line in page.text.lines if page else ():
            hyphened |= compounds(line.text)
            bold[line.bold] += len(line.text)
            if line.size:
                heights[round(line.size * 2) / 2] += len(line.text)
            if named and (level := named.get(plain(line.text))):
                key = (float(round(line.size)), line.bold)
                levels[key] = min(level, levels.get(key, level))
    body = heights.most_common(1)[0][0] if heights else 0.0
    return Look(body, bold[True] > bold[False], frozenset(hyphened), outline, levels)
