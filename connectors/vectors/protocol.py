"""What Ragline asks of a vector store; the embedded engine and the server both pass one contract suite."""

from __future__ import annotations

from collections.abc import Sequence
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


class VectorStore(Protocol):
    """Passages of one embedding model, all tenants together. All writes may be repeated."""

    async def stage(self, points: Sequence[Point], *, version: str) -> None:
        """Store points of a file's new version; no search finds them before `publish`. Upserts by passage id."""

    async def publish(self, file_id: str, *, version: str) -> None:
        """Make this version's points of the file findable, then delete those of every other version."""

    async def search(self, query: Query, scope: Scope, *, limit: int, candidates: int) -> list[Hit]:
        """Return at most `limit` published passages inside `scope`, best first.

        Each of the dense and the lexical search brings `candidates`; they are fused by reciprocal rank fusion
        (k = 60). `Hit.score` is the fused score, `Hit.cosine` the cosine of the dense vectors in -1..1.
        """

    async def passages(self, file_id: str) -> list[Passage]:
        """Return the published passages of a file in document order."""

    async def set_collections(self, file_id: str, collection_ids: Sequence[str]) -> None:
        """Replace the collections of all of a file's points, staged ones included."""

    async def delete_file(self, file_id: str) -> None:
        """Delete all points of a file; none there is no error."""

    async def count(self) -> int:
        """Return the number of points, staged ones included."""

    async def close(self) -> None:
        """Write everything out and let go of the store."""
