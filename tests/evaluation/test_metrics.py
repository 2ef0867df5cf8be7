"""The figures of an order of results, worked out by hand, and as pytrec_eval computes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragline.retrieval.evaluation.compare import compare, randomized
from ragline.retrieval.evaluation.metrics import METRICS, intervals, percentiles, recalls, scores

FILLERS = [f"x{number}" for number in range(200)]


@pytest.mark.parametrize(
    ("ranking", "wanted", "expected"),
    [
        pytest.param(["a", "b"], {"a": 1}, [1.0, 1.0, 1.0, 1.0, 1.0], id="first"),
        pytest.param(["x", "a"], {"a": 1}, [1 / math.log2(3), 1.0, 1.0, 1.0, 0.5], id="second"),
        pytest.param(["x", "y"], {"a": 1}, [0.0, 0.0, 0.0, 0.0, 0.0], id="absent"),
        pytest.param([], {"a": 1}, [0.0, 0.0, 0.0, 0.0, 0.0], id="nothing found"),
        pytest.param([*FILLERS[:9], "a"], {"a": 1}, [1 / math.log2(11), 0.0, 1.0, 1.0, 0.1], id="tenth"),
        pytest.param([*FILLERS[:10], "a"], {"a": 1}, [0.0, 0.0, 0.0, 1.0, 0.0], id="eleventh"),
        pytest.param([*FILLERS[:100], "a"], {"a": 1}, [0.0, 0.0, 0.0, 0.0, 0.0], id="beyond the depth"),
        # linear gain: 1 + 3 / log2(3) against 3 + 1 / log2(3); with 2 ** gain - 1 it would be .7098
        pytest.param(["b", "a"], {"a": 3, "b": 1}, [0.7967075809905066, 1.0, 1.0, 1.0, 1.0], id="graded"),
        pytest.param(["a"], {"a": 1, "b": 1}, [0.6131471927654584, 0.5, 0.5, 0.5, 1.0], id="half of it"),
    ],
)
def test_a_ranking_has_these_values(ranking: list[str], wanted: dict[str, int], expected: list[float]) -> None:
    assert len(METRICS) == len(expected)
    assert scores(ranking, wanted) == pytest.approx(expected)


def test_more_right_answers_than_ten_have_an_ideal_of_ten() -> None:
    wanted = {f"a{number}": 1 for number in range(20)}
    assert scores(list(wanted)[:10], wanted)[:3] == pytest.approx([1.0, 0.25, 0.5])


def test_recall_rises_with_k() -> None:
    assert recalls(["x", "a", *FILLERS[:20], "b"], {"a": 1, "b": 1}) == [0, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1]


def test_an_interval_is_the_same_every_time_and_holds_the_mean() -> None:
    values = np.array([[0.0], [1.0]] * 50)
    low, high = intervals(values)
    assert (low, high) == intervals(values)
    # the mean of 100 fair coins: 0.5 and 1.96 times 0.05 to either side
    assert low[0] == pytest.approx(0.402, abs=0.02)
    assert high[0] == pytest.approx(0.598, abs=0.02)


def test_values_that_are_all_alike_have_no_width() -> None:
    low, high = intervals(np.ones((7, 2)))
    assert low.tolist() == pytest.approx([1.0, 1.0])
    assert high.tolist() == pytest.approx([1.0, 1.0])


def test_percentiles_are_in_milliseconds() -> None:
    assert percentiles([0.001 * number for number in range(1, 101)]) == pytest.approx((50.5, 95.05))
    assert percentiles([]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        pytest.param([0.0, 0.0], 1.0, id="nothing differs"),
        pytest.param([0.5], 1.0, id="one question says nothing"),
        pytest.param([0.1] * 5, 2 / 32, id="five of five"),
        pytest.param([0.1] * 10, 2 / 1024, id="ten of ten"),
        pytest.param([0.1, 0.1, -0.1], 1.0, id="two of three"),
    ],
)
def test_few_differences_are_tested_exactly(differences: list[float], p: float) -> None:
    assert randomized(np.array(differences)) == pytest.approx(p)


def test_many_differences_are_tested_by_chance() -> None:
    assert randomized(np.array([0.1] * 30)) == pytest.approx(1 / 10_001)
    # 20 to 10: the binomial test has 2 * P(X >= 20 of 30) = 0.0987
    assert randomized(np.array([0.1] * 20 + [-0.1] * 10)) == pytest.approx(0.0987, abs=0.01)


def test_a_comparison_counts_wins_losses_and_ties() -> None:
    found = compare(np.array([0.5, 0.5, 1.0, 0.2]), np.array([1.0, 0.4, 1.0, 0.3]))
    assert (found.wins, found.losses, found.ties) == (2, 1, 1)
    assert found.mean == pytest.approx(0.125)
    assert found.low <= found.mean <= found.high
    assert not found.significant
    assert found.differences == pytest.approx([0.5, -0.1, 0.0, 0.1])
