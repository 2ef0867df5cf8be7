"""What Ragline asks of a vector store; the embedded engine and the server both pass one contract suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ragline.types import Hit, Passage, Scope, SparseVector


@dataclass(frozen=True, slots=True)
class Point:
    """A passage to store. `dense` has the store's dimension and length 1 (L2)."""

    passage: Passage
    collection_ids: Sequence[str]
    dense: Sequence[float]
    sparse: SparseVector


@dataclass(frozen=True, slots=True)
class Query:
    """A question as vectors, both required; an empty sparse vector switches the lexical half off."""

    dense: Sequence[float]
    sparse: SparseVector


@dataclass(frozen=True, slots=True)
class Label:
    """What a point says of its file beside the passage. `collection_ids` are sorted."""

    name: str
    collection_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What a store holds of one version of a file: how many points, how many of them can be found, all their labels."""

    points: int
    published: int
    labels: frozenset[Label]


@dataclass(frozen=True, slots=True)
class Census:
    """Everything a store holds, counted: by file id and version, and points by collection id."""

    points: int
    files: Mapping[str, Mapping[str, Held]]
    collections: Mapping[str, int]


class VectorStore(Protocol):
    """Passages of one embedding model, all tenants together. All writes may be repeated.

    A file's passages come in versions. The store holds any number of them; which one answers, the records say.
    """

    async def stage(self, points: Sequence[Point], *, version: str) -> None:
        """Store points of a file's new version; no search finds them before `publish`. Upserts by passage id."""

    async def publish(self, file_id: str, *, version: str) -> int:
        """Make this version's points of the file findable, beside those of other versions.

        Returns how many there are: fewer than were staged means that some are lost, and it must not be shown.
        """

    async def drop_stale(self, file_id: str, *, keep: str) -> None:
        """Delete the file's points of every version but one, staged ones included."""

    async def drop_version(self, file_id: str, version: str) -> None:
        """Delete one version of a file; none there is no error."""

    async def candidates(self, query: Query, scope: Scope, *, limit: int) -> list[Hit]:
        """Return published passages of any version inside `scope`: the best `limit` by meaning and the best by words.

        Each hit has both, whichever search found it: `cosine` of the dense vectors in -1..1, and `lexical`, the BM25
        score, 0 without a common word. Words are rare by how many passages inside the scope have them. `score` is 0,
        the order that of the cosines; who fuses them gives both meaning.
        """

    async def vectors(self, passage_ids: Sequence[str]) -> dict[str, Sequence[float]]:
        """Return the dense vectors of passages by their ids; those that are gone are missing."""

    async def words(self, passage_ids: Sequence[str]) -> dict[str, frozenset[int]]:
        """Return the indices of passages' sparse vectors by their ids; those that are gone are missing."""

    async def around(self, file_id: str, *, version: str, indices: Sequence[int]) -> list[Passage]:
        """Return the published passages of one version of a file with these positions in it, in document order."""

    async def passages(self, file_id: str, *, version: str) -> list[Passage]:
        """Return the published passages of one version of a file in document order."""

    async def reweigh(self, words: Mapping[str, SparseVector]) -> None:
        """Replace the sparse vectors of passages that are there, by their ids; all else of them stays as it is."""

    async def relabel(self, file_id: str, *, name: str, collection_ids: Sequence[str]) -> None:
        """Replace the name and the collections of all of a file's points, staged ones included."""

    async def delete_file(self, file_id: str) -> None:
        """Delete all points of a file; none there is no error."""

    async def delete_files(self, file_ids: Sequence[str]) -> None:
        """Delete all points of any number of files."""

    async def census(self) -> Census:
        """Count everything. Reads page by page: what is written meanwhile may be in it or not, or in part."""

    async def count(self) -> int:
        """Return the number of points, staged ones included."""

    async def close(self) -> None:
        """Write everything out and let go of the store."""
