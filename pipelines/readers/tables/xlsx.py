"""Workbooks of Excel since 2007: each sheet a title and its tables, cells as a person sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import IO

from ragline.pipelines.readers.office.package import DAMAGES, Package, Related
from ragline.pipelines.readers.office.unlocked import unlocked
from ragline.pipelines.readers.tables.sheets import Merged, by_row, merged, sheet_elements
from ragline.pipelines.readers.tables.tables import Row
from ragline.pipelines.readers.tables.xlsx_cells import Cells, codes, ranges, runs, strings, whole
from ragline.pipelines.reading import Reading
from ragline.types import Element

_THREADED = re.compile(r"\A\[Threaded comment\].*?\bComment:\s*", re.DOTALL)


def workbook(reading: Reading) -> Iterator[Element]:
    """Yield each sheet that is not empty: its name as a title, its tables, then its comments and text boxes.

    Formulas appear as their last result. Charts have no text here; hidden sheets are read.
    """
    with unlocked(reading) as path, Package(path) as package:
        reading.about |= package.about()
        yield from _Workbook(package, reading).elements()


@dataclass
class _Workbook:
    package: Package
    reading: Reading

    def elements(self) -> Iterator[Element]:
        sheets = [related for related in self._sheets if related.kind == "worksheet"]
        for number, sheet in enumerate(sheets, start=1):
            if sheet.part not in self.package:
                self.reading.note(f"the sheet {sheet.name!r} is missing in the file")
                continue
            is_empty = True
            for element in sheet_elements(self._rows(sheet), self._beside(sheet), page=number, sheet=sheet.name):
                is_empty = False
                yield element
            self._note(sheet, is_empty)

    def _note(self, sheet: Related, is_empty: bool) -> None:
        """Say what there is to know of a sheet that was read, and begin to count anew."""
        named, cells = f"the sheet {sheet.name!r}", self._cells
        if sheet.is_hidden and not is_empty:
            self.reading.note(f"{named} is hidden in the workbook; it was read as the others")
        if cells.missing_texts:
            self.reading.note(f"{named} has cells whose texts are missing in the file ({cells.missing_texts})")
        if cells.without_result:
            self.reading.note(
                f"{named} has formulas without a stored result ({cells.without_result}); open the workbook in a "
                "spreadsheet program and save it again"
            )
        cells.without_result = cells.missing_texts = 0

    @cached_property
    def _sheets(self) -> list[Related]:
        """The sheets of any kind, in the order of their tabs."""
        book = self.package.main
        targets = {related.id: related for related in self.package.related(book)}
        found = []
        for sheet in self.package.root(book).iter("{*}sheet"):
            attributes = {str(name).rpartition("}")[2]: str(value) for name, value in sheet.items()}
            name = attributes.get("name", "")
            if related := targets.get(attributes.get("id", "")):
                hidden = attributes.get("state", "visible") != "visible"
                found.append(Related(related.id, related.kind, related.part, name, hidden))
            else:
                self.reading.note(f"the sheet {name!r} is missing in the file")
        return found

    @cached_property
    def _cells(self) -> Cells:
        book = self.package.main
        parts = {related.kind: related.part for related in self.package.related(book)}
        root = self.package.root(book)
        settings = root.find("{*}workbookPr")
        texts: list[str] = []
        with suppress(*DAMAGES):  # the cells whose texts are missing are counted
            texts.extend(strings(self.package, parts.get("sharedStrings", "")))
        try:
            formats = codes(self.package, parts.get("styles", ""))
        except DAMAGES:
            formats = []
            self.reading.note("the formats of the cells are damaged; dates may appear as numbers")
        return Cells(
            texts,
            formats,
            settings is not None and settings.get("date1904") in ("1", "true"),
        )

    def _rows(self, sheet: Related) -> Iterator[Row]:
        found: dict[int, list[Merged]] = {}
        with self.package.open(sheet.part) as file, suppress(*DAMAGES):  # it is said when its rows are read
            found = by_row(ranges(file))
        with self.package.open(sheet.part) as file:
            rows = self._written(file, sheet.name)
            yield from merged(rows, found) if found else rows

    def _written(self, file: IO[bytes], name: str) -> Iterator[Row]:
        number = 0
        try:
            for row in self.package.each(file, "row"):
                number = max(number + 1, whole(row.get("r")))
                yield Row(number, self._cells.of(row))
        except DAMAGES:
            self.reading.note(f"the sheet {name!r} is damaged below row {number}; what follows there is missing")

    def _beside(self, sheet: Related) -> Iterator[str]:
        try:
            yield from self._texts_beside(sheet)
        except DAMAGES:
            self.reading.note(f"the comments or text boxes of the sheet {sheet.name!r} are damaged and were left out")

    def _texts_beside(self, sheet: Related) -> Iterator[str]:
        """Yield the comments on the cells, and what is written in boxes over them."""
        related = self.package.related(sheet.part)
        threads = [found.part for found in related if found.kind == "threadedComment"]
        for part in threads or [found.part for found in related if found.kind == "comments"]:
            for comment in self.package.all(part, "threadedComment" if threads else "comment"):
                text = " ".join(_THREADED.sub("", "".join(runs(comment))).split())
                if text:
                    yield f"{comment.get('ref', '')}: {text}"
        for part in [found.part for found in related if found.kind == "drawing"]:
            for paragraph in self.package.all(part, "p"):
                yield " ".join("".join(runs(paragraph)).split())
