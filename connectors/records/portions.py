"""Many ids in several queries: databases limit how many one may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

LOOKUP_SIZE = 500
"""Keys in one query, below SQLite's and PostgreSQL's limits on parameters."""


def portions(keys: Sequence[T]) -> Iterable[Sequence[T]]:
    """Return the keys in parts of at most LOOKUP_SIZE."""
    return (keys[start : start + LOOKUP_SIZE] for start in range(0, len(keys), LOOKUP_SIZE))
