"""The file of a Word document of 97 to 2003: its text, and what its paragraphs are, after Microsoft's [MS-DOC]."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from struct import error as struct_error
from struct import unpack_from

from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.readers.office.doc_styles import DocStyles, changed, list_levels, number_at, properties
from ragline.pipelines.readers.office.word_styles import Level, NumberedList, Style

WORD = 0xA5EC
"""How the stream of the text begins, [MS-DOC] 2.5.2."""
FIRST_OF_97 = 0xC1
_FKP_BYTES = 512
_STYLES, _FOOTNOTE_PLACES, _FOOTNOTES, _COMMENT_PLACES, _HEADS = 1, 2, 3, 4, 11
_CHARACTERS, _PARAGRAPHS, _PIECES, _ENDNOTE_PLACES, _ENDNOTES = 12, 13, 33, 46, 47
_BOXES, _HEAD_BOXES, _LISTS, _LIST_USES = 56, 58, 73, 74
"""Places of tables in the file's index, [MS-DOC] 2.5.6 and 2.5.7, each of two numbers of four bytes."""
_IN_TABLE, _ROW_ENDS, _STYLE = 0x2416, 0x2417, 0x4600
_DELETED, _HIDDEN, _SYMBOL = 0x0800, 0x083C, 0x6A09
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Characters `start` to `stop` of the text, the mark at its end not among them."""

    start: int
    stop: int
    style: Style
    in_table: bool = False
    ends_cell: bool = False
    ends_row: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    """Characters from `start` on, which lie at `place` in the file, each in one byte or in two."""

    start: int
    stop: int
    place: int
    size: int


class DocFile:
    """A file that is not encrypted. Raises ParseFailed for one of Word 95 or before, OverLimit for too much text."""

    def __init__(self, path: Path, max_chars: int) -> None:
        import olefile  # type: ignore[import-untyped]  # has no types

        with olefile.OleFileIO(str(path)) as container:
            pool = {path[1] for path in container.listdir() if path[0] == "ObjectPool" and len(path) > 1}
            self.embedded_count = len(pool)
            self._data: bytes = container.openstream("WordDocument").read()
            magic, version = unpack_from("<HH", self._data)
            if magic != WORD or version < FIRST_OF_97:
                raise ParseFailed("comes from Word 95 or before, which cannot be read; save it as .docx")
            flags = unpack_from("<H", self._data, 10)[0]
            self._table: bytes = container.openstream("1Table" if flags & 0x200 else "0Table").read()
        counts = unpack_from("<8i", self._data, 76)
        if min(counts) < 0 or sum(counts) > max_chars:
            raise OverLimit(f"has more than {max_chars} characters of text; split it or raise parsing.max_text_chars")
        bounds = [0]
        for count in counts:
            bounds.append(bounds[-1] + count)
        self.main, self.footnotes, self.heads, _, self.comments, self.endnotes, self.boxes, self.head_boxes = (
            range(start, stop) for start, stop in pairwise(bounds)
        )
        self._length = bounds[-1] + 1
        self._pieces = list(self._read_pieces())
        self.text = self._read_text()

    def paragraphs(self, within: range) -> Iterator[Paragraph]:
        """Yield the paragraphs of a part of the text."""
        start = within.start
        for mark in _marks(self.text, within):
            yield self._paragraph(start, mark)
            start = mark + 1
        if start < within.stop:
            yield self._paragraph(start, within.stop)

    def notes(self) -> dict[int, tuple[str, range]]:
        """Return the foot- and endnotes by the place of the text that refers to them."""
        found: dict[int, tuple[str, range]] = {}
        for kind, places, texts, part in (
            ("footnote", _FOOTNOTE_PLACES, _FOOTNOTES, self.footnotes),
            ("endnote", _ENDNOTE_PLACES, _ENDNOTES, self.endnotes),
        ):
            ranges = _ranges(self._numbers(texts, 0), part)
            for place, text in zip(self._numbers(places, 2)[:-1], ranges, strict=False):
                found[place] = (kind, text)
        return found

    def head_texts(self) -> list[range]:
        """Return the headers and footers, of each section six: even, odd, even and odd footer, first, first footer."""
        return _ranges(self._numbers(_HEADS, 0), self.heads)[6:]

    def box_texts(self) -> list[range]:
        return _ranges(self._numbers(_BOXES, 22), self.boxes)

    def head_box_texts(self) -> list[range]:
        return _ranges(self._numbers(_HEAD_BOXES, 22), self.head_boxes)

    @property
    def comment_count(self) -> int:
        return max(len(self._numbers(_COMMENT_PLACES, 30)) - 1, 0)

    def lists(self) -> dict[str, NumberedList]:
        """Return the lists by the numbers by which paragraphs are in them; those before the first damaged one."""
        levels: list[tuple[int, Mapping[int, Level]]] = []
        data = self._part(_LIST_USES)
        found = {}
        with suppress(struct_error):
            levels.extend(list_levels(self._part(_LISTS), self._table, self._start(_LISTS)))
        by_name = dict(levels)
        with suppress(struct_error):
            for number in range(number_at(data, 0, "<I")):
                name = number_at(data, 4 + 16 * number, "<i")
                if name in by_name:
                    found[str(number + 1)] = NumberedList(by_name[name], str(name))
        return found

    def _start(self, index: int) -> int:
        return number_at(self._data, 154 + 8 * index, "<I")

    def _part(self, index: int) -> bytes:
        place, size = unpack_from("<II", self._data, 154 + 8 * index)
        return self._table[place : place + size] if size < 1 << 31 else b""

    def _numbers(self, index: int, size: int) -> list[int]:
        """Return the places of a table of places, each but the last with `size` bytes after all of them."""
        data = self._part(index)
        count = (len(data) - 4) // (4 + size) + 1 if len(data) >= 4 else 0
        return list(unpack_from(f"<{count}I", data))

    def _read_pieces(self) -> Iterator[_Piece]:
        data = self._part(_PIECES)
        at = 0
        while at < len(data) and data[at] == 1:
            at += 3 + number_at(data, at + 1, "<H")
        if at + 5 > len(data) or data[at] != 2:
            raise ValueError("no table of pieces")
        table = data[at + 5 : at + 5 + number_at(data, at + 1, "<I")]
        count = (len(table) - 4) // 12
        places = unpack_from(f"<{count + 1}I", table)
        for number, (start, stop) in enumerate(pairwise(places)):
            place = number_at(table, 4 * (count + 1) + 8 * number + 2, "<I")
            if stop < start or start > self._length:
                raise ValueError("pieces out of order")
            is_narrow = bool(place & 1 << 30)
            place &= (1 << 30) - 1
            yield _Piece(start, min(stop, self._length), place // 2 if is_narrow else place, 1 if is_narrow else 2)

    def _read_text(self) -> str:
        """Return the text with one character for each place: those of two are followed by a zero."""
        parts = []
        for piece in self._pieces:
            length = piece.stop - piece.start
            data = self._data[piece.place : piece.place + length * piece.size]
            text = data.decode("cp1252" if piece.size == 1 else "utf-16-le", "replace")
            text = _ASTRAL.sub(lambda found: found[0] + "\0", text)[:length]
            parts.append(self._cleaned(piece, text).ljust(length, "\0"))
        return "".join(parts)

    def _cleaned(self, piece: _Piece, text: str) -> str:
        """Return the text of a piece without what was deleted or hidden, and with its symbols."""
        runs, starts = self._changed_runs
        stop_place = piece.place + len(text) * piece.size
        parts, done = [], 0
        for start, stop, shown in runs[max(bisect_right(starts, piece.place) - 1, 0) :]:
            if start >= stop_place:
                break
            first = max((start - piece.place) // piece.size, done)
            last = min((stop - piece.place) // piece.size, len(text))
            if first < last:
                gone = shown * (last - first) if shown else re.sub(r"[^\r\x07\x0c\x13-\x15]", "\0", text[first:last])
                parts += [text[done:first], gone]
                done = last
        return "".join([*parts, text[done:]])

    @cached_property
    def _changed_runs(self) -> tuple[list[tuple[int, int, str]], list[int]]:
        """Return the runs of characters that are not shown, or shown as a symbol, and where they start."""
        runs = []
        for start, stop, data in self._pages(_CHARACTERS, 1):
            said = dict(properties(data[1 : 1 + data[0]] if data else b""))
            if said.get(_DELETED, b"\0")[0] == 1 or said.get(_HIDDEN, b"\0")[0] == 1:
                runs.append((start, stop, ""))
            elif len(symbol := said.get(_SYMBOL, b"")) == 4:
                code = number_at(symbol, 2, "<H")
                runs.append((start, stop, "•" if 0xE000 <= code < 0xF900 or not code else chr(code)))
        runs.sort()
        return runs, [run[0] for run in runs]

    def _pages(self, index: int, size: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield (start, stop, what follows from its properties on) of the runs in the pages of a table of places."""
        data = self._part(index)
        count = (len(data) - 4) // 8
        for number in range(max(count, 0)):
            page = number_at(data, 4 * (count + 1) + 4 * number, "<I") & 0x3FFFFF
            block = self._data[page * _FKP_BYTES : (page + 1) * _FKP_BYTES]
            runs = block[-1] if len(block) == _FKP_BYTES else 0
            if 4 * (runs + 1) + size * runs >= _FKP_BYTES:
                continue
            places = unpack_from(f"<{runs + 1}I", block)
            for run in range(runs):
                offset = block[4 * (runs + 1) + size * run] * 2
                yield places[run], places[run + 1], block[offset:] if offset else b""

    @cached_property
    def _styles(self) -> DocStyles:
        return DocStyles(self._part(_STYLES))

    @cached_property
    def _paragraph_runs(self) -> tuple[list[tuple[int, bytes]], list[int]]:
        runs = []
        for _, stop, data in self._pages(_PARAGRAPHS, 13):
            if not data:
                runs.append((stop, b""))
            elif data[0]:
                runs.append((stop, data[1 : 2 * data[0]]))
            else:
                runs.append((stop, data[2 : 2 + 2 * data[1]] if len(data) > 1 else b""))
        runs.sort(key=lambda run: run[0])
        return runs, [run[0] for run in runs]

    def _paragraph(self, start: int, mark: int) -> Paragraph:
        runs, stops = self._paragraph_runs
        number = bisect_right(stops, self._place(mark))
        data = runs[number][1] if number < len(runs) else b""
        style = self._styles.style(number_at(data, 0, "<H")) if len(data) > 1 else Style()
        said = dict(properties(data[2:]))
        if named := said.get(_STYLE):
            style = self._styles.style(number_at(named, 0, "<H"))
        is_cell = self.text[mark : mark + 1] == "\x07"
        return Paragraph(
            start,
            mark,
            changed(style, said),
            in_table=is_cell or said.get(_IN_TABLE, b"\0")[0] == 1,
            ends_cell=is_cell,
            ends_row=is_cell and said.get(_ROW_ENDS, b"\0")[0] == 1,
        )

    def _place(self, position: int) -> int:
        number = bisect_right(self._pieces, position, key=lambda piece: piece.start) - 1
        piece = self._pieces[max(number, 0)]
        return piece.place + (position - piece.start) * piece.size


def _marks(text: str, within: range) -> Iterator[int]:
    """Yield where paragraphs, cells and sections end."""
    for found in re.compile(r"[\r\x07\x0c]").finditer(text, within.start, within.stop):
        yield found.start()


def _ranges(numbers: list[int], part: range) -> list[range]:
    """Return the texts between places of a part, which follow each other; empty where they do not."""
    found = []
    done = 0
    for start, stop in pairwise(numbers):
        first = max(start, done)
        found.append(range(part.start + first, min(part.start + max(stop, first), part.stop)))
        done = max(stop, first)
    return found
