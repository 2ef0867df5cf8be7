"""What a model said, and from what, read from an answer in OpenAI's format: whole, or event by event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragline.errors import BackendError
from ragline.types import Json


@dataclass(frozen=True, slots=True)
class GivenPassage:
    """A passage that a model was given. `page` counts from 1; `start` and `end` are in the file's extracted text.

    `similarity` runs from 0 to 1, None for what was given whole; `metadata` is all that is known of the passage.
    """

    text: str
    page: int | None
    heading: str
    start: int
    end: int
    passage_id: str
    similarity: float | None
    metadata: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class AnswerSource:
    """A document that a model was given; `[number]` in an answer means it. Its passages are best first."""

    number: int
    name: str
    file_id: str
    passages: Sequence[GivenPassage]


@dataclass(frozen=True, slots=True)
class AnswerCitation:
    """A number in an answer, looked at: `supported` tells whether the source holds what the sentence states.

    The sentence is `text[start:end]` of the answer. `checked` counts what was looked for, `missing` names what the
    source does not hold; `quote` is what fits best in it, and `source` says where that stands (`name`, `page` from 1,
    `heading`, `start`, `end`, `passage_url`); both are empty for a number that no source has.
    """

    number: int
    supported: bool
    start: int
    end: int
    sentence: str = ""
    checked: int = 0
    missing: Sequence[str] = ()
    quote: str = ""
    source: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. `[n]` in `text` means the source with that number.

    `usage` is in tokens, as the back end counts them; `notes` say what the user should know of the search, `searched`
    what was searched for where that was not the question itself.
    """

    text: str
    sources: Sequence[AnswerSource] = ()
    citations: Sequence[AnswerCitation] = ()
    usage: Mapping[str, Json] = field(default_factory=dict)
    notes: Sequence[str] = ()
    searched: str = ""


class Heard:
    """An answer as it comes."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._sources: list[AnswerSource] = []
        self._citations: list[AnswerCitation] = []
        self._usage: Mapping[str, Json] = {}
        self._notes: Sequence[str] = ()
        self._searched = ""

    def take(self, said: Mapping[str, Any]) -> str:
        """Take a whole completion or an event of a stream and return the text in it.

        Raises BackendError for an event that says that the back end was lost, and for one that nobody can read.
        """
        try:
            return self._taken(said)
        except (AttributeError, TypeError, ValueError) as error:
            raise BackendError(f"the answer has sources, citations or notes that are none: {error}") from error

    def _taken(self, said: Mapping[str, Any]) -> str:
        match said.get("error"):
            case {"message": message}:
                raise BackendError(str(message))
            case str(message):
                raise BackendError(message)
        if sources := listed(said.get("sources")):
            self._sources = sources_of(sources)
        if citations := listed(said.get("citations")):
            self._citations = [citation_of(each) for each in citations]
        if isinstance(usage := said.get("usage"), Mapping):
            self._usage = usage
        if isinstance(retrieval := said.get("retrieval"), Mapping):
            self._notes = [str(note) for note in retrieval.get("notes") or ()]
            self._searched = str(retrieval.get("searched") or "")
        text = text_in(said)
        self._pieces.append(text)
        return text

    @property
    def answer(self) -> Answer:
        return Answer(
            "".join(self._pieces),
            self._sources,
            self._citations,
            self._usage,
            self._notes,
            self._searched,
        )


def answer_of(completion: Mapping[str, Any]) -> Answer:
    """Return a whole completion as an answer; its text is empty where the model only called tools."""
    heard = Heard()
    heard.take(completion)
    return heard.answer


def text_in(said: Mapping[str, Any]) -> str:
    """Return the text of the first choice of a completion or a chunk."""
    match said:
        case {"choices": [{"message": {"content": str(text)}}, *_]} | {
            "choices": [{"delta": {"content": str(text)}}, *_]
        }:
            return text
    return ""


def sources_of(entries: Sequence[Mapping[str, Any]]) -> list[AnswerSource]:
    """Return the documents in the `sources` of an answer, which has them by reference, ordered by their numbers."""
    found: dict[int, list[GivenPassage]] = {}
    for entry in entries:
        known = entry.get("metadata", ())
        distances = entry.get("distances") or [None] * len(known)
        for text, about, similarity in zip(entry.get("document", ()), known, distances, strict=False):
            found.setdefault(about.get("citation", 0), []).append(passage_of(text, about, similarity))
    return [source_of(number, passages) for number, passages in sorted(found.items())]


def source_of(number: int, passages: Sequence[GivenPassage]) -> AnswerSource:
    about = passages[0].metadata
    return AnswerSource(number, str(about.get("name", "")), str(about.get("file_id", "")), passages)


def passage_of(text: str, about: Mapping[str, Any], similarity: float | None) -> GivenPassage:
    page = about.get("page")
    return GivenPassage(
        text=text,
        page=page + 1 if isinstance(page, int) else None,  # on the wire it counts from 0
        heading=str(about.get("heading", "")),
        start=about.get("start_index", 0),
        end=about.get("end_index", len(text)),
        passage_id=str(about.get("passage_id", "")),
        similarity=similarity,
        metadata=about,
    )


def citation_of(said: Mapping[str, Any]) -> AnswerCitation:
    start, end = said.get("span") or (0, 0)
    return AnswerCitation(
        number=said.get("n", 0),
        supported=bool(said.get("supported")),
        start=start,
        end=end,
        sentence=str(said.get("sentence") or ""),
        checked=said.get("checked") or 0,
        missing=[str(each) for each in said.get("missing") or ()],
        quote=str(said.get("quote") or ""),
        source=said.get("source") or {},
    )


def listed(value: object) -> list[Mapping[str, Any]]:
    """Return the objects in a list of a foreign JSON; empty for what is no list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []
