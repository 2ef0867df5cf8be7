"""Notebooks of Jupyter: their texts, their code and what it wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ragline.errors import ParseFailed
from ragline.pipelines.readers.text.encoding import decoded
from ragline.pipelines.readers.text.json_data import loaded
from ragline.pipelines.readers.text.markdown import elements_of
from ragline.pipelines.readers.text.plain import cut, lines_of
from ragline.pipelines.reading import Reading
from ragline.types import Element, Json


def notebook(reading: Reading) -> Iterator[Element]:
    """Yield the cells in their order: Markdown, its titles with their signs; code; and the text of its output."""
    document = next(loaded(decoded(reading)))
    if not isinstance(document, Mapping):
        raise ParseFailed("is no notebook")
    metadata = document.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(title := metadata.get("title"), str) and title.strip():
        reading.about["title"] = title.strip()[:500]
    for cell in _cells(document):
        source = lines_of(_text(cell.get("source", cell.get("input"))))
        kind = cell.get("cell_type")
        if kind == "markdown":
            for element in elements_of(source):
                sign = "#" * element.level + " " if element.kind == "title" else ""
                yield replace(element, text=sign + element.text)
        elif kind == "heading":  # of notebooks before version 4
            level = cell.get("level")
            yield Element(" ".join(source.split()), "title", level=level if isinstance(level, int) and level > 0 else 1)
        else:
            for part in cut(source.strip("\n")):
                yield Element(part, "code" if kind == "code" else "text")
            yield from _outputs(cell)


def _cells(document: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    sheets = document.get("worksheets")
    owners = sheets if isinstance(sheets, list) else [document]
    for owner in owners:
        cells = owner.get("cells") if isinstance(owner, Mapping) else None
        if not isinstance(cells, list):
            raise ParseFailed("is no notebook: it has no cells")
        yield from (cell for cell in cells if isinstance(cell, Mapping))


def _outputs(cell: Mapping[str, Json]) -> Iterator[Element]:
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, Mapping):
            continue
        data = output.get("data")
        text = _text(output.get("text")) or _text(data.get("text/plain") if isinstance(data, Mapping) else None)
        if isinstance(output.get("ename"), str):
            text = f"{output['ename']}: {output.get('evalue', '')}"
        for part in cut(lines_of(text).strip("\n")):
            if part.strip():
                yield Element(part)


def _text(source: Json) -> str:
    """A text may be one string or a list of its lines."""
    if isinstance(source, str):
        return source
    return "".join(line for line in source if isinstance(line, str)) if isinstance(source, list) else ""
