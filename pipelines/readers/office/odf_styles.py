"""What the styles of an OpenDocument make of its paragraphs and lists: titles, pages, numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragline.pipelines.readers.office.word_styles import number_text

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

_ODF = "urn:oasis:names:tc:opendocument:xmlns:"
OFFICE, STYLE, TEXT, TABLE, DRAW, META = (
    f"{{{_ODF}{name}:1.0}}" for name in ("office", "style", "text", "table", "drawing", "meta")
)
PRESENTATION = f"{{{_ODF}presentation:1.0}}"
FO = f"{{{_ODF}xsl-fo-compatible:1.0}}"
SVG = f"{{{_ODF}svg-compatible:1.0}}"
_MAX_CHAIN = 20
_HEADING = re.compile(r"(?:heading|titre)(?:_20_|\s)*([1-9])(?!\d)", re.IGNORECASE)
_TITLES = {"title": 1, "titre": 1, "subtitle": 2, "sous-titre": 2}
_CODE = ("Preformatted_20_Text", "Source_20_Code")
_FORMS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman", "": "none"}


@dataclass(frozen=True, slots=True)
class Style:
    """What a paragraph is: a title of `level`, counted from 1, or 0; code; the first on a new page."""

    level: int = 0
    is_code: bool = False
    breaks_page: bool = False


class Styles:
    """The styles of a document and those of its own text, by their names."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Element] = {}
        self._known: dict[str, Style] = {}
        self._lists: dict[str, Mapping[int, _Level]] = {}
        self.outline: Mapping[int, _Level] = {}
        self.hidden_pages: set[str] = set()

    def add(self, root: _Element) -> None:
        """Take the styles below `root`; those of the same name are replaced."""
        for node in root.iter(f"{STYLE}style"):
            name = node.get(f"{STYLE}name", "")
            if node.get(f"{STYLE}family") == "paragraph":
                self._nodes[name] = node
            for page in node.iterfind(f"{STYLE}drawing-page-properties"):
                if page.get(f"{PRESENTATION}visibility") == "hidden":
                    self.hidden_pages.add(name)
        for node in root.iter(f"{TEXT}list-style"):
            self._lists[node.get(f"{STYLE}name", "")] = _levels(node)
        for node in root.iter(f"{TEXT}outline-style"):
            self.outline = _levels(node)

    def of(self, name: str) -> Style:
        if name not in self._known:
            self._known[name] = self._style(name)
        return self._known[name]

    def list_levels(self, name: str) -> Mapping[int, _Level]:
        return self._lists.get(name, {})

    def _style(self, name: str) -> Style:
        level, is_code, breaks = 0, False, None
        above: str | None = name
        for _ in range(_MAX_CHAIN):
            node = self._nodes.get(above or "")
            for said in (above, node.get(f"{STYLE}display-name") if node is not None else None):
                found = _HEADING.match(said or "")
                level = level or (int(found[1]) if found else _TITLES.get((said or "").lower(), 0))
                is_code = is_code or said in _CODE
            if node is None:
                break
            outline = node.get(f"{STYLE}default-outline-level", "")
            level = level or (int(outline) if outline.isdecimal() and len(outline) < 3 else 0)
            properties = node.find(f"{STYLE}paragraph-properties")
            if breaks is None and properties is not None:
                breaks = properties.get(f"{FO}break-before")
            if node.get(f"{STYLE}master-page-name"):
                breaks = "page"
            above = node.get(f"{STYLE}parent-style-name")
        return Style(level, is_code, breaks == "page")


@dataclass(frozen=True, slots=True)
class _Level:
    """How one depth of a list is marked; `form` is None for bullets, `shown` counts the numbers that it joins."""

    form: str | None = None
    prefix: str = ""
    suffix: str = ""
    start: int = 1
    shown: int = 1


def _levels(node: _Element) -> dict[int, _Level]:
    levels = {}
    for found in node:
        depth = _whole(found.get(f"{TEXT}level"), 1)
        if found.tag in (f"{TEXT}list-level-style-number", f"{TEXT}outline-level-style"):
            levels[depth] = _Level(
                found.get(f"{STYLE}num-format", ""),
                found.get(f"{STYLE}num-prefix", ""),
                found.get(f"{STYLE}num-suffix", ""),
                _whole(found.get(f"{TEXT}start-value"), 1),
                _whole(found.get(f"{TEXT}display-levels"), 1),
            )
        else:
            levels[depth] = _Level()
    return levels


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else otherwise


@dataclass(slots=True)
class Counter:
    """The numbers of one list, asked for in the order of its items. Depths count from 1."""

    levels: Mapping[int, _Level]
    counts: dict[int, int] = field(default_factory=dict)

    def mark(self, depth: int, *, start: str | None = None) -> str:
        """Return what stands before the next item: its number, a dash for a bullet, or nothing."""
        level = self.levels.get(depth, _Level())
        if level.form is None:
            return "-"
        count = self.counts.get(depth)
        self.counts[depth] = _whole(start, level.start if count is None else count + 1)
        for deeper in [other for other in self.counts if other > depth]:
            del self.counts[deeper]
        if not level.form:
            return ""
        first = max(depth - level.shown + 1, 1)
        numbers = (self._number(above) for above in range(first, depth + 1))
        return f"{level.prefix}{'.'.join(filter(None, numbers))}{level.suffix}".strip()

    def _number(self, depth: int) -> str:
        level = self.levels.get(depth, _Level())
        return number_text(self.counts.get(depth, level.start), _FORMS.get(level.form or "", "decimal"))
