"""Which rows at the beginning of a table are the headings of its columns, told by what their cells hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

LOOK_AHEAD = 4
"""Rows below a row that are looked at."""
MAX_ROWS = 3
MAX_CHARS = 200
"""A row with a longer cell holds data."""
_MAX_VALUE_CHARS = 40

_NUMBER = re.compile(r"[-+−(]?\s?(?:[€$£]\s?)?\d[\d\s.,'’\u202f]*+(?:[eE][-+]?\d+)?\s?[%‰€$£)]*")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?:[ T][\d:.+Z-]*)?|\d\d?[./-]\d\d?[./-]\d{2,4}|\d\d?:\d\d(?::\d\d)?")
_YEAR = re.compile(r"(?:1[89]|20|21)\d\d")
_BOOLEANS = frozenset({"TRUE", "FALSE"})

Cells = Mapping[int, str]


def headings_of(first: Cells, below: Sequence[Cells]) -> int:
    """Return how many rows, from the first with two cells, are headings; `below` are the next LOOK_AHEAD rows."""
    if len(first) < 2 or not below or not _may_head(first, below):
        return 0
    count = 1
    above = first
    for number, row in enumerate(below[: MAX_ROWS - 1]):
        if not (_is_group(above, row) and _may_head(row, below[number + 1 :]) and is_titled(row, below[number + 1 :])):
            break
        count += 1
        above = row
    return count


def is_titled(row: Cells, below: Sequence[Cells]) -> bool:
    """Tell whether a row of words, or of words that group those below them, stands over values.

    Years and dates count as words where they stand over other things.
    """
    if not _may_head(row, below):
        return False
    if any(is_value(text) for text in row.values()):
        return True
    if any(column in cells and is_value(cells[column]) for cells in below[:2] for column in row):
        return True
    return bool(below) and len(row) < len(below[0]) and is_titled(below[0], below[1:])


def is_value(text: str) -> bool:
    """True for a number, an amount, a share, a date, a time and a truth value."""
    if len(text) > _MAX_VALUE_CHARS:
        return False
    return text in _BOOLEANS or bool(_NUMBER.fullmatch(text) or _DATE.fullmatch(text))


def _may_head(row: Cells, below: Sequence[Cells]) -> bool:
    """False for a row that looks like those below it, and for one of numbers that are no years, dates or 1, 2, 3."""
    if any(len(text) > MAX_CHARS for text in row.values()) or (below and row == below[0]):
        return False
    values = {column: text for column, text in row.items() if is_value(text)}
    if not values:
        return True
    if len(values) < 2 or not below:
        return False
    if not _is_series(list(values.values())):
        return False
    under = [below[0][column] for column in values if column in below[0]]
    return not _is_series(under)


def _is_series(values: Sequence[str]) -> bool:
    """True for years, dates, and whole numbers that count up."""
    if len(set(values)) < len(values) or not values:
        return False
    if all(_YEAR.fullmatch(value) for value in values) or all(_DATE.fullmatch(value) for value in values):
        return True
    whole = [int(value) for value in values if value.isascii() and value.isdigit()]
    return len(whole) == len(values) > 2 and all(after - before == 1 for before, after in pairwise(whole))


def _is_group(above: Cells, row: Cells) -> bool:
    """True for a row whose cells each stand over several of the next: with gaps between them, or repeated."""
    texts = list(above.values())
    return len(above) < len(row) or any(before == after for before, after in pairwise(texts))
