"""What the styles and the numbering of a Word document make of its paragraphs: titles, lists, code, numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
VAL = f"{W}val"
LEVELS = 9
_MAX_CHAIN = 20
_NO_OUTLINE = 9
_HEADING = re.compile(r"(?:heading|titre|überschrift|título|titolo|kop)\s*([1-9])\b", re.IGNORECASE)
_TITLES = {"title": 1, "titre": 1, "subtitle": 2, "sous-titre": 2, "toc heading": 1}
_CODE = re.compile(r"(?:html )?preformat|(?:html )?préformaté|source code|code source|code\Z", re.IGNORECASE)

_ROMAN = (
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
)

Role = Literal["title", "list", "code", "text"]


@dataclass(frozen=True, slots=True)
class Style:
    """What a paragraph is. `level` counts titles from 1; `number` is its list and its depth in it, from 0."""

    role: Role = "text"
    level: int = 0
    list_id: str | None = None
    depth: int | None = None


class Styles:
    """The paragraph styles of a document by their ids."""

    def __init__(self, root: _Element | None) -> None:
        self._nodes: dict[str, _Element] = {}
        self._known: dict[str, Style] = {}
        self._default = Style()
        for node in root.iterfind(f"{W}style") if root is not None else ():
            if node.get(f"{W}type", "paragraph") == "paragraph":
                self._nodes[node.get(f"{W}styleId", "")] = node
                if node.get(f"{W}default") in ("1", "true", "on"):
                    self._default = self._style(node.get(f"{W}styleId", ""))

    def of(self, properties: _Element | None) -> Style:
        """Return the style of a paragraph with these properties, what it says itself included."""
        if properties is None:
            return self._default
        named = properties.find(f"{W}pStyle")
        style = self._style(named.get(VAL, "")) if named is not None else self._default
        return _changed(style, properties)

    def _style(self, name: str) -> Style:
        if name not in self._known:
            chain: list[_Element] = []
            above: str | None = name
            while above in self._nodes and len(chain) < _MAX_CHAIN:
                node = self._nodes[above]
                chain.append(node)
                based = node.find(f"{W}basedOn")
                above = based.get(VAL) if based is not None else None
            style = Style()
            for node in reversed(chain):
                style = _changed(_named(style, node), node.find(f"{W}pPr"))
            self._known[name] = style
        return self._known[name]


def _named(style: Style, node: _Element) -> Style:
    named = node.find(f"{W}name")
    name = named.get(VAL, "").strip() if named is not None else ""
    if found := _HEADING.match(name):
        return replace(style, role="title", level=int(found[1]))
    if level := _TITLES.get(name.lower()):
        return replace(style, role="title", level=level)
    return replace(style, role="code") if _CODE.match(name) else style


def _changed(style: Style, properties: _Element | None) -> Style:
    """Return the style with what a `w:pPr` says of outline and list."""
    if properties is None:
        return style
    outline = properties.find(f"{W}outlineLvl")
    if outline is not None and (level := whole(outline.get(VAL))) is not None:
        if 0 <= level < _NO_OUTLINE:
            style = replace(style, role="title", level=level + 1)
        elif style.role == "title" and properties.find(f"{W}pStyle") is not None:
            style = replace(style, role="text", level=0)  # said of the paragraph itself; "TOC Heading" stays one
    numbered = properties.find(f"{W}numPr")
    if numbered is None:
        return style
    list_id, depth = numbered.find(f"{W}numId"), numbered.find(f"{W}ilvl")
    if list_id is not None:
        style = replace(style, list_id=list_id.get(VAL))
    if depth is not None:
        style = replace(style, depth=whole(depth.get(VAL)))
    return style


def whole(text: str | None) -> int | None:
    """Return the whole number that is written, None for anything else."""
    return int(text) if text and re.fullmatch(r"-?\d{1,9}", text, re.ASCII) else None


@dataclass(frozen=True, slots=True)
class Level:
    """How one depth of a list is numbered; `mark` is its pattern, such as `%1.%2)`."""

    format: str = "bullet"
    mark: str = ""
    start: int = 1
    plain: bool = False


@dataclass(slots=True)
class NumberedList:
    """A list; those with the same `shared` are counted together. `restarts` are said by the list itself."""

    levels: Mapping[int, Level]
    shared: str
    restarts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """The numbers of the lists of a document, counted as its paragraphs are asked for in their order."""

    def __init__(self, lists: Mapping[str, NumberedList]) -> None:
        self._lists = lists
        self._counts: dict[str, list[int | None]] = {}

    def mark(self, list_id: str, depth: int) -> str | None:
        """Return what stands before the next paragraph of a list, such as `2.1` or `-`; None where it is in none."""
        if (found := self._lists.get(list_id)) is None:
            return None
        depth = min(max(depth, 0), LEVELS - 1)
        level = found.levels.get(depth, Level())
        if level.format == "bullet":
            return "-"
        counts = self._counts.setdefault(found.shared, [None] * LEVELS)
        if (first := found.restarts.pop(depth, None)) is not None:
            counts[depth] = first
        else:
            before = counts[depth]
            counts[depth] = level.start if before is None else before + 1
        counts[depth + 1 :] = [None] * (LEVELS - depth - 1)
        return re.sub(r"%([1-9])", lambda place: _shown(found.levels, counts, int(place[1]) - 1, level), level.mark)


def numbered_lists(root: _Element | None) -> dict[str, NumberedList]:
    """Return the lists of a part `numbering` by their ids."""
    lists: dict[str, NumberedList] = {}
    if root is None:
        return lists
    shared = {node.get(f"{W}abstractNumId", ""): _levels(node) for node in root.iterfind(f"{W}abstractNum")}
    for node in root.iterfind(f"{W}num"):
        reference = node.find(f"{W}abstractNumId")
        name = reference.get(VAL, "") if reference is not None else ""
        found = NumberedList(dict(shared.get(name, {})), name)
        for override in node.iterfind(f"{W}lvlOverride"):
            depth = whole(override.get(f"{W}ilvl")) or 0
            found.levels = {**found.levels, **_levels(override)}
            start = override.find(f"{W}startOverride")
            if start is not None and (first := whole(start.get(VAL))) is not None:
                found.restarts[depth] = first
        lists[node.get(f"{W}numId", "")] = found
    return lists


def _levels(node: _Element) -> dict[int, Level]:
    levels = {}
    for found in node.iterfind(f"{W}lvl"):
        said = {child.tag: child.get(VAL, "") for child in found}
        levels[whole(found.get(f"{W}ilvl")) or 0] = Level(
            said.get(f"{W}numFmt", "decimal"),
            said.get(f"{W}lvlText", ""),
            whole(said.get(f"{W}start")) or 0,
            plain=f"{W}isLgl" in said,
        )
    return levels


def _shown(levels: Mapping[int, Level], counts: list[int | None], depth: int, level: Level) -> str:
    of = levels.get(depth, Level())
    count = counts[depth]
    return number_text(of.start if count is None else count, "decimal" if level.plain else of.format)


def number_text(number: int, form: str) -> str:
    """Return a number of a list in one of Word's forms; in those of other scripts, in digits."""
    match form:
        case "upperRoman" | "lowerRoman" if 0 < number < 5000:
            text = _roman(number)
            return text if form == "upperRoman" else text.lower()
        case "upperLetter" | "lowerLetter" if 0 < number < 1000:
            text = chr(ord("A") + (number - 1) % 26) * ((number - 1) // 26 + 1)
            return text if form == "upperLetter" else text.lower()
        case "decimalZero":
            return f"{number:02}"
        case "none":
            return ""
    return str(number)


def _roman(number: int) -> str:
    text = ""
    for value, letters in _ROMAN:
        text += letters * (number // value)
        number %= value
    return text
