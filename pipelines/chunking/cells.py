"""The rows of tables that a passage has: their markup, and their range in the sheet."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ragline.pipelines.chunking.profiles import Plan
from ragline.types import Element

MAX_HTML_CHARS = 20_000
"""Longer markup is left out: a passage has some hundred tokens."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The lines of one element that a passage has: from `first` to before `last`, `all` of each or some in part."""

    number: int
    first: int
    last: int
    all: bool


class Cells:
    """Tells of passages which rows are in them."""

    def __init__(self, text: str, elements: Sequence[Element], plan: Plan) -> None:
        self._text = text
        self._elements = elements
        self._plan = plan
        self._starts: tuple[int, list[int]] = (-1, [])

    def range(self, numbers: Sequence[int], start: int, end: int) -> str | None:
        """Return the range of the text from `start` to `end` in its sheet, such as `A5:F9`; None without one.

        `numbers` are the elements it is of. Headings that are repeated from the beginning of the table do not count.
        """
        rows: set[int] = set()
        columns: set[str] = set()
        for number in numbers:
            one = self._elements[number]
            if one.columns is None or not one.rows:
                continue
            lines = self._rows(number, start, end)
            first = max(lines.first, one.headers) if number in self._plan.continues else lines.first
            found = one.rows[first : lines.last] or one.rows[lines.first : lines.last]
            rows.update(found)
            columns.update(one.columns if found else ())
        if not rows:
            return None
        left, right = min(columns, key=_column), max(columns, key=_column)
        ends = f"{left}{min(rows)}", f"{right}{max(rows)}"
        return ":".join(dict.fromkeys(ends))

    def html(self, numbers: Sequence[int], start: int, end: int) -> str | None:
        """Return the markup of the rows of the text from `start` to `end`, headings included.

        None where they are of several tables, are not whole, or the markup does not have a row for each line.
        """
        tables = [number for number in numbers if self._elements[number].kind == "table"]
        if not tables or any(later not in self._plan.continues for _, later in pairwise(tables)):
            return None
        made: list[str] = []
        chars = 0
        for number in tables:
            one, lines = self._elements[number], self._rows(number, start, end)
            markup = rows_of(one.html or "")
            if not lines.all or len(markup) != one.text.count("\n") + 1:
                return None
            first = max(lines.first, one.headers) if made else lines.first
            head = markup[: min(one.headers, first)] if not made else []
            made += [*head, *markup[first : lines.last]]
            chars += sum(map(len, made))
            if chars > MAX_HTML_CHARS:
                return None
        return f"<table>{''.join(made)}</table>"

    def _rows(self, number: int, start: int, end: int) -> Rows:
        """Return which lines of an element lie in the text from `start` to `end`."""
        begins, stop = self._plan.spans[number]
        if self._starts[0] != number:  # passages come in order
            lengths = [len(line) + 1 for line in self._elements[number].text.split("\n")]
            self._starts = number, [begins, *accumulate(lengths, initial=begins)][1:-1]
        starts = self._starts[1]
        first = max(0, bisect_right(starts, start) - 1)
        last = bisect_left(starts, end)
        whole_start = not self._text[starts[first] : max(start, begins)].strip()
        line_end = starts[last] - 1 if last < len(starts) else stop
        return Rows(number, first, last, whole_start and not self._text[min(end, line_end) : line_end].strip())


def rows_of(html: str) -> list[str]:
    """Return the rows of a table's markup, each from `<tr` to `</tr>`."""
    return [f"<tr{row.partition('</tr>')[0]}</tr>" for row in html.split("<tr")[1:]]


def _column(name: str) -> tuple[int, str]:
    return len(name), name
