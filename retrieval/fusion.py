"""Two orders of the same passages, by meaning and by words, become one.

All scores are known for all candidates, whichever search found them, so no passage is ranked by the lack of a score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ragline.config.settings import Fusion
from ragline.types import Hit

Scores = npt.NDArray[np.float64]

RRF_K = 60
"""Of reciprocal rank fusion: Cormack, Clarke, Büttcher, SIGIR 2009."""

ALIKE = 1e-9
"""Scores with less spread than that do not tell passages apart."""


def fuse(hits: Sequence[Hit], fusion: Fusion, *, dense_weight: float) -> list[Hit]:
    """Return the hits with a fused `score`, best first; equal ones by cosine.

    Where no passage has a word of the question, or all have the same score, only the other order counts.
    """
    if not hits:
        return []
    scored = FUSIONS[fusion]
    cosines = np.array([hit.cosine for hit in hits])
    lexical = np.array([hit.lexical for hit in hits])
    scores = dense_weight * scored(cosines) + (1 - dense_weight) * scored(lexical)
    fused = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
    return sorted(fused, key=lambda hit: (-hit.score, -hit.cosine, hit.passage.id))


def standardized(scores: Scores) -> Scores:
    """Return scores as their distance from the mean, in standard deviations; all 0 where they are alike."""
    spread = float(scores.std())
    centered: Scores = scores - scores.mean()
    return centered / spread if spread > ALIKE else np.zeros_like(scores)


def scaled(scores: Scores) -> Scores:
    """Return scores from 0, the least, to 1, the greatest; all 0 where they are alike."""
    least, greatest = float(scores.min()), float(scores.max())
    return (scores - least) / (greatest - least) if greatest - least > ALIKE else np.zeros_like(scores)


def by_rank(scores: Scores) -> Scores:
    """Return 1 / (k + rank) for each, ranks from 1, those alike with the same one; 0 for a score of 0: it has none."""
    better = np.array([(scores > score).sum() for score in scores])
    ranks: Scores = np.where(scores == 0, 0.0, 1 / (RRF_K + 1 + better))
    return ranks


FUSIONS: Mapping[Fusion, Callable[[Scores], Scores]] = {
    "distribution": standardized,
    "minmax": scaled,
    "rrf": by_rank,
}
