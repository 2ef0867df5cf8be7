"""AsciiDoc: titles, paragraphs, items, tables and listings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ragline.pipelines.readers.tables.tables import table
from ragline.pipelines.readers.text.encoding import decoded
from ragline.pipelines.readers.text.plain import cut, lines_of
from ragline.pipelines.reading import Reading
from ragline.types import Element

_TITLE = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S[^\n]*)")
_ATTRIBUTE = re.compile(r":!?([\w-]{1,60})!?:[ \t]*(.*)")
_ITEM = re.compile(r"[ \t]*(?:([*-]{1,5})|(\.{1,5})|(\d{1,3}|[a-z])[.)]|<(?:\d{1,3}|\.)>)[ \t]+(\S.*)")
_TERM = re.compile(r"(\S.{0,200}?)(?::{2,4}|;;)(?:[ \t]+(.*))?$")
_FENCE = re.compile(r"(-{4,}|\.{4,}|`{3,}|/{4,}|\+{4,})[\w,-]{0,40}[ \t]*")
_DELIMITER = re.compile(r"(?:={4,}|\*{4,}|_{4,}|--|'{3,}|<{3,})[ \t]*")
_TABLE_EDGE = re.compile(r"[|,;:]={3,}[ \t]*")
_BLOCK_LINE = re.compile(r"\[[^\[\]\n]{0,500}\][ \t]*|\[\[[^\[\]\n]{0,200}\]\][ \t]*|(?:ifdef|ifndef|endif|ifeval)::.*")
_MACRO = re.compile(r"(image|include|video|audio|toc)::?([^\[\]\s]{0,500})\[([^\[\]\n]{0,500})\]")
_CELL_SPAN = re.compile(r"(?<![^\s|])(?:(?:\d{1,3})?(?:\.\d{1,3})?[+*])?[<^>]?(?:\.[<^>])?[adehlmsv]?(?=\|)")
_LINK = re.compile(r"(?:link:|xref:)?(?:https?://|mailto:)?[\w./:#%?&=~+@-]{1,2000}\[([^\[\]\n]{1,500})\]")
_REFERENCE = re.compile(r"<<[^<>,\n]{1,200}(?:,([^<>\n]{1,200}))?>>")
_MARKS = re.compile(r"(?<![\w*_`#])(\*\*|__|``|##|[*_`#])(?=\S)|(?<=\S)(\*\*|__|``|##|[*_`#])(?![\w*_`#])")
_ABOUT = {"author": "author", "revdate": "date", "description": "subject", "lang": "language"}


def asciidoc(reading: Reading) -> Iterator[Element]:
    """Yield the elements of a document; the files that it includes are noted, for they are not here."""
    yield from _Document(reading, lines_of(decoded(reading)).split("\n")).elements()


class _Document:
    """Goes through the lines; a paragraph is kept until it ends."""

    def __init__(self, reading: Reading, lines: Sequence[str]) -> None:
        self._reading = reading
        self._lines = lines
        self._next = 0
        self._paragraph: list[str] = []

    def elements(self) -> Iterator[Element]:
        while self._next < len(self._lines):
            line = self._lines[self._next].rstrip()
            self._next += 1
            if self._is_in_paragraph(line):
                self._add(line)
                continue
            yield from self._flush()
            yield from self._block(line)
        yield from self._flush()

    def _is_in_paragraph(self, line: str) -> bool:
        """False for a line that ends the paragraph before it, or is none."""
        if not line.strip() or _FENCE.fullmatch(line) or _TABLE_EDGE.fullmatch(line) or _TITLE.match(line):
            return False
        if _DELIMITER.fullmatch(line) or _BLOCK_LINE.fullmatch(line) or line.startswith(("//", "|")):
            return False
        item = _ITEM.match(line)
        if item and (not self._paragraph or item[1] or item[3]):
            return False
        return bool(self._paragraph) or not _ATTRIBUTE.fullmatch(line)

    def _flush(self) -> Iterator[Element]:
        for part in cut("\n".join(self._paragraph)):
            yield Element(part)
        self._paragraph.clear()

    def _block(self, line: str) -> Iterator[Element]:
        if fence := _FENCE.fullmatch(line):
            inside = self._until(fence[1])
            if fence[1][0] != "/":
                for part in cut("\n".join(inside).strip("\n").rstrip()):
                    yield Element(part, "code")
        elif _TABLE_EDGE.fullmatch(line):
            yield from table(_rows(self._until(line.strip())))
        elif line.startswith("|"):
            rows = [line]
            while self._next < len(self._lines) and self._lines[self._next].startswith("|"):
                rows.append(self._lines[self._next])
                self._next += 1
            yield from table(_rows(rows))
        elif title := _TITLE.match(line):
            text = words_of(title[2])
            if len(title[1]) == 1:
                self._reading.about.setdefault("title", text[:500])
            yield Element(text, "title", level=len(title[1]))
        elif item := _ITEM.match(line):
            yield self._item(line, item)
        elif (attribute := _ATTRIBUTE.fullmatch(line)) and (key := _ABOUT.get(attribute[1].lower())):
            self._reading.about.setdefault(key, attribute[2].strip()[:500])

    def _item(self, line: str, item: re.Match[str]) -> Element:
        depth = max(len(item[1] or item[2] or "x") - 1, (len(line) - len(line.lstrip())) // 2)
        said = [item[4]]
        while self._next < len(self._lines) and _goes_on(self._lines[self._next]):
            said.append(self._lines[self._next].strip())
            self._next += 1
        mark = f"{item[3]}." if item[3] else "-"
        return Element(f"{'  ' * depth}{mark} {words_of(' '.join(said))}", "list")

    def _add(self, line: str) -> None:
        macro = _MACRO.fullmatch(line.strip())
        if macro and macro[1] == "include":
            self._reading.note(f"it takes {macro[2]!r} from another file, which is not part of it; add that file, too")
        elif macro:
            caption = macro[3].split(",")[0].strip()
            if caption and "=" not in caption:
                self._paragraph.append(caption)
        elif line.strip() != "+":
            is_caption = not self._paragraph and re.match(r"\.[^\s.]", line)
            self._paragraph.append(_term(words_of(line[1:] if is_caption else line)))

    def _until(self, mark: str) -> Sequence[str]:
        """Return the lines up to the one that closes a block; all that are left where none does."""
        first = self._next
        end = next((at for at in range(first, len(self._lines)) if self._lines[at].rstrip() == mark), len(self._lines))
        self._next = end + 1
        return self._lines[first:end]


def words_of(source: str) -> str:
    """Return a line without the marks of AsciiDoc."""
    text = source.strip()
    if "[" in text:
        text = _MACRO.sub(lambda found: found[3].split(",")[0], _LINK.sub(r"\1", text))
    if "<<" in text:
        text = _REFERENCE.sub(lambda found: found[1] or "", text)
    return _MARKS.sub("", text)


def _goes_on(line: str) -> bool:
    """True for a further line of an item."""
    stripped = line.strip()
    starts = _ITEM.match(line) or _TITLE.match(line) or _FENCE.fullmatch(stripped) or _DELIMITER.fullmatch(stripped)
    return bool(stripped) and stripped != "+" and not starts and not stripped.startswith(("|", "[", "//", "image::"))


def _term(line: str) -> str:
    found = _TERM.match(line)
    return f"{found[1]}: {found[2] or ''}".rstrip() if found else line


def _rows(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield the rows of a table: the cells of its first line say how many there are in each."""
    width = 0
    pending: list[str] = []
    for line in lines:
        stripped = line.strip()
        if not stripped.startswith("|") and "|" not in stripped:
            if stripped and pending:
                pending[-1] = f"{pending[-1]} {words_of(stripped)}"
            elif pending:
                yield pending
                pending = []
            continue
        cells = [words_of(cell) for cell in _CELL_SPAN.sub("", stripped).split("|")[1:]]
        if not width:
            width = len(cells) if len(cells) > 1 else 0
        if width and (len(cells) >= width or len(pending) >= width):
            if pending:
                yield pending
            pending = cells
        else:
            pending += cells
    if pending:
        yield pending
