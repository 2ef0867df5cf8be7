"""The ruling lines that are drawn on a PDF's page, and the grids they make."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragline.pipelines.readers.pdf.glyphs import FAR, Box, turned

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

_MOST_OBJECTS = 20_000
_MOST_PATHS = 3_000
_MOST_POINTS = 600
_MOST_COLUMNS = 100
_THIN = 3.5
_LONG = 8.0
_NEAR = 3.0


@dataclass(frozen=True, slots=True)
class Ruling:
    """A straight line along an axis: it lies `at` one coordinate and runs from `start` to `end` in the other."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Rulings:
    across: Sequence[Ruling]
    down: Sequence[Ruling]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table's rulings: `xs` from left to right, `ys` from top to bottom, at least three of each."""

    xs: Sequence[float]
    ys: Sequence[float]
    down: Mapping[float, Sequence[Ruling]]

    def is_ruled(self, x: float, y: float) -> bool:
        """True if the line at `x` is drawn at the height `y`; within joined cells it is not."""
        return any(line.start - 1 <= y <= line.end + 1 for line in self.down[x])


def rulings(page: PdfPage, quarter: int, mirrored: bool) -> Rulings:
    """Return the horizontal and vertical lines of a page, in the coordinates of its lines of text."""
    across: list[Ruling] = []
    down: list[Ruling] = []
    for box in _edges(page):
        left, bottom, right, top = turned(box, quarter, mirrored)
        if not (-FAR < left <= right < FAR and -FAR < bottom <= top < FAR):
            continue
        wide, high = right - left, top - bottom
        if high <= _THIN and wide >= _LONG:
            across.append(Ruling((bottom + top) / 2, left, right))
        elif wide <= _THIN and high >= _LONG:
            down.append(Ruling((left + right) / 2, bottom, top))
    return Rulings(_merged(across), _merged(down))


def grids(found: Rulings) -> list[Grid]:
    """Return the grids of lines that touch each other, where they part at least two rows and two columns."""
    groups = _touching(found)
    made = []
    for across, down in groups:
        ends = [line.start for line in across] + [line.end for line in across]
        xs = _places([line.at for line in down] + [min(ends), max(ends)])
        heights = [line.start for line in down] + [line.end for line in down]
        ys = _places([line.at for line in across] + [min(heights), max(heights)])
        if 2 < len(xs) <= _MOST_COLUMNS and len(ys) > 2 and len(down) > 1:
            at = {x: [line for line in down if -_NEAR <= line.at - x <= 2 * _NEAR] for x in xs}
            made.append(Grid(xs, ys[::-1], at))
    return made


def _edges(page: PdfPage) -> Iterator[Box]:
    """Yield the straight pieces of the page's paths as flat boxes, in the page's own coordinates."""
    from pypdfium2 import raw

    handle = page.raw
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    paths = 0
    for index in range(min(raw.FPDFPage_CountObjects(handle), _MOST_OBJECTS)):
        item = raw.FPDFPage_GetObject(handle, index)
        if raw.FPDFPageObj_GetType(item) != raw.FPDF_PAGEOBJ_PATH:
            continue
        paths += 1
        if paths > _MOST_PATHS or not raw.FPDFPageObj_GetBounds(item, left, bottom, right, top):
            continue
        x0, y0, x1, y1 = left.value, bottom.value, right.value, top.value
        if x1 - x0 <= _THIN or y1 - y0 <= _THIN:
            yield x0, y0, x1, y1
            continue
        points = raw.FPDFPath_CountSegments(item)
        if points in (4, 5):
            yield from ((x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1))
        elif 5 < points <= _MOST_POINTS:
            yield from _segments(item, points)


def _segments(path: object, points: int) -> Iterator[Box]:
    from pypdfium2 import raw

    matrix = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(path, matrix):
        return
    x, y = ctypes.c_float(), ctypes.c_float()
    start = last = (0.0, 0.0)
    for index in range(points):
        segment = raw.FPDFPath_GetPathSegment(path, index)
        kind = raw.FPDFPathSegment_GetType(segment)
        if kind == raw.FPDF_SEGMENT_BEZIERTO:
            return  # a drawing
        if not raw.FPDFPathSegment_GetPoint(segment, x, y):
            continue
        at = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        if kind == raw.FPDF_SEGMENT_MOVETO:
            start = at
        elif kind == raw.FPDF_SEGMENT_LINETO:
            yield _box(last, at)
        last = at
        if raw.FPDFPathSegment_GetClose(segment):
            yield _box(last, start)
            last = start


def _box(one: tuple[float, float], other: tuple[float, float]) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1])


def _merged(lines: Sequence[Ruling]) -> list[Ruling]:
    """Join the pieces of lines, such as the borders of the cells beside each other."""
    merged: list[Ruling] = []
    for line in sorted(lines, key=lambda line: (round(line.at / 2), line.start)):
        last = merged[-1] if merged else None
        if last and abs(last.at - line.at) <= _NEAR and line.start <= last.end + _NEAR:
            merged[-1] = Ruling(last.at, last.start, max(last.end, line.end))
        else:
            merged.append(line)
    return merged


def _touching(found: Rulings) -> list[tuple[list[Ruling], list[Ruling]]]:
    """Return the lines in groups that hang together, those across and those down."""
    groups: list[tuple[list[Ruling], list[Ruling]]] = []
    if len(found.across) * len(found.down) > 250_000:  # a drawing
        return groups
    for down in found.down:
        mine: tuple[list[Ruling], list[Ruling]] = ([], [down])
        rest = []
        for group in groups:
            if any(_meet(line, down) for line in group[0]):
                mine[0].extend(group[0])
                mine[1].extend(group[1])
            else:
                rest.append(group)
        known = {id(line) for group in groups for line in group[0]}
        mine[0].extend(line for line in found.across if id(line) not in known and _meet(line, down))
        groups = [*rest, mine]
    return [group for group in groups if group[0]]


def _meet(across: Ruling, down: Ruling) -> bool:
    return across.start - _NEAR <= down.at <= across.end + _NEAR and down.start - _NEAR <= across.at <= down.end + _NEAR


def _places(values: Sequence[float]) -> list[float]:
    """Return the values in order, those near each other as one."""
    places: list[float] = []
    for value in sorted(values):
        if not places or value - places[-1] > 2 * _NEAR:
            places.append(value)
    return places
