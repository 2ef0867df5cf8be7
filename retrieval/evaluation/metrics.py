"""What an order of results is worth: nDCG@10, recall@k and MRR@10, each with the interval that chance leaves it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.float64]

METRICS = ("nDCG@10", "recall@5", "recall@10", "recall@100", "MRR@10")
MAIN = METRICS[0]
"""The metric that is compared, kept and guarded."""
CURVE = (1, 2, 3, 5, 10, 20, 50, 100)
"""The k of the curve of recall@k."""
DEPTH = 100
"""Results of a question that are looked at."""
CUT = 10

RESAMPLES = 2000
RESAMPLED_TOGETHER = 100
CONFIDENCE = 0.95
SEED = 20_251_123


def scores(ranking: Sequence[str], wanted: Mapping[str, int]) -> list[float]:
    """Return a number from 0 to 1 for each of METRICS, for one question.

    `ranking` has each result once, best first; `wanted` the relevance of each right one, above 0, at least one of
    them. nDCG is as trec_eval (pytrec_eval, BEIR) has it: the gain is the relevance itself, not 2 ** relevance - 1, the
    discount log2(rank + 1), and the ideal order has all that is wanted, whether or not it could have been found. Recall
    counts whatever is wanted once.
    """
    gains = [wanted.get(one, 0) for one in ranking[:DEPTH]]
    ideal = sorted(wanted.values(), reverse=True)
    ranks = [rank for rank, gain in enumerate(gains, start=1) if gain > 0]
    best = ranks[0] if ranks else DEPTH + 1
    return [
        discounted(gains[:CUT]) / discounted(ideal[:CUT]),
        *(sum(rank <= k for rank in ranks) / len(wanted) for k in (5, 10, 100)),
        1 / best if best <= CUT else 0.0,
    ]


def recalls(ranking: Sequence[str], wanted: Mapping[str, int]) -> list[float]:
    """Return recall@k of one question for each k of CURVE."""
    found = [one in wanted for one in ranking[:DEPTH]]
    return [sum(found[:k]) / len(wanted) for k in CURVE]


def discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def intervals(values: Numbers, *, seed: int = SEED) -> tuple[Numbers, Numbers]:
    """Return the lower and the upper ends of the means of columns: percentile bootstrap over the rows, 95 %.

    `values` has a row a question. The seed is fixed: the same values always have the same interval.
    """
    rng = np.random.default_rng(seed)
    count = len(values)
    means = [
        rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLED_TOGETHER) @ values / count
        for _ in range(RESAMPLES // RESAMPLED_TOGETHER)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), (tail, 1 - tail), axis=0)
    return low, high


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Return p50 and p95 in milliseconds; 0 where nothing was measured."""
    if not seconds:
        return 0.0, 0.0
    p50, p95 = np.quantile(np.asarray(seconds) * 1000, (0.5, 0.95))
    return float(p50), float(p95)
