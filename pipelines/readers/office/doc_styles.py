"""The styles, lists and properties in a Word document of 97 to 2003, after Microsoft's [MS-DOC]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from struct import unpack_from

from ragline.pipelines.readers.office.word_styles import Level, Style

_MAX_CHAIN = 20
_TITLE, _SUBTITLE = 62, 74  # numbers of built-in styles; headings are 1 to 9
_OUTLINE, _LIST, _DEPTH = 0x2640, 0x460B, 0x260A
_SIZES = (1, 1, 2, 4, 2, 2, 0, 3)
_FORMATS = {0: "decimal", 1: "upperRoman", 2: "lowerRoman", 3: "upperLetter", 4: "lowerLetter", 22: "decimalZero"}
_BULLET, _NONE = 23, 255


class DocStyles:
    """The styles of paragraphs by their numbers."""

    def __init__(self, data: bytes) -> None:
        self._nodes = _styles(data)
        self._known: dict[int, Style] = {}

    def style(self, number: int) -> Style:
        """Return a style with what it has of those it is based on."""
        if number not in self._known:
            self._known[number] = self._style(number)
        return self._known[number]

    def _style(self, number: int) -> Style:
        chain: list[tuple[int, int, dict[int, bytes]]] = []
        while (found := self._nodes.get(number)) is not None and len(chain) < _MAX_CHAIN:
            chain.append(found)
            number = found[1]
        style = Style()
        for built_in, _, said in reversed(chain):
            if 1 <= built_in <= 9:
                style = replace(style, role="title", level=built_in)
            elif built_in in (_TITLE, _SUBTITLE):
                style = replace(style, role="title", level=1 if built_in == _TITLE else 2)
            style = changed(style, said)
        return style


def _styles(data: bytes) -> dict[int, tuple[int, int, dict[int, bytes]]]:
    """Return of each style of paragraphs its built-in number, what it is based on, and its properties."""
    if len(data) < 6:
        return {}
    at = 2 + number_at(data, 0, "<H")
    count, base = unpack_from("<HH", data, 2)
    found = {}
    for number in range(count):
        size = number_at(data, at, "<H")
        entry = data[at + 2 : at + 2 + size]
        at += 2 + size
        if len(entry) < base + 2 or number_at(entry, 2, "<H") & 15 != 1:
            continue
        after = base + 2 + 2 * (number_at(entry, base, "<H") + 1)
        after += after % 2
        length = number_at(entry, after, "<H")
        said = entry[after + 4 : after + 2 + length]
        found[number] = (
            number_at(entry, 0, "<H") & 0xFFF,
            number_at(entry, 2, "<H") >> 4,
            dict(properties(said)),
        )
    return found


def list_levels(heads: bytes, table: bytes, start: int) -> Iterator[tuple[int, Mapping[int, Level]]]:
    """Yield the lists by their names; `heads` lie at `start` of the table, and what they describe after them."""
    at = start + len(heads)
    for number in range(min(number_at(heads, 0, "<H"), len(heads) // 28)):
        head = heads[2 + 28 * number : 30 + 28 * number]
        levels = {}
        for depth in range(1 if len(head) == 28 and head[26] & 1 else 9):
            start, form = number_at(table, at, "<i"), number_at(table, at + 4, "<B")
            after = number_at(table, at + 24, "<B") + number_at(table, at + 25, "<B")
            at += 28 + after
            length = number_at(table, at, "<H")
            text = table[at + 2 : at + 2 + 2 * length].decode("utf-16-le", "replace")
            at += 2 + 2 * length
            mark = "".join(f"%{ord(letter) + 1}" if ord(letter) < 9 else letter for letter in text)
            name = "bullet" if form == _BULLET else "none" if form == _NONE else _FORMATS.get(form, "decimal")
            levels[depth] = Level(name, mark, start)
        yield number_at(head, 0, "<i"), levels


def properties(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the properties in a list of them, [MS-DOC] 2.6; it ends where it is damaged."""
    at = 0
    while at + 2 < len(data):
        name = number_at(data, at, "<H")
        at += 2
        if not (size := _SIZES[name >> 13]):
            wide = name == 0xD608
            size = number_at(data, at, "<H") - 1 if wide and at + 2 <= len(data) else data[at]
            at += 2 if wide else 1
        if at + size > len(data) or size < 1:
            return
        yield name, data[at : at + size]
        at += size


def changed(style: Style, said: Mapping[int, bytes]) -> Style:
    if outline := said.get(_OUTLINE):
        if outline[0] < 9:
            style = replace(style, role="title", level=outline[0] + 1)
        elif style.role == "title":
            style = replace(style, role="text", level=0)
    if number := said.get(_LIST):
        style = replace(style, list_id=str(number_at(number, 0, "<H")))
    if depth := said.get(_DEPTH):
        style = replace(style, depth=min(depth[0], 8))
    return style


def number_at(data: bytes, at: int, form: str) -> int:
    number: int = unpack_from(form, data, at)[0]
    return number
