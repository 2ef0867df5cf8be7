"""Which files the arguments of a command mean."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragline.connectors.sources.globs import Globs, is_text

NOT_TEXT = "its name is not UTF-8; rename it"


@dataclass(frozen=True, slots=True)
class Document:
    """A file to be taken in. `inside` is its path in the folder that was named, `problem` why it cannot be read."""

    path: Path
    inside: str
    problem: str | None = None


def find(paths: Sequence[Path], globs: Globs) -> list[Document]:
    """Return the files named and those in the folders named, each once, in the order of the arguments.

    `globs` choose among what folders hold, hidden files and folders included; a file that is named itself is taken.
    """
    found: dict[str, Document] = {}
    for path in paths:
        for document in walk(path, globs) if path.is_dir() else [named(path)]:
            found.setdefault(os.path.abspath(document.path), document)
    return list(found.values())


def named(path: Path) -> Document:
    problem = NOT_TEXT if not is_text(str(path)) else None
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            problem = "it is no file and no folder"
    except OSError as error:
        problem = error.strerror
    return Document(path, path.name, problem)


def walk(folder: Path, globs: Globs) -> Iterator[Document]:
    """Give the files below a folder, by name. Links to folders are not followed: they may lead in a circle."""
    unread: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=unread.append):
        within = Path(place).relative_to(folder)
        folders[:] = sorted(name for name in folders if globs.enter((within / name).as_posix()))
        for name in sorted(files):
            path, inside = Path(place, name), (within / name).as_posix()
            if not is_text(inside):
                yield Document(path, inside, NOT_TEXT)
            elif globs.take(inside) and (path.is_file() or not path.exists()):
                yield Document(path, inside)
    for error in unread:
        path = Path(error.filename)
        yield Document(path, path.relative_to(folder).as_posix(), f"the folder cannot be read: {error.strerror}")
