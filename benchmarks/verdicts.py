"""What became of a document that was read, and what is wrong with that."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ragline.config.settings import Chunking, Parsing
from ragline.connectors.workers import Workers
from ragline.errors import Damaged, OverLimit, ParseFailed, UnsupportedFile
from ragline.pipelines.chunk import chunk
from ragline.pipelines.parse import content_type_of, document_text
from ragline.pipelines.read import read_document
from ragline.pipelines.reading import Options
from ragline.types import Element, Parsed

TYPE_LIMIT_S = 1.0
CHUNK_LIMIT_S = 20.0
MAX_NOTES = 51
INTERNALS = re.compile(r"/tmp/|ragline-worker|Traceback|0x[0-9a-f]{8}|object at|Errno")


async def outcome_of(workers: Workers, limits: Parsing, path: Path) -> tuple[str, str]:
    """Return in a word what became of a file, read as the server does it, and what is wrong with that, if anything."""
    try:
        started = time.monotonic()
        with path.open("rb") as file:
            content_type = content_type_of(path.name, file)
        slow = time.monotonic() - started
        parsed = await read_document(workers, limits, path, path.name, content_type, options=Options.of(limits))
    except (ParseFailed, UnsupportedFile) as error:
        return kind_of(error), unclear(str(error))
    except Exception as error:  # noqa: BLE001  # this is what is looked for
        return "FAULT", f"{type(error).__name__}: {error}"
    try:
        return "read", "; ".join([*broken(parsed), *([f"its type took {slow:.1f} s"] if slow > TYPE_LIMIT_S else [])])
    except Exception as error:  # noqa: BLE001  # this is what is looked for
        return "FAULT", f"chunking: {type(error).__name__}: {error}"


def kind_of(error: ParseFailed | UnsupportedFile) -> str:
    for kind, name in ((OverLimit, "limit"), (Damaged, "damaged"), (UnsupportedFile, "unsupported")):
        if isinstance(error, kind):
            return name
    said = str(error)
    return "too long" if " took " in said else "crashed" if "crashed" in said else "refused"


def unclear(said: str) -> str:
    """Return what is wrong with a message for a user: it tells internals, or nothing, or everything."""
    if INTERNALS.search(said):
        return f"a message that tells internals: {said}"
    return "" if 10 < len(said) < 2000 else f"the message has {len(said)} characters: {said[:200]}"


def broken(parsed: Parsed) -> Iterator[str]:
    """Yield what is wrong with a document that was read, and with its passages."""
    if not parsed.elements:
        yield "no elements"
    for element in parsed.elements:
        yield from (f"{what}: {element!r:.300}" for what in faults(element))
    if len(parsed.notes) > MAX_NOTES or any(len(note) > 1000 for note in parsed.notes):
        yield f"notes: {len(parsed.notes)}, longest {max(map(len, parsed.notes))} characters"
    yield from (f"a note that tells internals: {note}" for note in parsed.notes if INTERNALS.search(note))
    text, _ = document_text(parsed.elements)
    started = time.monotonic()
    passages = chunk(parsed.elements, settings=Chunking(), count_tokens=tokens)
    if (took := time.monotonic() - started) > CHUNK_LIMIT_S:
        yield f"chunking took {took:.1f} s for {len(text)} characters"
    covered = 0
    for passage in passages:
        if passage.text != text[passage.start : passage.end] or not passage.text.strip():
            yield f"a passage is not what its offsets say: {passage!r:.300}"
        if lost := text[covered : passage.start].strip():
            yield f"text in no passage: {lost[:100]!r}"
        covered = max(covered, passage.end)
    if lost := text[covered:].strip():
        yield f"text in no passage: {lost[:100]!r}"


def faults(element: Element) -> Iterator[str]:
    lines = element.text.count("\n") + 1
    if not element.text.strip():
        yield "a blank element"
    if any("\ud800" <= sign <= "\udfff" for sign in element.text):
        yield "half a character"
    if element.html and element.html.count("<tr") != lines:
        yield "rows of its markup and of its text differ"
    if element.rows and len(element.rows) != lines:
        yield "numbers of rows and lines differ"
    if (element.level > 0) != (element.kind == "title"):
        yield "a level that is not of its kind"
    if element.page is not None and element.page < 1:
        yield "a page before the first"


def tokens(texts: Sequence[str]) -> list[int]:
    """Count tokens roughly as a model does: one a word, and one more for each five characters."""
    return [sum(1 + len(word) // 5 for word in text.split()) for text in texts]
