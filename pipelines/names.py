"""The names of files: what a client or a source calls them, made fit to be shown, and to be kept in a folder."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

from ragline.errors import BadInput

MAX_NAME_CHARS = 200
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters and marks that turn the direction of writing around."""
RESERVED = re.compile(r'[/\\:*?"<>|]')
DEVICES = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))})
"""Names that Windows does not give to files, whatever their suffix."""
MAX_NAME_BYTES = 240
"""Of the 255 that file systems take; a number may be added."""


def clean_name(name: str) -> str:
    """Return the last part of a path from any system, without what cannot be printed, bounded in length.

    Raises BadInput when nothing is left of it.
    """
    base = PureWindowsPath(PurePosixPath(name).name).name
    base = UNPRINTABLE.sub("", base).strip()
    if base in ("", ".", ".."):
        raise BadInput(f"the file has no usable name: {name[:MAX_NAME_CHARS]!r}")
    if len(base) > MAX_NAME_CHARS:
        suffix = PurePosixPath(base).suffix[:20]
        base = base[: MAX_NAME_CHARS - len(suffix)] + suffix
    return base


def portable(name: str) -> str:
    """Return a name that every file system takes: no separators, no reserved characters or words, never empty."""
    kept = UNPRINTABLE.sub("", unicodedata.normalize("NFC", name))
    kept = RESERVED.sub("_", kept).rstrip(" .").lstrip(" ")
    stem, dot, suffix = kept.rpartition(".")
    stem = stem if dot else suffix
    if not kept or stem.partition(".")[0].upper() in DEVICES:
        kept = f"_{kept}"
    suffix = f".{suffix}"[:20] if dot else ""
    while len(kept.encode()) > MAX_NAME_BYTES:
        kept = kept.removesuffix(suffix)[:-1] + suffix
    return kept


class Places:
    """The paths of an archive: each is given once, also where a file system ignores the case."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def take(self, folder: str, name: str) -> str:
        """Return the path of something called `name` in a folder, empty for the top: numbered where it is taken."""
        name = portable(name)
        wanted = path = f"{folder}/{name}" if folder else name
        stem, dot, suffix = name.rpartition(".") if "." in name[1:] else (name, "", "")
        while path.casefold() in self._taken:
            number = self._numbers[wanted.casefold()] = self._numbers.get(wanted.casefold(), 1) + 1
            numbered = f"{stem} ({number}){dot}{suffix}"
            path = f"{folder}/{numbered}" if folder else numbered
        self._taken.add(path.casefold())
        return path
