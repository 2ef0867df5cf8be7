"""Texts longer than a model reads: cut into windows, and the windows' vectors made into one again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ragline.connectors.embedders.protocol import Matrix


def normalise(vectors: Matrix) -> Matrix:
    """Return the rows with length 1 (L2). Raises ValueError where a row has no direction: all zero, or not finite."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError("a vector is zero or not finite")
    return np.asarray(vectors / lengths, np.float32)


def merge(vectors: Matrix, owners: Sequence[int], sizes: Sequence[int], *, count: int) -> Matrix:
    """Return one vector for each of `count` texts: the mean of its windows weighted by their sizes, of length 1 (L2).

    Row i of `vectors` is a window of text `owners[i]` that is `sizes[i]` > 0 long. Raises ValueError as `normalise`.
    """
    merged = np.zeros((count, vectors.shape[1]), np.float32)
    np.add.at(merged, np.asarray(owners), vectors * np.asarray(sizes, np.float32)[:, None])
    return normalise(merged)


def cut(length: int, longest: int) -> list[slice]:
    """Return slices that cover 0..length in order, none over `longest`, nearly equal; one, empty, for length 0."""
    count = max(1, -(-length // longest))
    edges = [length * i // count for i in range(count + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]
