"""A text in Rich Text Format as it is written: its paragraphs, its table, and what hangs on the paragraph."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ragline.pipelines.readers.office.rtf_table import RtfTable
from ragline.pipelines.readers.office.word import MAX_TITLE_CHARS
from ragline.pipelines.readers.tables.grid import one_line, single_spaced
from ragline.types import Element

_HEADING = re.compile(r"(?:heading|titre|überschrift|título|titolo)\s*([1-9])\b", re.IGNORECASE)
_TITLES = {"title": 1, "titre": 1, "subtitle": 2, "sous-titre": 2}


@dataclass(slots=True)
class State:
    """What holds to the end of the group. `into` is what its characters belong to, "" for what is left out."""

    into: str = "text"
    skip: int = 1
    encoding: str = "cp1252"
    shown: bool = True
    in_table: bool = False
    style: int = 0
    outline: int | None = None
    depth: int = 0


@dataclass(slots=True)
class Flow:
    """A text that is being written: the document, a note, a box or a header."""

    parts: list[str] = field(default_factory=list)
    found: list[Element] = field(default_factory=list)
    aside: list[Element] = field(default_factory=list)
    mark: str = ""
    table: RtfTable = field(default_factory=RtfTable)
    kind: str = "text"

    def end_paragraph(
        self, state: State, styles: Mapping[int, tuple[str, int | None]], *, in_cell: bool = False
    ) -> None:
        """End a paragraph, which goes to the cell of a table or to the text."""
        text = single_spaced(whole_text(self.parts))
        mark, self.parts, self.mark = one_line(self.mark), [], ""
        in_table = in_cell or state.in_table
        if not in_table:
            self.end_table()
        into = self.table.cell if in_table else self.found
        if text:
            into.append(_styled(text, mark, state, styles.get(state.style, ("", None))))
        if in_table:
            self.table.cell.extend(self.aside)
        else:
            self.found += self.aside
        self.aside = []

    def end_table(self) -> None:
        self.found += self.table.elements()


def _styled(text: str, mark: str, state: State, style: tuple[str, int | None]) -> Element:
    name, outline = style
    said = state.outline if state.outline is not None else outline
    heading = _HEADING.match(name)
    level = int(heading[1]) if heading else _TITLES.get(name.lower(), 0)
    if not level and said is not None and 0 <= said < 9:
        level = said + 1
    bullet = "-" if mark and not re.search(r"\w", mark) else mark
    if level and len(text) <= MAX_TITLE_CHARS:
        return Element(one_line(f"{mark} {text}" if bullet not in ("", "-") else text), "title", level=level)
    if bullet:
        return Element(f"{'  ' * state.depth}{bullet} {text}", "list")
    return Element(text)


def whole_text(parts: Sequence[str]) -> str:
    """Return the text, characters that were given in two halves put together."""
    return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
