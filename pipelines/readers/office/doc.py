"""Documents of Word 97 to 2003 (.doc): titles, lists, tables, notes and boxes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from ragline.pipelines.readers.office.doc_file import DocFile, Paragraph
from ragline.pipelines.readers.office.heads import Heads
from ragline.pipelines.readers.office.left_out import note_comments, note_embedded
from ragline.pipelines.readers.office.ole import ole_about
from ragline.pipelines.readers.office.unlocked import unlocked
from ragline.pipelines.readers.office.word import joined, styled
from ragline.pipelines.readers.office.word_styles import Numbering
from ragline.pipelines.readers.tables.grid import Cell, flattened, grid, in_flow, single_spaced
from ragline.pipelines.reading import Reading
from ragline.types import Element

_FIELDS = re.compile("([\x13\x14\x15])")
_SHOWN = {ord("\v"): "\n", 0x0E: "\n", 0x1E: "-", 0x1F: None, **dict.fromkeys((*range(9), *range(16, 30)), None)}


def doc(reading: Reading) -> Iterator[Element]:
    """Yield a Word document of 97 to 2003; it does not tell its pages."""
    with unlocked(reading) as path:
        file = DocFile(path, reading.options.max_chars)
        reading.about |= ole_about(path)
    document = _Document(file)
    yield from document.heads(is_footer=False)
    yield from document.elements(file.main, file.notes())
    for box in file.box_texts():
        yield from document.elements(box, {})
    yield from document.heads(is_footer=True)
    note_comments(reading, file.comment_count)
    note_embedded(reading, file.embedded_count)


class _Document:
    def __init__(self, file: DocFile) -> None:
        self._file = file
        self._numbering = Numbering(file.lists())
        self._numbers = {"footnote": 0, "endnote": 0}
        self._fields: list[bool] = []  # of each field that is open: has its result begun

    def elements(self, within: range, notes: Mapping[int, tuple[str, range]]) -> Iterator[Element]:
        """Yield a part of the text; `notes` by the places that refer to them come after their paragraphs or tables."""
        places = deque(sorted(notes))
        table: list[list[list[Element]]] = []
        row: list[list[Element]] = []
        cell: list[Element] = []
        waiting: list[Element] = []
        self._fields = []
        for paragraph in self._file.paragraphs(within):
            if not paragraph.in_table:
                yield from self._table([*table, [*row, cell]])
                table, row, cell = [], [], []
                yield from waiting
                waiting = []
            found = list(joined([self._paragraph(paragraph)]))
            while places and places[0] <= paragraph.stop:
                waiting += self._note(*notes[places.popleft()])
            if not paragraph.in_table:
                yield from found
                yield from waiting
                waiting = []
                continue
            cell += found
            if paragraph.ends_cell and not paragraph.ends_row:
                row.append(cell)
                cell = []
            elif paragraph.ends_row:
                table.append([*row, cell] if cell else row)
                row, cell = [], []
        yield from self._table([*table, [*row, cell]])
        yield from waiting

    def heads(self, *, is_footer: bool) -> Iterator[Element]:
        """Yield each different header, or footer, once; boxes count as headers, whichever they are in."""
        seen = Heads()
        texts = [text for number, text in enumerate(self._file.head_texts()) if (number % 6 in (2, 3, 5)) == is_footer]
        for text in texts if is_footer else [*texts, *self._file.head_box_texts()]:
            yield Element(seen.new(flattened(self.elements(text, {}))))

    def _paragraph(self, paragraph: Paragraph) -> Element:
        text = self._shown(self._file.text[paragraph.start : paragraph.stop])
        return styled(text, paragraph.style, self._numbering, None) if text else Element("")

    def _shown(self, text: str) -> str:
        """Return a text as it is shown: of fields their results only."""
        parts = []
        for part in _FIELDS.split(text):
            if part == "\x13":
                self._fields.append(False)
            elif part == "\x14" and self._fields:
                self._fields[-1] = True
            elif part == "\x15" and self._fields:
                self._fields.pop()
            elif all(self._fields):
                parts.append(part)
        # What a field computes from ends with its paragraph, or the rest of a damaged text would be lost.
        self._fields = [True] * len(self._fields)
        return single_spaced("".join(parts).translate(_SHOWN))

    def _note(self, kind: str, text: range) -> Iterator[Element]:
        self._numbers[kind] += 1
        number, fields = self._numbers[kind], self._fields
        shown = flattened(self.elements(text, {}))
        self._fields = fields
        if shown:
            yield Element(f"[{number}] {shown}")

    def _table(self, rows: Iterable[list[list[Element]]]) -> Iterator[Element]:
        filled = [row for row in rows if any(row)]
        if in_flow(filled):
            yield from (element for row in filled for cell in row for element in cell)
        else:
            yield from grid([[Cell(flattened(cell)) for cell in row] for row in filled])
