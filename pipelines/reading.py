"""One file on its way through a reader: what the reader may do, and what it has to say beside the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ragline.config.settings import Engine, Parsing
from ragline.errors import OverLimit
from ragline.types import Json

MAX_DEPTH = 3
"""How deep files may lie in files: an archive in a mail in an archive is 3 deep."""
NEEDS_PASSWORD = (
    "needs a password; give it with the upload (`password`, or --password), or afterwards with "
    "POST /api/v1/files/{id}/password, or save it without one"
)
WRONG_PASSWORD = "is not opened by the password that was given; give the right one"
MAX_NOTES = 50
"""More than these are counted, not named."""
MAX_RATIO = 200
"""How much more a compressed file may unpack to, above 10 MiB; real documents stay below 40."""
RATIO_FROM_BYTES = 10 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """What readers may do and within which bounds; it travels to the worker.

    `languages` are tesseract's names, none where nothing is to be recognised. `password` opens the document, and
    everything in it that needs one.
    """

    engine: Engine = "auto"
    languages: tuple[str, ...] = ("fra", "eng")
    password: str | None = field(default=None, repr=False)
    max_chars: int = 50_000_000
    max_pages: int = 20_000
    max_members: int = 2_000
    max_unpacked_bytes: int = 1 << 30

    @classmethod
    def of(cls, parsing: Parsing, *, password: str | None = None) -> Options:
        return cls(
            engine=parsing.engine,
            languages=parsing.ocr_languages if parsing.ocr else (),
            password=password,
            max_chars=parsing.max_text_chars,
            max_pages=parsing.max_pages,
            max_members=parsing.max_members,
            max_unpacked_bytes=parsing.max_unpacked_mb << 20,
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a long document that is read by itself: its pages, or the files of an archive, from 1."""

    first: int
    last: int


class Budget:
    """What a document and everything in it may still use together."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._members = 0
        self._bytes = 0

    def take_member(self) -> None:
        """Count one more file inside the document. Raises OverLimit over the limit."""
        self._members += 1
        if self._members > self._options.max_members:
            raise OverLimit(
                f"holds more than {self._options.max_members} files (parsing.max_members); pack them into several"
            )

    def take_bytes(self, unpacked: int) -> None:
        """Count bytes that were unpacked. Raises OverLimit over the limit."""
        self._bytes += unpacked
        if self._bytes > self._options.max_unpacked_bytes:
            most = self._options.max_unpacked_bytes >> 20
            raise OverLimit(f"unpacks to more than {most} MiB (parsing.max_unpacked_mb); split it")


@dataclass(slots=True)
class Reading:
    """What a reader is given: a function of a `Reading` that yields elements.

    `path` holds the bytes and `name` is what the user calls them; `member` is its path inside the document, "" for the
    document itself, `depth` how deep that is. A reader that is given a `part` reads that only. `about` and the notes
    end in `Parsed`. Errors that a reader raises lack the name of the file.
    """

    path: Path
    name: str
    content_type: str
    options: Options
    part: Part | None = None
    member: str = ""
    depth: int = 0
    about: dict[str, Json] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Budget(self.options)

    def note(self, sentence: str) -> None:
        """Say what is left out and why, for the user to read."""
        self.notes.append(f"{self.member}: {sentence}" if self.member else sentence)

    def child(self, path: Path, name: str, content_type: str) -> Reading:
        """Return the reading of a file inside this one, under the same budget; its notes are noted here."""
        inner = Reading(path, name, content_type, self.options, depth=self.depth + 1)
        inner.member = f"{self.member}/{name}" if self.member else name
        inner.notes, inner.budget = self.notes, self.budget
        return inner


def no_text(notes: Sequence[str]) -> str:
    """Say that nothing was found to read, and why as far as notes tell."""
    return "has no text" + (f": {'; '.join(notes[:3])}" if notes else "")


def too_much_text(max_chars: int) -> str:
    return f"has more than {max_chars} characters of text; split it or raise parsing.max_text_chars"
