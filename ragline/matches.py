"""What a search gives to Python programs: passages with their scores and where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, overload

from ragline.types import ElementKind, Json


@dataclass(frozen=True, slots=True)
class Match:
    """A passage that fits a question; `text` is the extracted text of its file from `start` to `end`, in characters.

    `score` orders the matches of one search. `cosine` (-1 to 1) and `relevance` (0 to 1, the estimate that the passage
    has to do with the question) can be compared between searches; `lexical` is its BM25 score, 0 without a common word.
    `page` counts from 1, None where the format has none; `heading` is the titles above it, joined with " › ".
    `metadata` is what came with its file; `lead` is what the text cannot be understood without, such as table heads.
    """

    text: str
    score: float
    cosine: float
    lexical: float
    relevance: float
    name: str
    file_id: str
    passage_id: str
    index: int
    start: int
    end: int
    heading: str
    language: str
    kind: ElementKind
    page: int | None = None
    page_end: int | None = None
    member: str = ""
    sheet: str | None = None
    cells: str | None = None
    html: str | None = None
    lead: str = ""
    metadata: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Match:
        """Read what a server says of a passage; what it says beside is left out. Raises KeyError for what is missing.

        What has a default here may be missing.
        """
        needed = [each.name for each in fields(cls) if each.default is MISSING and each.default_factory is MISSING]
        more = [each.name for each in fields(cls) if each.name in said and each.name not in needed]
        return cls(**{name: said[name] for name in (*needed, *more)})


@dataclass(frozen=True, slots=True)
class Matches(Sequence[Match]):
    """The passages of one search, best first.

    `notes` say what the user should know of it, such as that a reranker did not answer; `below` counts the passages
    that were left out as not relevant.
    """

    found: Sequence[Match] = ()
    notes: Sequence[str] = ()
    below: int = 0

    @overload
    def __getitem__(self, index: int) -> Match: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Match]: ...

    def __getitem__(self, index: int | slice) -> Match | Sequence[Match]:
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.found)
