"""Where questions are asked, this process or a server, and what they are about."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol, TypedDict, cast

from ragline.errors import BadInput
from ragline.matches import Matches
from ragline.types import Json


class Identified(Protocol):
    """What has an id, such as a file that was ingested."""

    @property
    def id(self) -> str: ...


class Named(TypedDict, total=False):
    """What a question is about; all of it together.

    `collection` is a name or an id, or several; `files` are files or their ids, `texts` texts by their names, `urls`
    pages of the public web. `metadata` filters files and collections as in a chat (docs/references.md), `full` takes
    them whole instead of searching them.
    """

    files: Sequence[Identified | str]
    collection: str | Sequence[str] | None
    texts: Mapping[str, str]
    urls: Sequence[str]
    metadata: Mapping[str, object] | None
    full: bool


class Wished(TypedDict, total=False):
    """What may be other in one search than the settings of the section `retrieval` say."""

    top_k: int
    candidates: int
    fusion: str
    dense_weight: float
    min_relevance: float
    diversity: float
    recency: float
    rerank: bool
    lexical: bool


class Sought(Wished, total=False):
    """What a search without a chat is about, as in `Named`, and how it is done."""

    files: Sequence[Identified | str]
    collection: str | Sequence[str] | None
    metadata: Mapping[str, object] | None


PLACES = ("files", "collection")


class Place(Protocol):
    """Answers questions: the installation of this process, or a server. Both raise the same errors.

    `body` is OpenAI's request without `stream` and `files`.
    """

    async def search(self, question: str, named: Named, wishes: Wished) -> Matches:
        """Return the passages of files and collections that fit best. Raises BadInput where none is named, NotFound."""

    async def complete(self, body: Mapping[str, Json], named: Named) -> Mapping[str, Json]:
        """Return a whole `chat.completion`, with `sources` where something is named."""

    def stream(self, body: Mapping[str, Json], named: Named) -> AsyncGenerator[Mapping[str, Json], None]:
        """Yield the events of an answer: `sources` where something is named, then OpenAI's chunks."""


def checked(sought: Sought) -> Sought:
    """Return it. Raises BadInput for an option that is not known, before anything is asked."""
    if unknown := sought.keys() - Sought.__annotations__.keys():
        raise BadInput(f"no option {min(unknown)!r}; known: {', '.join(Sought.__annotations__)}")
    return sought


def instead(sought: Sought, other: Sought) -> Sought:
    """Return the first with what the second says in its place: files or a collection are instead of both."""
    kept = {key: value for key, value in sought.items() if key not in PLACES or not (other.keys() & set(PLACES))}
    return cast(Sought, kept | other)


def parted(sought: Sought) -> tuple[Named, Wished]:
    """Return what a search is about, and how it is done. Raises BadInput where it is about nothing."""
    named = cast(Named, {key: value for key, value in sought.items() if key in Named.__annotations__})
    if not (files_of(named) or collections_of(named)):
        raise BadInput("name what to search: files=… or collection=…")
    return named, cast(Wished, {key: value for key, value in sought.items() if key in Wished.__annotations__})


def collections_of(named: Named) -> list[str]:
    """Return the names and ids of the collections that are named."""
    said = named.get("collection")
    return [said] if isinstance(said, str) else list(said or ())


def files_of(named: Named) -> list[str]:
    """Return the ids of the files that are named."""
    return [file if isinstance(file, str) else file.id for file in named.get("files", ())]
