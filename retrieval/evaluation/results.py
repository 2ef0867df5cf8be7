"""What an evaluation found out: for each configuration the values of each way to search, question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from ragline.retrieval.evaluation.metrics import MAIN, METRICS, Numbers, intervals, recalls, scores
from ragline.retrieval.evaluation.sets import Asked, Note, QuestionSet

Row: TypeAlias = Literal["dense", "bm25", "fused", "reranked", "answer"]

ROWS: Sequence[Row] = ("dense", "bm25", "fused", "reranked", "answer")
"""By meaning alone, by words alone, both fused, reranked, and what an answer gets: top_k passages that are relevant."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A result as a report shows it: what it is called, and its beginning. `right`: it was wanted."""

    label: str
    text: str
    right: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What one search of one question came to: the order of each row, best first, and the first results of the last.

    `notes` are those of the search, such as a reranker that did not answer.
    """

    rankings: Mapping[Row, Sequence[str]]
    shown: Sequence[Shown]
    embed_s: float
    search_s: float
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over questions and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration by name, what it sets otherwise than the settings, and what it says of itself."""

    name: str
    overrides: Mapping[str, str]
    says: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """A configuration on a set. `values` have a row a question and a column for each of METRICS, `curves` for CURVE.

    `left_out` says why a row is not there, as a key of `words.py`; `notes` count what the searches said.
    """

    configuration: Configuration
    values: Mapping[Row, Numbers]
    curves: Mapping[Row, Sequence[float]]
    figures: Mapping[Row, Sequence[Figure]]
    shown: Sequence[Sequence[Shown]]
    embed_s: Sequence[float]
    search_s: Sequence[float]
    left_out: Mapping[Row, str] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def head(self) -> Row:
        """The row that stands for the configuration: the order that answers are made of."""
        return "reranked" if "reranked" in self.values else "fused"

    @property
    def main(self) -> Numbers:
        """nDCG@10 of each question, of that row."""
        return self.values[self.head][:, 0]

    def figure(self, metric: str = MAIN, row: Row | None = None) -> Figure:
        return self.figures[row or self.head][METRICS.index(metric)]


def measured(
    configuration: Configuration,
    questions: Sequence[Asked],
    trials: Sequence[Trial],
    *,
    left_out: Mapping[Row, str],
) -> Measured:
    """Judge what the searches of all questions, in their order, came to. Computes for a second with 4,000 of them."""
    rows = [row for row in ROWS if all(row in trial.rankings for trial in trials)]
    judged = list(zip(questions, trials, strict=True))
    values = {row: np.array([scores(trial.rankings[row], one.wanted) for one, trial in judged]) for row in rows}
    curves = {
        row: np.array([recalls(trial.rankings[row], one.wanted) for one, trial in judged]).mean(axis=0).tolist()
        for row in rows
    }
    notes: dict[str, int] = {}
    for trial in trials:
        for note in trial.notes:
            notes[note] = notes.get(note, 0) + 1
    return Measured(
        configuration,
        values,
        curves,
        {row: figures(values[row]) for row in rows},
        [trial.shown for trial in trials],
        [trial.embed_s for trial in trials if trial.embed_s > 0],
        [trial.search_s for trial in trials],
        {row: why for row, why in left_out.items() if row not in rows},
        notes,
    )


def figures(values: Numbers) -> list[Figure]:
    low, high = intervals(values)
    return [Figure(*map(float, three)) for three in zip(values.mean(axis=0), low, high, strict=True)]


def by_collection(questions: Sequence[Asked], one: Measured) -> dict[str, tuple[int, list[Figure]]]:
    """Return the number of questions and the figures of each collection, where the set names more than one."""
    named: dict[str, list[int]] = {}
    for number, question in enumerate(questions):
        named.setdefault(question.collection or "", []).append(number)
    if len(named) < 2:
        return {}
    return {name: (len(rows), figures(one.values[one.head][rows])) for name, rows in sorted(named.items())}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One run: a set, one configuration or two, and where and when. `at` is in Unix seconds.

    `about` names versions, the embedding model and how much was searched; `notes` are for the user.
    """

    set: QuestionSet
    configurations: Sequence[Measured]
    at: float
    about: Mapping[str, str]
    notes: Sequence[Note] = ()
