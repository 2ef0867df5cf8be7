"""Presentations of PowerPoint 97 to 2003 (.ppt): slides, tables and notes, after Microsoft's [MS-PPT]."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from struct import unpack_from
from typing import NamedTuple

from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.readers.office.heads import Heads
from ragline.pipelines.readers.office.left_out import note_embedded, note_hidden
from ragline.pipelines.readers.office.ole import ole_about
from ragline.pipelines.readers.office.ppt_file import PptFile, Record
from ragline.pipelines.readers.office.slides import slide
from ragline.pipelines.readers.office.unlocked import unlocked
from ragline.pipelines.readers.tables.grid import Cell, grid, one_line, single_spaced
from ragline.pipelines.reading import Reading
from ragline.types import Element

_DOCUMENT, _SLIDE, _SLIDE_ATOM, _NOTES, _NOTES_ATOM = 0x03E8, 0x03EE, 0x03EF, 0x03F0, 0x03F1
_LIST, _PERSIST, _SHOW, _DRAWING = 0x0FF0, 0x03F3, 0x03F9, 0x040C
_OBJECTS, _EMBEDDED = 0x0409, 0x0FCC
_TEXT_HEADER, _CHARS, _BYTES, _REFERENCE, _PLACEHOLDER = 0x0F9F, 0x0FA0, 0x0FA8, 0x0F9E, 0x0BC3
_GROUP, _SHAPE, _TEXT_BOX, _ANCHOR, _CHILD_ANCHOR = 0xF003, 0xF004, 0xF00D, 0xF010, 0xF00F
_PROPERTIES = (0xF00B, 0xF121, 0xF122)
_TABLE = 0x039F
"""The property of a group of shapes that is a table."""
_TITLES, _BODIES, _NOTES_TEXT = (0, 6), (1, 7, 8), 2
_FURNITURE = range(7, 11)
_SAME_LINE = 144
"""Tops so close, in 576ths of an inch, are beside each other: a quarter of an inch."""
_MAX_DEPTH = 64


@dataclass(slots=True)
class _Shape:
    top: int = 0
    left: int = 0
    kind: int = 4
    text: str = ""
    placeholder: int = 0
    cells: list[_Shape] = field(default_factory=list)


class _Slide(NamedTuple):
    """A slide in the list of them: the id by which notes name it, where it lies, and the texts kept in the list."""

    id: int
    place: int
    texts: Sequence[tuple[int, str]]


def ppt(reading: Reading) -> Iterator[Element]:
    """Yield the slides of a presentation of PowerPoint 97 to 2003; the page is the number of the slide."""
    import olefile  # type: ignore[import-untyped]  # has no types

    with unlocked(reading) as path:
        with olefile.OleFileIO(str(path)) as container:
            if container.exists("PP40") and not container.exists("Current User"):
                raise ParseFailed("comes from PowerPoint 95 or before, which cannot be read; save it as .pptx")
            user = container.openstream("Current User").read()
            data = container.openstream("PowerPoint Document").read()
        reading.about |= ole_about(path)
    yield from _Deck(data, unpack_from("<I", user, 16)[0]).elements(reading)


class _Deck:
    def __init__(self, data: bytes, edit: int) -> None:
        self._data = data
        self._heads = Heads()
        self._file = PptFile(data, edit)
        found = self._file.document
        if found.type != _DOCUMENT:
            raise ValueError("no document")
        objects = (
            each for part in self._file.inside(found) if part.type == _OBJECTS for each in self._file.inside(part)
        )
        self._embedded = sum(each.type == _EMBEDDED for each in objects)
        lists = {each.instance: each for each in self._file.inside(found) if each.type == _LIST}
        self._slides = list(self._listed(lists.get(0), _SLIDE))
        self._notes: dict[int, int] = {}
        for note in self._listed(lists.get(2), _NOTES):
            for atom in self._file.inside(self._file.record(note.place)):
                if atom.type == _NOTES_ATOM:
                    self._notes[self._file.number(atom.start)] = note.place

    def elements(self, reading: Reading) -> Iterator[Element]:
        most = reading.options.max_pages
        if len(self._slides) > most:
            raise OverLimit(f"has {len(self._slides)} slides; allowed are {most} (parsing.max_pages)")
        reading.about["pages"] = len(self._slides)
        hidden = []
        for number, listed in enumerate(self._slides, start=1):
            if self._is_hidden(listed.place):
                hidden.append(number)
            yield from self._slide(listed, number)
        note_hidden(reading, hidden)
        note_embedded(reading, self._embedded)

    def _slide(self, listed: _Slide, number: int) -> Iterator[Element]:
        shapes = _in_order(self._shapes(listed.place, listed.texts))
        title = " ".join(one_line(shape.text) for shape in shapes if shape.kind in _TITLES)
        rest = [
            element
            for shape in shapes
            if shape.kind not in _TITLES
            for element in self._shape(shape, number)
            if element.text.strip()
        ]
        notes: list[Element] = []
        if (place := self._notes.get(listed.id)) is not None:
            found = self._shapes(place, ())
            notes = [Element(shape.text, page=number) for shape in found if shape.kind == _NOTES_TEXT]
        yield from slide(title, rest, notes, number)

    def _shape(self, shape: _Shape, number: int) -> Iterator[Element]:
        if shape.cells:
            yield from _table(shape.cells, number)
        elif shape.placeholder in _FURNITURE:
            yield Element(self._heads.new(shape.text), page=number)
        else:
            lines = shape.text.splitlines()
            is_list = shape.kind in _BODIES and len(lines) > 1
            for line in lines:
                yield Element(f"- {line}" if is_list else line, "list" if is_list else "text", page=number)

    def _is_hidden(self, place: int) -> bool:
        shows = (each for each in self._file.inside(self._file.record(place)) if each.type == _SHOW)
        return any(show.stop - show.start >= 12 and bool(self._data[show.start + 10] & 4) for show in shows)

    def _shapes(self, place: int, texts: Sequence[tuple[int, str]]) -> list[_Shape]:
        return [
            shape
            for drawing in self._file.inside(self._file.record(place))
            if drawing.type == _DRAWING
            for shape in self._drawn(drawing, texts, 0)
        ]

    def _drawn(self, parent: Record, texts: Sequence[tuple[int, str]], depth: int) -> Iterator[_Shape]:
        """Yield the shapes with text below a record, those of a table as the cells of one shape."""
        if depth > _MAX_DEPTH:
            raise ParseFailed("is nested too deeply to be read")
        for found in self._file.inside(parent):
            if found.type == _SHAPE:
                shape = self._read_shape(found, texts)
                if shape.text:
                    yield shape
            elif found.type == _GROUP:
                inside = list(self._drawn(found, texts, depth + 1))
                if inside and self._is_table(found):
                    yield _Shape(min(cell.top for cell in inside), min(cell.left for cell in inside), cells=inside)
                else:
                    yield from inside
            elif found.is_container:
                yield from self._drawn(found, texts, depth + 1)

    def _is_table(self, group: Record) -> bool:
        first = next((each for each in self._file.inside(group) if each.type == _SHAPE), None)
        for found in self._file.inside(first) if first is not None else ():
            if found.type in _PROPERTIES:
                for at in range(found.start, min(found.start + 6 * found.instance, found.stop - 5), 6):
                    if unpack_from("<H", self._data, at)[0] & 0x3FFF == _TABLE:
                        return True
        return False

    def _read_shape(self, record: Record, texts: Sequence[tuple[int, str]]) -> _Shape:
        shape = _Shape()
        for found in self._file.inside(record):
            size = found.stop - found.start
            if found.type == _ANCHOR and size >= 8:
                shape.top, shape.left = unpack_from("<ii" if size >= 16 else "<hh", self._data, found.start)
            elif found.type == _CHILD_ANCHOR and size >= 16:
                shape.left, shape.top = unpack_from("<ii", self._data, found.start)
            elif found.type == _TEXT_BOX:
                shape.kind, shape.text = next(self._texts(found, texts), (4, ""))
            elif found.is_container:
                for atom in self._file.inside(found):
                    if atom.type == _PLACEHOLDER and atom.stop - atom.start >= 5:
                        shape.placeholder = self._data[atom.start + 4]
        return shape

    def _texts(self, parent: Record, texts: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """Yield (kind, text) of the texts in a record; one that is kept in the list of slides is taken from there."""
        kind = 4
        for found in self._file.inside(parent):
            if found.type == _TEXT_HEADER:
                kind = self._file.number(found.start)
            elif found.type == _REFERENCE:
                number = self._file.number(found.start)
                if number < len(texts):
                    yield texts[number]
            elif text := self._text(found):
                yield kind, text

    def _text(self, record: Record) -> str:
        data = self._data[record.start : record.stop]
        if record.type == _CHARS:
            text = data.decode("utf-16-le", "replace")
        elif record.type == _BYTES:
            text = data.decode("latin-1")
        else:
            return ""
        return single_spaced(text.replace("\r", "\n").replace("\v", " ").replace("\0", ""))

    def _listed(self, parent: Record | None, kind: int) -> Iterator[_Slide]:
        """Yield the slides of a list, each once."""
        seen: set[int] = set()
        current: tuple[int, int] | None = None
        texts: list[tuple[int, str]] = []
        header = 4
        for found in [*(self._file.inside(parent) if parent is not None else ()), None]:
            if found is None or found.type == _PERSIST:
                if current and current[1] not in seen and self._file.record(current[1]).type == kind:
                    seen.add(current[1])
                    yield _Slide(*current, texts)
                current, texts = None, []
                if found is not None:
                    reference, identity = self._file.number(found.start), self._file.number(found.start + 12)
                    current = (identity, self._file.places[reference]) if reference in self._file.places else None
            elif found.type == _TEXT_HEADER:
                header = self._file.number(found.start)
                texts.append((header, ""))
            elif texts and (text := self._text(found)):
                texts[-1] = (header, text)


def _in_order(shapes: Iterable[_Shape]) -> list[_Shape]:
    """Return the shapes from top to bottom, those beside each other from left to right."""
    lines: list[list[_Shape]] = []
    for shape in sorted(shapes, key=lambda shape: (shape.top, shape.left)):
        if not lines or shape.top - lines[-1][0].top > _SAME_LINE:
            lines.append([])
        lines[-1].append(shape)
    return [shape for line in lines for shape in sorted(line, key=lambda shape: shape.left)]


def _table(cells: Sequence[_Shape], page: int) -> Iterator[Element]:
    columns = sorted({cell.left for cell in cells})
    rows: dict[int, dict[int, str]] = {}
    for cell in cells:
        rows.setdefault(cell.top, {})[cell.left] = cell.text
    full = [[Cell(row.get(column, "")) for column in columns] for _, row in sorted(rows.items())]
    yield from grid(full, page=page)
