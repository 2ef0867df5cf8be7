"""Running headers and footers and the numbers of pages: lines that neighbouring pages share at their edges."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from ragline.pipelines.readers.pdf.columns import rows
from ragline.pipelines.readers.pdf.document import Page
from ragline.pipelines.readers.pdf.lines import Line, PageText

WINDOW = 4
"""How many pages before and after a page are compared with it."""
_ZONE = 0.18
"""Of the height of the page: its first and last line may be such there, set apart; others only in the outer zone."""
_OUTER_ZONE = 0.1
_GAP_EM = 0.8
_MOST_ROWS = 3
_NEAR = 4.0
_TITLE_RATIO = 1.15
_DIGITS = re.compile(r"\d{1,9}")
_OUTER_NUMBERS = re.compile(r"^\d+\W+|\W+\d+$")
_ROMAN = re.compile(r"(?=[ivxl])(?:x{0,3}|xl|l)(?:ix|iv|v?i{0,3})")
_PAGE_NUMBER = re.compile(
    r"\W*(?:pages?|p\.?|seite|página|pagina|s\.?|folio)?\W*#\W*(?:(?:/|of|de|sur|von|su)\W*#)?\W*"
)
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50}


@dataclass(frozen=True, slots=True)
class Edge:
    """A printed line near an edge: its text with # for each number, the numbers, and how far it is from the edge."""

    key: tuple[str, str]
    numbers: tuple[int, ...]
    away: float
    lines: Sequence[Line]

    @property
    def title(self) -> str:
        """What it says but the number of the page."""
        if _PAGE_NUMBER.fullmatch(self.key[1]):
            return ""
        return _OUTER_NUMBERS.sub("", " ".join(line.text for line in self.lines))


class Seen:
    """A page that its neighbours are compared with. `body` is the usual size of type, in points."""

    def __init__(self, page: Page, body: float) -> None:
        self.page = page
        self.edges = _edges(page.text, body)

    @cached_property
    def inner(self) -> set[str]:
        """The lines that are not near an edge."""
        outer = {id(line) for edge in self.edges for line in edge.lines}
        return {line.text for line in self.page.text.lines if id(line) not in outer}

    def is_copy(self, other: Seen, pages: int) -> bool:
        """True if most of another page, so many further on, is the same, and neither counts its pages."""
        if any(_counts(mine, their, pages) for mine in self.edges for their in other.edges if mine.key == their.key):
            return False
        return len(self.inner & other.inner) > 0.6 * max(min(len(self.inner), len(other.inner)), 1)


def running(number: int, near: Mapping[int, Seen], total: int) -> list[Edge]:
    """Return the lines of a page that stand at the same place on at least 3 pages near it, most of a short document.

    Their numbers may differ if one of them counts the pages. A page that repeats the whole of another proves nothing.
    """
    needed = min(3, max(2, ceil(0.6 * total)))
    mine = near[number]
    gone: list[Edge] = []
    for edge in mine.edges:
        same = [
            at
            for at, seen in near.items()
            if at != number and any(_repeats(edge, their, at - number) for their in seen.edges)
        ]
        if len(same) + 1 < needed:
            continue
        if edge.key[0] != "aside":  # stamped on copies, too
            same = [at for at in same if not mine.is_copy(near[at], at - number)]
        if len(same) + 1 >= needed:
            gone.append(edge)
    is_all = sum(len(edge.lines) for edge in gone) == len(mine.page.text.lines) + len(mine.page.text.asides)
    return [] if is_all and not any(seen.inner for seen in near.values()) else gone


def _edges(text: PageText, body: float) -> list[Edge]:
    """Return the lines of a page that may be a running header or footer: not those in larger type than the text."""
    _, bottom, _, top = text.box
    high = top - bottom
    above = rows([line for line in text.lines if line.bottom > top - _ZONE * high])
    below = rows([line for line in text.lines if line.top < bottom + _ZONE * high])[::-1]
    found = [_edge("top", row, top - row[0].bottom) for row in above[:_MOST_ROWS]]
    found = [edge for edge in found if edge.away < _OUTER_ZONE * high or _is_apart(edge, text.lines)]
    under = [_edge("bottom", row, row[0].bottom - bottom) for row in below[:_MOST_ROWS]]
    found += [edge for edge in under if edge.away < _OUTER_ZONE * high or _is_apart(edge, text.lines)]
    largest = _TITLE_RATIO * body if body else float("inf")
    found = [edge for edge in found if max(line.size for line in edge.lines) <= largest]
    return found + [_edge("aside", [line], 0.0) for line in text.asides]


def _is_apart(edge: Edge, lines: Sequence[Line]) -> bool:
    """True for the first or the last line of a page, where a gap parts it from the others."""
    line = edge.lines[0]
    others = [other for other in lines if other not in edge.lines]
    if edge.key[0] == "top":
        return all(other.top < line.bottom - _GAP_EM * line.size for other in others)
    return all(other.bottom > line.top + _GAP_EM * line.size for other in others)


def _edge(place: str, row: Sequence[Line], away: float) -> Edge:
    text = " ".join(line.text for line in row).casefold()
    if _ROMAN.fullmatch(text):
        return Edge((place, "#"), (_roman(text),), away, row)
    numbers = tuple(int(digits) for digits in _DIGITS.findall(text))
    return Edge((place, _DIGITS.sub("#", text)), numbers, away, row)


def _repeats(edge: Edge, other: Edge, pages: int) -> bool:
    """True if `other`, so many pages further on, is the same line."""
    if edge.key != other.key or abs(edge.away - other.away) > _NEAR:
        return False
    if edge.numbers == other.numbers:
        return True
    # `Question 3` in bold is a title on the third page, `Page 3` is not.
    return _counts(edge, other, pages) and (
        _PAGE_NUMBER.fullmatch(edge.key[1]) is not None or not all(line.bold for line in edge.lines)
    )


def _counts(edge: Edge, other: Edge, pages: int) -> bool:
    return any(after - before == pages for before, after in zip(edge.numbers, other.numbers, strict=True))


def _roman(text: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in text]
    return sum(-value if any(later > value for later in values[at:]) else value for at, value in enumerate(values))
