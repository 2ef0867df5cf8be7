"""A file becomes elements: the right reader for its type, and errors that a person understands."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from traceback import walk_tb

from ragline.errors import Damaged, OverLimit, ParseFailed, RaglineError, Unavailable, UnsupportedFile
from ragline.pipelines.parse_types import OLE, SUPPORTED, ZIPPED, content_type_of
from ragline.pipelines.readers.office.unlocked import check_zip
from ragline.pipelines.readers.registry import PARTS, READERS, UNSTRUCTURED, function_at
from ragline.pipelines.reading import MAX_DEPTH, MAX_NOTES, Options, Part, Reading, no_text, too_much_text
from ragline.types import Element, Json, Parsed

__all__ = ["SUPPORTED", "Options", "Part", "content_type_of", "document_text", "parse", "parts_of"]

log = logging.getLogger(__name__)

DEFAULT = Options()


def parse(path: Path, name: str, content_type: str, *, options: Options = DEFAULT, part: Part | None = None) -> Parsed:
    """Return what a file says, in reading order, or one `part` of it.

    `name` is what the user calls the file; messages use it. Raises ParseFailed for a file that is damaged, encrypted,
    without text or over a limit, UnsupportedFile for a type with no reader, Damaged for what may be the fault of this
    process. Runs for seconds and trusts no file: call it in a worker.
    """
    reading = Reading(path, name, content_type, options, part)
    with errors_named(name, content_type):
        elements = read(reading)
        if not elements and part is None:
            raise ParseFailed(no_text(reading.notes))
    about = {key: storable(value) for key, value in reading.about.items()}
    return Parsed(elements, about, [storable_text(note) for note in shortened(reading.notes)])


def parts_of(path: Path, name: str, content_type: str, *, options: Options = DEFAULT) -> list[Part]:
    """Return the parts that a long document should be read in, in their order; none: it is read as one.

    Raises as `parse`. Call it in a worker.
    """
    if (place := PARTS.get(content_type)) is None:
        return []
    with errors_named(name, content_type):
        found: list[Part] = function_at(place)(Reading(path, name, content_type, options))
    return found


def read(reading: Reading) -> list[Element]:
    """Return the elements by the reader that the options choose, none blank. Its errors lack the file's name."""
    places = READERS.get(reading.content_type)
    if places is None:
        raise UnsupportedFile(
            f"has the type {reading.content_type!r}, for which there is no reader; known: {', '.join(READERS)}"
        )
    check_bytes(reading)
    if reading.options.engine == "fast":
        places = places[:1]
    elif reading.options.engine == "unstructured":
        places = tuple(place for place in places if place.startswith(UNSTRUCTURED)) or places
    for place in places[:-1]:
        noted = len(reading.notes)
        try:
            return kept(function_at(place)(reading), reading.options.max_chars)
        except (RaglineError, MemoryError, RecursionError):
            raise
        except Exception:  # the other library may be able to read what this one cannot
            log.info("%s cannot read a file of type %s", place, reading.content_type, exc_info=True)
            del reading.notes[noted:]
    return kept(function_at(places[-1])(reading), reading.options.max_chars)


def inner(reading: Reading, path: Path, name: str) -> Iterator[Element]:
    """Yield the elements of a file inside the one that is read, its name before them as a title.

    What cannot be read is noted and left out, with all of its elements; over a limit of the whole document, OverLimit
    passes through.
    """
    reading.budget.take_member()
    with path.open("rb") as file:
        empty = not file.read(1)
        file.seek(0)
        try:
            content_type = content_type_of(name, file)
        except UnsupportedFile as error:
            reading.note(str(error).partition(" Can be read: ")[0])
            return
    child = reading.child(path, name, content_type)
    if empty:
        child.note("is empty")
        return
    if child.depth > MAX_DEPTH:
        child.note(f"lies more than {MAX_DEPTH} files deep and was not read")
        return
    try:
        with errors_named("", content_type):
            elements = read(child)
    except (OverLimit, Unavailable):
        raise
    except RaglineError as error:
        child.note(str(error).strip())
        return
    if elements:
        yield Element(name, "title", level=1, member=child.member)
    for element in elements:
        yield replace(
            element,
            level=element.level + 1 if element.kind == "title" else 0,
            member=element.member or child.member,
        )


