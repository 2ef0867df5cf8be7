"""The tree of a web page or of a book's chapter becomes elements, in one walk without recursion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragline.pipelines.readers.web.html_survey import INVISIBLE, Survey, is_left_out, local, words
from ragline.pipelines.readers.web.html_tables import is_data, table_elements
from ragline.types import Element, ElementKind

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

MAX_INDENT = 8
MAX_TITLE_CHARS = 400
"""A longer heading is a paragraph that somebody wanted large."""

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "html body p div section article main header footer aside address blockquote center dir fieldset figure "
        "figcaption form details summary hgroup hr legend li menu ol ul dl dt dd table caption tr tbody thead tfoot "
        "pre listing xmp plaintext nav label option optgroup noframes frameset dialog search",
    )
)
_INLINE_IN_TITLES = frozenset({"div", "hr", "hgroup", "label", "dt", "dd", "li"})
_LISTS = frozenset({"ul", "ol", "menu", "dir"})
_CODE = frozenset({"pre", "listing", "xmp", "plaintext"})
_BREAK = "\x00"
"""Stands for <br> until the text of a block is together; no text of lxml holds it."""
_ANCHORS = frozenset("¶#§🔗")


def blocks(root: _Element, survey: Survey) -> Iterator[Element]:
    """Yield the elements below `root` in reading order."""
    from lxml import etree  # type: ignore[import-untyped]  # has no types

    walker = _Walker(survey)
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, node in walk:
        name = local(node)
        if event == "start":
            if is_left_out(node, name, survey):
                walk.skip_subtree()
                continue
            yield from walker.start(node, name)
            if walker.is_done:
                walk.skip_subtree()
            elif node.text:
                walker.text.append(node.text)
        else:
            yield from walker.end(node, name)
            if node.tail and node is not root:
                walker.text.append(node.tail)
    yield from walker.flush()


@dataclass(slots=True)
class _List:
    """A list that is open: `count` numbers its items, None for one without numbers."""

    count: int | None = None


@dataclass(slots=True)
class _Walker:
    """Collects the text of the block that is open; `mark` is what its first line begins with.

    `is_done` tells that the element that was started is read with all that is in it.
    """

    survey: Survey
    text: list[str] = field(default_factory=list)
    mark: str = ""
    is_done: bool = False
    _level: int = 0
    _lists: list[_List] = field(default_factory=list)
    _items: int = 0
    _code: _Element | None = None
    _term: bool = False
    _figures: int = 0
    _pictures: list[str] = field(default_factory=list)

    def start(self, node: _Element, name: str) -> Iterator[Element]:
        self.is_done = False
        if self._code is not None:
            if name == "br":
                self.text.append("\n")
            return
        if name == "br":
            self.text.append(_BREAK)
        elif name == "img" and self._figures:
            self._see(node)
        elif name == "math":
            self.text.append(f" {_formula(node)} ")
            self.is_done = True
        elif name == "a" and len(node) == 0 and (node.text or "").strip() in _ANCHORS:
            self.is_done = True
        elif name in ("td", "th"):
            self.text.append(" ")
        elif name in _HEADINGS:
            yield from self.flush()
            self._level = _HEADINGS[name]
        elif name in _BLOCKS:
            if self._level and name in _INLINE_IN_TITLES:
                self.text.append(" ")
                return
            yield from self.flush()
            self._level = 0
            yield from self._begin(node, name)

    def _begin(self, node: _Element, name: str) -> Iterator[Element]:
        if name in _CODE:
            self._code = node
        elif name in _LISTS:
            self._lists.append(_List(_whole(node.get("start")) - 1 if name == "ol" else None))
        elif name == "li":
            self._items += 1
            self.mark = self._mark_of_item()
        elif name == "figure":
            self._figures += 1
        elif name == "figcaption":
            self._pictures.clear()
        elif name == "dt":
            self._term = True
        elif name == "table" and node not in self.survey.layout and is_data(node):
            yield from self._marked()
            yield from table_elements(node)
            self.is_done = True

    def end(self, node: _Element, name: str) -> Iterator[Element]:
        if self._code is not None:
            if self._code is node:
                yield from self._marked()
                yield Element(INVISIBLE.sub("", "".join(self.text)).strip("\n").rstrip(), "code")
                self.text.clear()
                self._code = None
            return
        if name in _HEADINGS:
            yield from self.flush()
            self._level = 0
        elif name in _BLOCKS and not (self._level and name in _INLINE_IN_TITLES):
            yield from self._finish(name)

    def _finish(self, name: str) -> Iterator[Element]:
        if name == "dt" and self._term:
            self._term = False
            if term := " ".join(self._lines()):
                self.mark += f"{term}: "
            return
        yield from self.flush()
        if name in _LISTS and self._lists:
            self._lists.pop()
        elif name == "li":
            self._items = max(0, self._items - 1)
            self.mark = ""
        elif name == "dl":
            yield from self._marked()
        elif name == "figure":
            self._figures = max(0, self._figures - 1)
            yield from (Element(text) for text in self._pictures)
            self._pictures.clear()

    def flush(self) -> Iterator[Element]:
        """Yield what was collected; two line breaks end a paragraph."""
        if not self.text:
            return
        paragraph: list[str] = []
        for line in [*self._lines(), ""]:
            if line:
                paragraph.append(line)
            elif paragraph:
                yield self._element(paragraph)
                paragraph = []

    def _element(self, lines: list[str]) -> Element:
        if self._level and sum(map(len, lines)) <= MAX_TITLE_CHARS:
            return Element(" ".join(lines), "title", level=self._level)
        mark, self.mark = self.mark, ""
        kind: ElementKind = "list" if mark or self._items else "text"
        return Element(mark + "\n".join(lines), kind)

    def _lines(self) -> list[str]:
        text = INVISIBLE.sub("", "".join(self.text))
        self.text.clear()
        return [" ".join(line.split()) for line in text.split(_BREAK)]

    def _marked(self) -> Iterator[Element]:
        """Yield the mark alone, before what takes none."""
        mark, self.mark = self.mark.strip(), ""
        if mark not in ("", "-"):
            yield Element(mark.removesuffix(":"), "list")

    def _mark_of_item(self) -> str:
        if not self._lists:
            return "- "
        found = self._lists[-1]
        inner = "  " * min(len(self._lists) - 1, MAX_INDENT)
        if found.count is None:
            return f"{inner}- "
        found.count += 1
        return f"{inner}{found.count}. "

    def _see(self, image: _Element) -> None:
        """Keep the words that stand for a picture, until a caption says it better."""
        if len(text := " ".join((image.get("alt") or "").split())) > 3:
            self._pictures.append(text)


def _formula(node: _Element) -> str:
    """Return a formula of MathML as TeX where it is given, too."""
    if text := node.get("alttext"):
        return str(text)
    for note in node.iter("{*}annotation"):
        if "tex" in (note.get("encoding") or "").lower():
            return words(note)
    return words(node)


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else 1
