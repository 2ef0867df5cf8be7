"""Which files the arguments of a command mean."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragline.connectors.sources.globs import Globs, is_text

NOT_TEXT = "its name is not UTF-8; rename it"
LEADS_OUT = "it is a link that leads out of the folder; to take it in, name the file itself"


@dataclass(frozen=True, slots=True)
class Document:
    """A file to be taken in. `inside` is its path in the folder that was named, `problem` why it cannot be read."""

    path: Path
    inside: str
    problem: str | None = None


def find(paths: Sequence[Path], globs: Globs) -> list[Document]:
    """Return the files named and those in the folders named, each once, in the order of the arguments.

    `globs` choose among what folders hold, hidden files and folders included; a file that is named itself is taken,
    also one that a folder holds as a link that leads out of it.
    """
    found: dict[str, Document] = {}
    for path in paths:
        for document in walk(path, globs) if os.path.isdir(path) else [named(path)]:
            place = os.path.abspath(document.path)
            if place not in found or found[place].problem is not None:
                found[place] = document
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
    """Give the files below a folder, by name; a link to a file outside of it has that as its problem.

    Links to folders are not followed: they may lead in a circle.
    """
    root = os.path.realpath(folder)
    unread: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=unread.append):
        within = Path(place).relative_to(folder)
        folders[:] = sorted(name for name in folders if globs.enter((within / name).as_posix()))
        for name in sorted(files):
            path, inside = Path(place, name), (within / name).as_posix()
            if not is_text(inside):
                yield Document(path, inside, NOT_TEXT)
            elif not globs.take(inside):
                continue
            elif not Path(os.path.realpath(path)).is_relative_to(root):
                yield Document(path, inside, LEADS_OUT)
            elif os.path.isfile(path) or not os.path.exists(path):
                yield Document(path, inside)
    for error in unread:
        path = Path(error.filename)
        yield Document(path, path.relative_to(folder).as_posix(), f"the folder cannot be read: {error.strerror}")