def document_text(elements: Sequence[Element]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of a document, its elements joined by blank lines, and the (start, end) of each element in it."""
    spans = []
    start = 0
    for element in elements:
        spans.append((start, start + len(element.text)))
        start += len(element.text) + 2
    return "\n\n".join(element.text for element in elements), spans


@contextmanager
def errors_named(name: str, content_type: str) -> Iterator[None]:
    """Turn the errors of a dozen libraries into those of Ragline, which name the file."""
    named = f"{name!r} " if name else ""
    try:
        with warnings.catch_warnings(action="ignore"):  # of libraries, about the file; nobody reads a worker's stderr
            yield
    except RecursionError:
        raise ParseFailed(f"{named}is nested too deeply to be read") from None
    except (ParseFailed, UnsupportedFile) as error:
        raise type(error)(f"{named}{error}") from error
    except (RaglineError, MemoryError):
        raise
    except Exception as error:  # all mean that the file is damaged
        if while_importing(error):
            log.warning("a reader could not be loaded for %s", content_type, exc_info=True)
            raise Unavailable(f"the reader for {_kind(content_type)} could not be loaded; it is tried again") from error
        log.info("cannot read a file of type %s", content_type, exc_info=True)
        raise Damaged(
            f"{named}is damaged or not really of the type {_kind(content_type)}, and cannot be read; "
            "save it anew, or send it once more"
        ) from error


def while_importing(error: BaseException) -> bool:
    """Tell whether a library failed to load, which says nothing of the file."""
    return any(frame.f_code.co_filename.startswith("<frozen importlib") for frame, _ in walk_tb(error.__traceback__))


def check_bytes(reading: Reading) -> None:
    """Raise ParseFailed for what needs no reader to see, OverLimit for a zip bomb."""
    with reading.path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise ParseFailed("is empty")
    if reading.content_type not in ZIPPED:
        return
    if head != OLE:  # a document of Office in such a container is encrypted, and checked when it is decrypted
        check_zip(reading.path, reading.options)


def kept(elements: Iterable[Element], max_chars: int) -> list[Element]:
    """Return the elements that are not blank, as text that can be encoded. Raises OverLimit for too much text."""
    found = []
    left = max_chars
    for element in map(storable_element, elements):
        if not element.text.strip():
            continue
        left -= len(element.text)
        if left < 0:
            raise OverLimit(too_much_text(max_chars))
        found.append(element)
    return found


def _kind(content_type: str) -> str:
    suffix = next((suffix for suffix, kind in SUPPORTED.items() if kind == content_type), "")
    return suffix.lstrip(".").upper()


def shortened(notes: Sequence[str]) -> list[str]:
    """Return the notes, those over MAX_NOTES only counted."""
    more = len(notes) - MAX_NOTES
    return [*notes[:MAX_NOTES], *([f"and {more} more of the kind"] if more > 0 else [])]


def storable_element(element: Element) -> Element:
    """Make the texts of an element such that every store takes them."""
    known = (element.text, element.member, element.html, element.sheet)
    text, member, html, sheet = (None if each is None else storable_text(each) for each in known)
    if (text, member, html, sheet) == known:
        return element
    return replace(element, text=text or "", member=member or "", html=html, sheet=sheet)


def storable(value: Json) -> Json:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, Mapping):
        return {storable_text(key): storable(each) for key, each in value.items()}
    return [storable(each) for each in value] if isinstance(value, Sequence) else value


def storable_text(text: str) -> str:
    """Replace lone surrogates, which UTF-8 has not, and leave out NUL, which PostgreSQL has not."""
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
