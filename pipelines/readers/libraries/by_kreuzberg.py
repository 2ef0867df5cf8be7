"""Documents through the library kreuzberg, one pass of native code without recognition, network or cache."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragline.errors import ParseFailed
from ragline.pipelines.readers.office.unlocked import unlocked
from ragline.pipelines.readers.tables.grid import Cell, grid, one_line
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    from kreuzberg import ExtractionResult

MAX_ABOUT_CHARS = 500
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\ufffc]")
_BLANKS = re.compile(r"[^\S\n]+")
_ABOUT = {"title": "title", "subject": "subject", "language": "language", "created_at": "date"}
_HEADS = ("header", "footer")


def document(reading: Reading) -> Iterator[Element]:
    """Yield a document of any type that kreuzberg knows, and note what it says of itself."""
    with unlocked(reading) as path:
        found = extracted(path, reading.content_type)
    reading.about |= about(found)
    yield from elements(found)


def extracted(path: Path, content_type: str) -> ExtractionResult:
    """Return what kreuzberg reads from a file. Raises its errors, which mean that the file is damaged."""
    from kreuzberg import (
        ConcurrencyConfig,
        ExtractionConfig,
        ImageExtractionConfig,
        PostProcessorConfig,
        extract_file_sync,
    )

    config = ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        disable_ocr=True,  # type: ignore[call-arg]  # its stub lacks it
        include_document_structure=True,
        images=ImageExtractionConfig(extract_images=False),
        postprocessor=PostProcessorConfig(enabled=False),
        concurrency=ConcurrencyConfig(max_threads=1),
    )
    try:
        return extract_file_sync(path, content_type, config)
    except MemoryError:
        raise
    except Exception:
        raise
    except BaseException as error:  # a panic of its native code is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"kreuzberg cannot read this file: {error}") from error


def about(found: ExtractionResult) -> dict[str, Any]:
    """Return what the document says of itself under the names of `Parsed.about`."""
    metadata: Mapping[str, Any] = found.metadata
    said = {
        ours: one_line(str(metadata[theirs]))[:MAX_ABOUT_CHARS]
        for theirs, ours in _ABOUT.items()
        if metadata.get(theirs)
    }
    if authors := ", ".join(one_line(str(author)) for author in metadata.get("authors") or ()):
        said["author"] = authors[:MAX_ABOUT_CHARS]
    return {key: value for key, value in said.items() if value}


def elements(found: ExtractionResult) -> Iterator[Element]:
    """Yield the elements of its structure in reading order; headers and footers once, after the rest.

    Raises ParseFailed where there is text but no structure, so that it is not lost.
    """
    nodes: Sequence[Any] = (found.document or {"nodes": []})["nodes"]
    if not nodes and found.content.strip():
        raise ParseFailed("holds text that could not be told apart into paragraphs")
    heads: dict[str, None] = {}
    page: int | None = None
    lists = _Lists(nodes)
    for number, node in enumerate(nodes):
        content: Mapping[str, Any] = node["content"]
        if node.get("content_layer") in _HEADS:
            heads.setdefault(clean(content.get("text", "")), None)
            continue
        if content["node_type"] == "slide":
            page = content["number"]
        yield from _element(content, page=node.get("page") or page, mark=lists.mark(number))
    yield from (Element(text) for text in heads)


def clean(text: str) -> str:
    """Return the text without control characters, its blanks single and its lines trimmed."""
    text = _CONTROLS.sub("", text.replace("\v", "\n").replace("\f", "\n"))
    return "\n".join(line.strip() for line in _BLANKS.sub(" ", text).split("\n")).strip()


def _element(content: Mapping[str, Any], *, page: int | None, mark: str) -> Iterator[Element]:
    match content["node_type"]:
        case "title":
            yield Element(one_line(clean(content["text"])), "title", level=1, page=page)
        case "heading":
            yield Element(one_line(clean(content["text"])), "title", level=content["level"], page=page)
        case "slide":
            yield Element(one_line(clean(content.get("title") or "")), "title", level=1, page=page)
        case "list_item":
            yield Element(mark + clean(content["text"]), "list", page=page)
        case "code":
            yield Element(_CONTROLS.sub("", content["text"]).strip("\n").rstrip(), "code", page=page)
        case "table":
            yield from _table(content["grid"], page)
        case "definition_item":
            yield Element(clean(f"{content['term']}: {content['definition']}"), "list", page=page)
        case "admonition":
            yield Element(clean(content.get("title") or ""), page=page)
        case "metadata_block":
            yield Element("\n".join(f"{key}: {value}" for key, value in content["entries"]), page=page)
        case "raw_block":
            yield Element(clean(content["content"]), page=page)
        case "paragraph" | "formula" | "footnote" | "citation":
            yield Element(clean(content["text"]), page=page)


def _table(found: Mapping[str, Any], page: int | None) -> Iterator[Element]:
    rows: list[list[Cell]] = [[] for _ in range(found["rows"])]
    for cell in sorted(found["cells"], key=lambda cell: (cell["row"], cell["col"])):
        rows[cell["row"]].append(Cell(clean(cell["content"]), cell.get("col_span", 1), cell.get("row_span", 1)))
    yield from grid(rows, page=page)


class _Lists:
    """The marks that the items of lists are shown with: numbers from 1 or dashes, further in on each level."""

    def __init__(self, nodes: Sequence[Any]) -> None:
        self._nodes = nodes
        self._depths: dict[int, int] = {}
        self._counts: dict[int, int] = {}

    def mark(self, number: int) -> str:
        """Return what stands before the text of node `number`; they are asked for in their order."""
        node = self._nodes[number]
        parent: int | None = node.get("parent")
        above = self._depths.get(parent, 0) if parent is not None else 0
        kind = node["content"]["node_type"]
        self._depths[number] = above + (kind == "list")
        if kind != "list_item" or parent is None:
            return ""
        self._counts[parent] = self._counts.get(parent, 0) + 1
        ordered = self._nodes[parent]["content"].get("ordered")
        return "  " * (above - 1) + (f"{self._counts[parent]}. " if ordered else "- ")
