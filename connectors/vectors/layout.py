"""How passages lie in Qdrant, the same in the engine of this process and on a server."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NotRequired, TypedDict, cast

import numpy as np

from ragline.connectors.vectors.protocol import Census, Held, Label, Point
from ragline.errors import SetupError
from ragline.types import Chunk, ElementKind, Hit, Passage, Scope

DENSE = "dense"
SPARSE = "bm25"

KEYWORD_FIELDS = ("file_id", "collection_ids", "user_id", "version", "state")
"""Payload fields that filters use; each gets an index."""

PAGE_POINTS = 1000
"""Points read in one call when all of a file's are wanted."""

DELETE_FILES = 500
"""Files deleted in one call: the ids in its filter."""

CENSUS_FIELDS = ["file_id", "version", "state", "name", "collection_ids"]
"""What a census reads of each point. Facets would not do: they count values of one field, not files with versions,
and the engine takes 0.4 s in one piece for 10,000 distinct ones."""


class Payload(TypedDict):
    """What is stored beside a point's vectors.

    What is not required is missing from older points. `state` is a word and not a boolean because
    qdrant-edge 0.9.0 takes `MatchValue(True)` for the number 1.
    """

    file_id: str
    user_id: str
    collection_ids: list[str]
    version: str
    state: Literal["staged", "published"]
    name: str
    index: int
    text: str
    start: int
    end: int
    heading: str
    page: int | None
    language: str
    page_end: NotRequired[int | None]
    kind: NotRequired[ElementKind]
    member: NotRequired[str]
    sheet: NotRequired[str | None]
    cells: NotRequired[str | None]
    html: NotRequired[str | None]
    lead: NotRequired[str]


def staged(point: Point, *, version: str) -> Payload:
    """Return the payload of a point that no search finds yet."""
    passage, chunk = point.passage, point.passage.chunk
    return Payload(
        file_id=passage.file_id,
        user_id=passage.user_id,
        collection_ids=list(point.collection_ids),
        version=version,
        state="staged",
        name=passage.name,
        index=chunk.index,
        text=chunk.text,
        start=chunk.start,
        end=chunk.end,
        heading=chunk.heading,
        page=chunk.page,
        language=chunk.language,
        page_end=chunk.page_end,
        kind=chunk.kind,
        member=chunk.member,
        sheet=chunk.sheet,
        cells=chunk.cells,
        html=chunk.html,
        lead=chunk.lead,
    )


def passage_of(point_id: object, payload: Payload) -> Passage:
    """Return the passage that `staged` made the payload of."""
    chunk = Chunk(
        index=payload["index"],
        text=payload["text"],
        start=payload["start"],
        end=payload["end"],
        heading=payload["heading"],
        page=payload["page"],
        language=payload["language"],
        page_end=payload.get("page_end", payload["page"]),
        kind=payload.get("kind", "text"),
        member=payload.get("member", ""),
        sheet=payload.get("sheet"),
        cells=payload.get("cells"),
        html=payload.get("html"),
        lead=payload.get("lead", ""),
    )
    return Passage(
        id=str(point_id),
        file_id=payload["file_id"],
        version=payload["version"],
        user_id=payload["user_id"],
        name=payload["name"],
        chunk=chunk,
    )


class Tally:
    """Adds up a census, point by point. It makes few objects that stay: many of them make long garbage collections."""

    def __init__(self) -> None:
        self._points = 0
        self._files: defaultdict[str, dict[str, Held]] = defaultdict(dict)
        self._collections: Counter[str] = Counter()

    def add(self, payload: Payload) -> None:
        """Count a point by the fields CENSUS_FIELDS of its payload."""
        versions = self._files[payload["file_id"]]
        held = versions.get(payload["version"], NOTHING)
        labels = frozenset({Label(payload["name"], tuple(sorted(payload["collection_ids"])))})
        versions[payload["version"]] = Held(
            points=held.points + 1,
            published=held.published + (payload["state"] == "published"),
            labels=held.labels if labels <= held.labels else held.labels | labels,
        )
        self._points += 1
        self._collections.update(payload["collection_ids"])

    def census(self) -> Census:
        return Census(points=self._points, files=dict(self._files), collections=dict(self._collections))


NOTHING = Held(points=0, published=0, labels=frozenset())


def numbers(dense: Sequence[float]) -> list[float]:
    """Return a dense vector as plain floats, also from a row of a numpy matrix."""
    return cast("list[float]", np.asarray(dense, dtype=np.float32).tolist())


def in_document_order(passages: Iterable[Passage]) -> list[Passage]:
    """Return the passages of one file as they follow each other in it."""
    return sorted(passages, key=lambda passage: (passage.chunk.index, passage.chunk.start))


Clauses = Sequence[Sequence[tuple[str, Sequence[str]]]]
"""AND over the outer list, OR over the inner, of "the field is any of these values"."""


def clauses(scope: Scope) -> list[list[tuple[str, list[str]]]]:
    """Return the scope as `Clauses`.

    Where all that is wanted lies in shared collections, it is allowed, and nothing more is asked for.
    """
    wanted = [("file_id", scope.file_ids), ("collection_ids", scope.collection_ids)]
    allowed: list[tuple[str, frozenset[str]]] = []
    is_shared = not scope.file_ids and scope.collection_ids and scope.collection_ids <= scope.shared_collection_ids
    if scope.user_id is not None and not is_shared:
        allowed = [("user_id", frozenset({scope.user_id})), ("collection_ids", scope.shared_collection_ids)]
    both = [[(field, sorted(values)) for field, values in clause if values] for clause in (wanted, allowed)]
    return [clause for clause in both if clause]


def is_visible(payload: Payload, asked: Clauses) -> bool:
    """Tell whether a point is published and fits the `clauses` of a scope."""
    return payload["state"] == "published" and all(
        any(not values_of(payload, field).isdisjoint(values) for field, values in clause) for clause in asked
    )


def values_of(payload: Payload, field: str) -> set[str]:
    """Return the values of a keyword field of a point."""
    value = cast("Mapping[str, str | list[str]]", payload)[field]
    return {value} if isinstance(value, str) else set(value)


def by_cosine(found: Iterable[tuple[Passage, float, float]]) -> list[Hit]:
    """Return (passage, cosine, BM25 score) as hits, the nearest first."""
    made = [Hit(passage, 0.0, max(-1.0, min(1.0, cosine)), lexical) for passage, cosine, lexical in found]
    return sorted(made, key=lambda hit: (-hit.cosine, -hit.lexical, hit.passage.id))


def store_name(model_id: str) -> str:
    """Return the name of the folder or collection for a model's vectors: readable, and different for each id."""
    slug = re.sub(r"[^a-z0-9]+", "-", model_id.lower()).strip("-")[:60]
    return f"ragline_{slug}_{hashlib.sha256(model_id.encode()).hexdigest()[:8]}"


def check_dimension(stored: int, given: int, *, where: str) -> None:
    """Raise SetupError if vectors of `given` numbers cannot go where those of `stored` are."""
    if stored != given:
        raise SetupError(
            f"{where}: the vectors stored have {stored} dimensions, the embedding model makes {given}; "
            "set the embedder back, or reindex under another model id"
        )
