"""Two configurations on the same questions: is the difference more than chance?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ragline.retrieval.evaluation.metrics import SEED, Numbers, intervals

FLIPS = 10_000
FLIPPED_TOGETHER = 500
EXACT_PAIRS = 13
"""With so many questions that differ, all ways to flip their signs are tried instead of some: 8,192."""
EQUAL = 1e-9
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changes from the first configuration to the second, by the mean over questions, with its 95 % interval.

    `p`: how often chance alone would make a difference at least as large. `differences` are of each question.
    """

    mean: float
    low: float
    high: float
    p: float
    wins: int
    losses: int
    ties: int
    differences: Sequence[float]

    @property
    def significant(self) -> bool:
        return self.p < SIGNIFICANT


def compare(first: Numbers, second: Numbers) -> Comparison:
    """Compare two configurations by the values of the same questions in the same order."""
    differences = second - first
    low, high = intervals(differences[:, np.newaxis])
    return Comparison(
        mean=float(differences.mean()),
        low=float(low[0]),
        high=float(high[0]),
        p=randomized(differences),
        wins=int((differences > EQUAL).sum()),
        losses=int((differences < -EQUAL).sum()),
        ties=int((np.abs(differences) <= EQUAL).sum()),
        differences=differences.tolist(),
    )


def randomized(differences: Numbers) -> float:
    """Return the two-sided p-value of the paired randomization test (Fisher's), 1 where nothing differs.

    If both configurations were as good, each question could as well have come out the other way round: the signs of
    the differences are flipped at random, and counted is how often their mean is as far from 0 as it was.
    """
    unequal = differences[np.abs(differences) > EQUAL]
    if not len(unequal):
        return 1.0
    observed = abs(unequal.sum()) - EQUAL
    if len(unequal) <= EXACT_PAIRS:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(unequal))))
        return float((np.abs(signs @ unequal) >= observed).mean())
    rng = np.random.default_rng(SEED)
    as_far = 0
    for _ in range(FLIPS // FLIPPED_TOGETHER):
        signs = rng.integers(0, 2, size=(FLIPPED_TOGETHER, len(unequal))) * 2.0 - 1.0
        as_far += int((np.abs(signs @ unequal) >= observed).sum())
    return (as_far + 1) / (FLIPS + 1)
