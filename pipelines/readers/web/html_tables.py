"""Tables of web pages: which of them hold data, and their cells as rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ragline.pipelines.readers.tables.sheets import Merged, merged
from ragline.pipelines.readers.tables.tables import Row, row_table
from ragline.pipelines.readers.web.html_survey import INVISIBLE, Survey, is_left_out, local, words
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

MAX_COLUMNS = 1_000
"""Most columns that HTML lets one cell cover."""
MAX_ROWS_LOOKED_AT = 50
MAX_MEAN_CHARS = 600
"""Cells that are longer on average are the columns of a layout."""

_CELLS = ("{*}td", "{*}th")
_TITLES = tuple(f"{{*}}h{level}" for level in range(1, 7))
_PARTS = frozenset({"tr", "thead", "tbody", "tfoot", "caption", "colgroup", "col"})
_INLINE = frozenset(
    re.findall(
        r"\w+",
        "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd mark q s samp small span strike strong "
        "sub sup time tt u var wbr",
    )
)
_ITEM_MARK = re.compile(r"[•●▪◦‣–—*·-]|\(?(?:\d{1,3}|[A-Za-z]|[ivx]{1,5})[.)]|\*{1,3}|†|‡")
_EVERYTHING = Survey()


def is_data(table: _Element) -> bool:
    """Tell whether a table without tables in it has rows of data; else it only puts text in its place."""
    if table.get("role") in ("presentation", "none"):
        return False
    rows = [
        [text for cell in row.iterchildren(*_CELLS) if (text := cell_text(cell))]
        for row in islice(table.iter("{*}tr"), MAX_ROWS_LOOKED_AT)
    ]
    full = [row for row in rows if len(row) > 1]
    if next(table.iter("{*}th"), None) is not None:
        return bool(full)
    if len(full) < 2 or next(table.iter(*_TITLES), None) is not None:
        return False
    if all(len(row) == 2 and _ITEM_MARK.fullmatch(row[0]) for row in full):
        return False
    sizes = [len(text) for row in full for text in row]
    return sum(sizes) <= MAX_MEAN_CHARS * len(sizes)


def table_elements(table: _Element) -> Iterator[Element]:
    """Yield the caption of a table, its rows, and what stands in it outside of cells."""
    for caption in table.iter("{*}caption"):
        yield Element(words(caption))
    rows = [row for row in table.iter("{*}tr") if not is_left_out(row, "tr", _EVERYTHING)]
    headers = 0
    while headers < len(rows) and _is_heading(rows[headers]):
        headers += 1
    ranges: dict[int, list[Merged]] = {}
    found = [row for row in merged(_rows(rows, ranges), ranges) if row.cells]
    known = sum(row.number <= headers for row in found)
    yield from row_table(found, headers=known if 0 < known < len(found) else None)
    if outside := " ".join(text for text in _outside(table, rows) if text):
        yield Element(outside)


def cell_text(cell: _Element) -> str:
    """Return what a cell shows on one line; of pictures alone, the words that stand for them."""
    from lxml import etree  # type: ignore[import-untyped]  # has no types

    if len(cell) == 0:
        return " ".join(INVISIBLE.sub("", cell.text or "").split())
    texts: list[str] = []
    walk = etree.iterwalk(cell, events=("start", "end"))
    for event, node in walk:
        name = local(node)
        if name not in _INLINE:
            texts.append(" ")
        if event == "end":
            texts.append((node.tail or "") if node is not cell else "")
        elif node is not cell and is_left_out(node, name, _EVERYTHING):
            walk.skip_subtree()
        else:
            texts.append(node.text or "")
    text = " ".join(INVISIBLE.sub("", "".join(texts)).split())
    return text or " ".join(" ".join(image.get("alt") or "" for image in cell.iter("{*}img")).split())


def _rows(rows: list[_Element], ranges: dict[int, list[Merged]]) -> Iterator[Row]:
    """Yield the rows, each cell in its column, and put cells that cover others into `ranges` by their first row."""
    covered: dict[int, int] = {}
    for number, row in enumerate(rows, start=1):
        cells: dict[int, str] = {}
        column = 0
        for cell in row.iterchildren(*_CELLS):
            while column < MAX_COLUMNS and covered.get(column, 0) >= number:
                column += 1
            width, height = _span(cell.get("colspan")), _span(cell.get("rowspan"))
            last, last_row = column + width - 1, number + height - 1
            if height > 1:
                covered |= dict.fromkeys(range(column, min(last + 1, MAX_COLUMNS)), last_row)
            if not is_left_out(cell, "td", _EVERYTHING) and (text := cell_text(cell)):
                cells[column] = text
                if width > 1 or height > 1:
                    ranges.setdefault(number, []).append(Merged(column, number, last, last_row))
            column = last + 1
        yield Row(number, cells)


def _is_heading(row: _Element) -> bool:
    parent = row.getparent()
    if parent is not None and local(parent) == "thead":
        return True
    kinds = [local(cell) for cell in row.iterchildren(*_CELLS) if cell_text(cell)]
    return len(kinds) > 1 and "td" not in kinds


def _outside(table: _Element, rows: list[_Element]) -> Iterator[str]:
    """Yield texts that broken HTML has in a table beside its cells."""
    for row in rows:
        yield from (text for node in row if (text := " ".join((node.tail or "").split())))
        yield from (words(node) for node in row if local(node) not in ("td", "th", "script", "style"))
    for node in [table, *table.iter("{*}tbody", "{*}thead", "{*}tfoot")]:
        for child in node:
            yield " ".join((child.tail or "").split())
            if local(child) not in _PARTS and not is_left_out(child, local(child), _EVERYTHING):
                yield words(child) if next(child.iter("{*}tr"), None) is None else ""


def _span(text: str | None) -> int:
    """Return how many columns or rows a cell covers, 1 to MAX_COLUMNS; 0 stands for all that follow."""
    digits = (text or "1").strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        return 1
    return min(int(digits), MAX_COLUMNS) or MAX_COLUMNS
