"""The cells of a workbook of Excel: their texts, by the shared strings and the formats of its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from ragline.pipelines.readers.office.package import Package
from ragline.pipelines.readers.tables.numbers import BUILT_IN, shown
from ragline.pipelines.readers.tables.sheets import Merged

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

MAX_COLUMN = 16_384
MAX_MERGED = 100_000
"""More merged cells than these in a sheet stand in their first row only."""

_MERGED = re.compile(rb"""<(?:\w{1,20}:)?mergeCell\s[^>]{0,100}?ref=["']([A-Z]{1,3}\d{1,7}):([A-Z]{1,3}\d{1,7})["']""")
_CHUNK_BYTES = 1 << 20
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_PLAIN = re.compile(r"-?\d{1,15}|-?\d{1,9}\.\d{1,5}")


@dataclass(slots=True)
class Cells:
    """Gives the texts of cells; it counts formulas `without_result` and cells whose texts are missing in the file.

    `codes` are the formats of numbers by style.
    """

    strings: Sequence[str]
    codes: Sequence[str]
    from_1904: bool
    without_result: int = field(default=0)
    missing_texts: int = field(default=0)

    def of(self, row: _Element) -> dict[int, str]:
        """Return the cells of a row that are filled, by their columns from 0."""
        cells: dict[int, str] = {}
        column = -1
        for cell in row:
            reference = cell.get("r")
            column = column_of(reference) if reference else column + 1
            if 0 <= column < MAX_COLUMN and (text := self._text(cell)):
                cells[column] = text
        return cells

    def _text(self, cell: _Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return one_line("".join(runs(cell)))
        value, has_formula = "", False
        for child in cell:
            tag = str(child.tag).rpartition("}")[2]
            if tag == "v":
                value = child.text or ""
            has_formula = has_formula or tag == "f"
        if value:
            return self._shown(value, kind, cell.get("s"))
        self.without_result += has_formula and kind != "str"
        return ""

    def _shown(self, value: str, kind: str, style: str | None) -> str:
        match kind:
            case "s":
                index = whole(value, -1)
                if 0 <= index < len(self.strings):
                    return self.strings[index]
                self.missing_texts += 1
                return ""
            case "b":
                return "TRUE" if value.strip() == "1" else "FALSE"
            case "n":
                index = whole(style)
                return self._number(value, self.codes[index] if index < len(self.codes) else "")
        return one_line(value)

    def _number(self, value: str, code: str) -> str:
        if not code and _PLAIN.fullmatch(value):
            return value
        try:
            return shown(float(value), code, from_1904=self.from_1904)
        except (ValueError, OverflowError):
            return " ".join(value.split())


def column_of(reference: str) -> int:
    """Return the column, from 0, of a cell such as `AB12`; -1 for what is no cell."""
    column = 0
    for sign in reference:
        if not "A" <= sign <= "Z":
            break
        column = column * 26 + ord(sign) - 64
        if column > MAX_COLUMN:
            return -1
    return column - 1


def runs(node: _Element) -> Iterator[str]:
    """Yield the texts inside, without the readings that stand over Japanese words."""
    for text in node.iter("{*}t", "{*}text"):
        parent = text.getparent()
        if parent is None or not str(parent.tag).endswith("}rPh"):
            yield text.text or ""


def one_line(text: str) -> str:
    """Return the text of a cell on one line; what XML cannot hold is written `_x000D_` in it."""
    if "_x" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).replace("\x00", "")
    return " ".join(text.split())


def strings(package: Package, part: str) -> Iterator[str]:
    """Yield the texts that cells refer to by number."""
    for item in package.all(part, "si"):
        yield one_line("".join(runs(item)))


def codes(package: Package, part: str) -> list[str]:
    """Return the number format of each style."""
    if part not in package:
        return []
    root = package.root(part)
    own = {whole(form.get("numFmtId")): form.get("formatCode") or "" for form in root.iter("{*}numFmt")}
    styles = root.find("{*}cellXfs")
    ids = [whole(style.get("numFmtId")) for style in styles] if styles is not None else []
    return [own.get(number) or BUILT_IN.get(number, "") for number in ids]


def whole(text: str | None, default: int = 0) -> int:
    """Return a small number in decimal digits, or the default."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else default


def ranges(file: IO[bytes]) -> Iterator[Merged]:
    """Yield the merged cells, which stand at the end of a sheet, behind the cells that they are about."""
    rest, left = b"", MAX_MERGED
    while chunk := file.read(_CHUNK_BYTES):
        data = rest + chunk
        end = 0
        for found in _MERGED.finditer(data):
            end = found.end()
            first, last = found[1].decode(), found[2].decode()
            left -= 1
            if left < 0:
                return
            yield Merged(column_of(first), _row_of(first), column_of(last), _row_of(last))
        rest = data[max(end, len(data) - 300) :]


def _row_of(reference: str) -> int:
    return int(reference.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
