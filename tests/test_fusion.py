"""How two orders of the same passages become one."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from ragline.config.settings import Fusion
from ragline.retrieval.fusion import fuse
from ragline.types import Hit
from tests.vectors.made import point

FUSIONS: tuple[Fusion, ...] = get_args(Fusion)


def hit(name: str, *, cosine: float, lexical: float) -> Hit:
    return Hit(replace(point(name).passage, id=name), 0.0, cosine, lexical)


def order(hits: list[Hit]) -> list[str]:
    return [each.passage.id for each in hits]


HITS = [
    hit("near", cosine=0.9, lexical=0.0),
    hit("both", cosine=0.89, lexical=4.0),
    hit("words", cosine=0.8, lexical=4.2),
    hit("neither", cosine=0.79, lexical=0.0),
]


@pytest.mark.parametrize("fusion", ["distribution", "minmax"])
def test_what_is_good_in_both_is_best(fusion: Fusion) -> None:
    assert order(fuse(HITS, fusion, dense_weight=0.5))[0] == "both"


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_weight_of_all_or_nothing_is_one_order_alone(fusion: Fusion) -> None:
    assert order(fuse(HITS, fusion, dense_weight=1.0)) == ["near", "both", "words", "neither"]
    assert order(fuse(HITS, fusion, dense_weight=0.0))[:2] == ["words", "both"]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_without_a_common_word_only_meaning_counts(fusion: Fusion) -> None:
    wordless = [replace(each, lexical=0.0) for each in reversed(HITS)]
    assert order(fuse(wordless, fusion, dense_weight=0.1)) == ["near", "both", "words", "neither"]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_one_hit_and_none_are_no_error(fusion: Fusion) -> None:
    assert fuse([], fusion, dense_weight=0.5) == []
    assert order(fuse(HITS[:1], fusion, dense_weight=0.5)) == ["near"]


def test_scores_are_distances_from_the_mean_in_standard_deviations() -> None:
    """Cosines .8 and .6: mean .7, deviation .1; BM25 scores 0 and 8: mean 4, deviation 4."""
    fused = fuse([hit("a", cosine=0.8, lexical=0), hit("b", cosine=0.6, lexical=8)], "distribution", dense_weight=0.75)
    assert {each.passage.id: each.score for each in fused} == pytest.approx({"a": 0.5, "b": -0.5})


def test_scores_are_parts_of_the_range() -> None:
    three = [hit("a", cosine=0.8, lexical=1), hit("b", cosine=0.7, lexical=5), hit("c", cosine=0.6, lexical=0)]
    fused = fuse(three, "minmax", dense_weight=0.5)
    assert {each.passage.id: each.score for each in fused} == pytest.approx({"a": 0.6, "b": 0.75, "c": 0.0})


def test_scores_are_reciprocal_ranks_with_k_60() -> None:
    fused = fuse(HITS, "rrf", dense_weight=0.5)
    assert {each.passage.id: each.score for each in fused} == pytest.approx(
        {"both": (1 / 62 + 1 / 62) / 2, "words": (1 / 63 + 1 / 61) / 2, "near": 1 / 61 / 2, "neither": 1 / 64 / 2}
    )
