"""Sets of questions whose right answers are known: what all kinds have in common, and which kind a path is."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ragline.errors import BadInput, NotFound

NAMED = 5
"""Lines or ids that a message names; the others are counted."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer stands: in a file, by name or id ("" for any), on a page, in a passage with this snippet."""

    file: str
    page: int | None = None
    snippet: str = ""

    @property
    def label(self) -> str:
        """What stands for it in rankings and reports, a different one for each place."""
        page = "" if self.page is None else f"p. {self.page}"
        return " · ".join(filter(None, (self.file, page, f"« {self.snippet} »" if self.snippet else "")))


@dataclass(frozen=True, slots=True)
class Asked:
    """A question. `wanted` has the relevance of what answers it: ids of documents, or labels of `places`."""

    id: str
    text: str
    wanted: Mapping[str, int]
    places: Sequence[Place] = ()
    collection: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a BEIR set."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something to be known of a set: the key of a sentence in `words.py`, and what stands in it."""

    key: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions, and in a BEIR set the documents they are asked of. `notes` say what was left out, and why.

    `fingerprint` changes with the questions and what answers them, `corpus` with the documents.
    """

    name: str
    kind: Literal["beir", "golden"]
    questions: Sequence[Asked]
    fingerprint: str
    documents: Sequence[Document] = ()
    corpus: str = ""
    notes: Sequence[Note] = ()

    def called(self) -> dict[str, str]:
        """Return what documents are called, by id: those that have a title."""
        return {document.id: document.title for document in self.documents if document.title.strip()}

    def sampled(self, limit: int | None, seed: int) -> QuestionSet:
        """Return the set with at most `limit` questions, drawn by the seed and left in their order."""
        if limit is None or limit >= len(self.questions):
            return self
        drawn = sorted(random.Random(seed).sample(range(len(self.questions)), limit))
        questions = [self.questions[number] for number in drawn]
        note = Note("sampled", {"limit": str(limit), "count": str(len(self.questions)), "seed": str(seed)})
        return replace(self, questions=questions, fingerprint=fingerprint_of(questions), notes=(*self.notes, note))


def read_set(path: Path) -> QuestionSet:
    """Return the set at a path: a folder in BEIR's layout, or a file of a golden set.

    Raises NotFound where nothing is, BadInput with the numbers of the lines that cannot be read.
    """
    from ragline.retrieval.evaluation.beir import read_beir
    from ragline.retrieval.evaluation.golden import read_golden

    if not path.exists():
        raise NotFound(f"{str(path)!r}: there is no such folder or file")
    try:
        return read_beir(path) if path.is_dir() else read_golden(path)
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read: {error.strerror or error}") from error


def fingerprint_of(questions: Iterable[Asked]) -> str:
    digest = hashlib.sha256()
    for one in questions:
        digest.update(repr((one.id, one.text, one.collection, sorted(one.wanted.items()))).encode("utf-8", "replace"))
    return digest.hexdigest()[:16]


def some(named: Sequence[str]) -> str:
    """Return the first of these, and how many more there are."""
    rest = len(named) - NAMED
    return ", ".join(repr(one) for one in named[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def refuse(path: Path, problems: Sequence[str]) -> None:
    """Raise BadInput with the first of these problems and the number of the others, if there are any."""
    if problems:
        rest = len(problems) - NAMED
        more = [f"{path.name}: and {rest} more such lines"] if rest > 0 else []
        raise BadInput("\n".join([*(f"{path.name}, {problem}" for problem in problems[:NAMED]), *more]))


def printable(text: str) -> str:
    """Return a text without what no tokenizer takes: NUL and halves of characters, which JSON can spell."""
    return text.replace("\x00", " ").encode("utf-8", "replace").decode()
