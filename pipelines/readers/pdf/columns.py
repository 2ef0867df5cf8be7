"""The lines of a page in the order in which people read them: column by column."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from ragline.pipelines.readers.pdf.hyphens import word_count
from ragline.pipelines.readers.pdf.lines import Line

_MIN_LINES = 4
"""Lines side by side from which two columns may be told from two stretches of a table."""
_MIN_SHARE = 0.12
"""Of the width of the text: a narrower column is a margin."""
_MOST_LINES = 3_000
"""A page with more lines is a drawing, whose text has no columns."""
_DEPTH = 4
_CANDIDATES = 12
_RASTER = 600


def columns(lines: Sequence[Line]) -> list[list[Line]]:
    """Return the lines of a page as columns, both in reading order.

    Two stretches of text are columns if several lines of running text stand beside each other with nothing across the
    gutter between them; a line that crosses it ends the columns above. Where there are none, the order of the text
    layer is kept, unless it jumps.
    """
    return _columns(list(lines), _DEPTH if len(lines) <= _MOST_LINES else 0)


def same_line(above: Line, below: Line) -> bool:
    """True for two stretches of one printed line."""
    overlap = min(above.top, below.top) - max(above.bottom, below.bottom)
    return overlap > 0.5 * min(above.top - above.bottom, below.top - below.bottom)


def rows(lines: Sequence[Line]) -> list[list[Line]]:
    """Return the lines from top to bottom, those of one printed line together from left to right."""
    found: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (-line.top - line.bottom, line.left)):
        if found and same_line(found[-1][0], line):
            found[-1].append(line)
        else:
            found.append([line])
    for row in found:
        if len(row) > 1:
            row.sort(key=lambda line: line.left)
    return found


def _columns(lines: list[Line], depth: int) -> list[list[Line]]:
    gutter = _gutter(lines) if depth and len(lines) >= 2 * _MIN_LINES else None
    if gutter is None:
        return [_in_order(lines)] if lines else []
    bands = _Bands(gutter, depth)
    for row in rows(lines):
        bands.add(row)
    bands.end_columns()
    bands.end_across()
    return bands.found


@dataclass(slots=True)
class _Bands:
    """Takes rows from top to bottom; only the columns, or what is across the gutter, wait to be written."""

    gutter: float
    depth: int
    found: list[list[Line]] = field(default_factory=list)
    _left: list[Line] = field(default_factory=list)
    _right: list[Line] = field(default_factory=list)
    _across: list[Line] = field(default_factory=list)

    def add(self, row: Sequence[Line]) -> None:
        if self._across and all(line.right <= self.gutter for line in row) and self._goes_on(row[0]):
            self._across.extend(row)
            return
        for stretch in _touching(row):
            if stretch[0].left < self.gutter < max(line.right for line in stretch):
                self.end_columns()
                self._across.extend(stretch)
            else:
                self.end_across()
                (self._left if stretch[0].left < self.gutter else self._right).extend(stretch)

    def _goes_on(self, line: Line) -> bool:
        """True for the last line of a paragraph that was across, which may be short."""
        last = self._across[-1]
        return last.bottom - line.bottom < 1.7 * line.size and 0.9 * last.size < line.size < 1.1 * last.size

    def end_columns(self) -> None:
        for side in (self._left, self._right):
            if side:
                self.found.extend(_columns(list(side), self.depth - 1))
            side.clear()

    def end_across(self) -> None:
        if self._across:
            self.found.append(_in_order(self._across))
            self._across = []


def _touching(row: Sequence[Line]) -> Iterator[list[Line]]:
    """Yield the lines of a row, those together that no wide gap parts."""
    stretch: list[Line] = []
    for line in row:
        if stretch and line.left - max(before.right for before in stretch) > 0.7 * line.size:
            yield stretch
            stretch = []
        stretch.append(line)
    yield stretch


def _gutter(lines: Sequence[Line]) -> float | None:
    """Return the x of the gutter with the most running text on both sides of it."""
    bottom, top = min(line.bottom for line in lines), max(line.top for line in lines)
    first, last = min(line.left for line in lines), max(line.right for line in lines)
    width = last - first
    size = median(line.size for line in lines) or 10.0
    if top <= bottom or width <= 0:
        return None
    scale = _RASTER / (top - bottom)
    masks = [_mask(int((line.bottom - bottom) * scale), int((line.top - bottom) * scale)) for line in lines]
    starts: defaultdict[int, list[float]] = defaultdict(list)
    for line in lines:
        if first + _MIN_SHARE * width < line.left < last - _MIN_SHARE * width:
            starts[round(line.left / 4)].append(line.left)
    likely = sorted((len(found), min(found)) for found in starts.values() if len(found) >= _MIN_LINES)
    best, best_height = None, _MIN_LINES * size * scale
    for _, start in likely[-_CANDIDATES:]:
        gutter = start - 0.5 * size
        height = _side_by_side(lines, masks, gutter)
        if height > best_height:
            best, best_height = gutter, height
    return best


def _side_by_side(lines: Sequence[Line], masks: Sequence[int], gutter: float) -> float:
    """Return for how many rows of the raster running text stands on both sides of a gutter; 0 where there is little."""
    left = right = across = 0
    for line, mask in zip(lines, masks, strict=True):
        if line.right <= gutter:
            left |= mask
        elif line.left >= gutter:
            right |= mask
        else:
            across |= mask
    both = left & right & ~across
    beside = [line for line, mask in zip(lines, masks, strict=True) if mask & both]
    sides = ([line for line in beside if line.right <= gutter], [line for line in beside if line.left >= gutter])
    return both.bit_count() if all(map(_is_running_text, sides)) else 0


def _is_running_text(lines: Sequence[Line]) -> bool:
    """True if the lines are long and end at the same margin, other than those of labels, numbers and lists."""
    if len(lines) < _MIN_LINES:
        return False
    widths = sorted(line.right - line.left for line in lines)
    full = 0.75 * widths[int(0.9 * (len(widths) - 1))]
    running = sum(line.right - line.left >= full and word_count(line.text) > 2 for line in lines)
    return running >= 0.4 * len(lines)


def _mask(low: int, high: int) -> int:
    return (1 << high) - (1 << low) if high > low else 0


def _in_order(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of one column as they stand in the text layer, or from top to bottom where that is clear."""
    if len(lines) > _MOST_LINES:
        return list(lines)
    found = rows(lines)
    beside = sum(len(row) - 1 for row in found if row[-1].left - row[0].right > row[0].size)
    jumps = sum(below.bottom > above.top for above, below in pairwise(lines))
    if beside <= 0.1 * len(lines) or jumps > max(1, 0.2 * len(lines)):
        return [line for row in found for line in row]
    return list(lines)
