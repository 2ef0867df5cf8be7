"""How one search is done: what the settings say, what its collection was calibrated to, and what the caller wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragline.app import App
from ragline.config.settings import Fusion, Retrieval
from ragline.connectors.records.calibrations import Tuned
from ragline.retrieval.relevance import Noise
from ragline.types import Calibration, Scope

UNCALIBRATED = 0.5
"""Weight of meaning where nothing is known of a collection: at most .004 nDCG@10 below the best on four sets."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How passages are found and ordered. `dense_weight` is of meaning, from 0 to 1; the rest is of words.

    `noise` is what cosines without any sense look like, where that was measured.
    """

    limit: int
    candidates: int
    fusion: Fusion
    dense_weight: float
    min_relevance: float
    diversity: float = 0.0
    recency: float = 0.0
    recency_half_life_days: float = 180.0
    rerank: bool = True
    noise: Noise | None = None


async def plan_for(app: App, scope: Scope | None, *, limit: int | None = None) -> Plan:
    """Return how a search in `scope` is done by the settings; `limit` in the place of retrieval.top_k.

    Several collections are searched with the mean of what they were calibrated to. Those that the scope does not name
    change nothing: they may be of people whose settings are none of the caller's business.
    """
    known = await app.records.calibrations.known(app.embedder.model_id)
    named = scope.collection_ids if scope is not None else frozenset()
    tuned = [known[name] for name in sorted(named) if name in known]
    return planned(app.settings.retrieval, tuned, limit=limit)


def planned(settings: Retrieval, tuned: Sequence[Tuned] = (), *, limit: int | None = None) -> Plan:
    """Return the plan of these settings for collections that are searched together.

    What was chosen for a collection is stronger than a dense_weight of the settings, and that than what was found.
    """
    noise = [Noise(each.noise_mean, each.noise_deviation) for each in findings(settings, tuned)]
    return Plan(
        limit=limit or settings.top_k,
        candidates=settings.candidates,
        fusion=settings.fusion,
        dense_weight=mean([weight_of(settings, each) for each in tuned or [UNTUNED]]),
        min_relevance=min(
            settings.min_relevance if each.min_relevance is None else each.min_relevance for each in tuned or [UNTUNED]
        ),
        diversity=settings.diversity,
        recency=settings.recency,
        recency_half_life_days=settings.recency_half_life_days,
        noise=Noise(mean([each.mean for each in noise]), mean([each.deviation for each in noise])) if noise else None,
    )


UNTUNED = Tuned()


def findings(settings: Retrieval, tuned: Sequence[Tuned]) -> list[Calibration]:
    """Return the calibrations that say something for these settings."""
    found = [each.found for each in tuned if each.found is not None]
    return [each for each in found if each.dense_weight is not None and each.fusion == settings.fusion]


def weight_of(settings: Retrieval, tuned: Tuned) -> float:
    """Return the weight of meaning for one collection."""
    found = [each.dense_weight for each in findings(settings, [tuned])]
    known = (tuned.dense_weight, settings.dense_weight, *found)
    return next((weight for weight in known if weight is not None), UNCALIBRATED)


def mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
