"""The weight of meaning and words that a collection is calibrated to."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from ragline.config.settings import Retrieval
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.records.calibrations import Tuned
from ragline.connectors.records.store import Records
from ragline.retrieval.calibrate import MIN_PASSAGES, WEIGHTS, Sampled, calibrate, chosen, parts_of
from ragline.retrieval.plan import UNCALIBRATED, planned
from ragline.types import Calibration

SUBJECTS = 60
SYNONYMS = 12


class Thesaurus:
    """An embedder that knows which made-up words mean the same, `kobi3` and `kobi7`, or, without `wise`, nothing."""

    model_id, dimension, max_tokens = "thesaurus", 64, 512

    def __init__(self, *, wise: bool) -> None:
        self._wise = wise

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def embed_passages(self, texts: Sequence[str]) -> Matrix:
        return np.stack([self.vector(text) for text in texts])

    async def embed_query(self, text: str) -> Matrix:
        return self.vector(text)

    async def close(self) -> None:
        return

    def vector(self, text: str) -> Matrix:
        roots = [word.rstrip("0123456789.") for word in text.lower().split()]
        meant = roots if self._wise else [str(random.Random(text).random())]
        total = sum((np.random.default_rng([ord(c) for c in root]).normal(size=64) for root in meant), np.zeros(64))
        unit: Matrix = (total / np.linalg.norm(total)).astype(np.float32)
        return unit


def passage(subject: int, *, repeats: bool) -> str:
    """Four sentences about one subject: in the same words again, or in others that mean the same."""
    drawn = random.Random(subject)
    roots = ["".join(drawn.choices("bcdfglmnprstvz", k=5)) for _ in range(6)]
    sentences = []
    for number in range(4):
        words = [root if repeats else f"{root}{number}" for root in drawn.sample(roots, 6)]
        sentences.append(" ".join(words).capitalize() + ".")
    return " ".join(sentences)


async def calibrated(*, wise: bool, repeats: bool) -> Calibration:
    embedder = Thesaurus(wise=wise)
    texts = [passage(subject, repeats=repeats) for subject in range(SUBJECTS)]
    sample = [Sampled(text, "xx", "", embedder.vector(text).tolist()) for text in texts]
    found = await calibrate(embedder, sample, Retrieval())
    assert found is not None
    assert found == await calibrate(embedder, sample, Retrieval())
    return found


def at_best(found: Calibration) -> bool:
    """Tell whether the weight that was found is as good as the better search alone."""
    assert found.dense_weight is not None
    return found.curve[WEIGHTS.index(found.dense_weight)] >= max(found.curve[0], found.curve[-1]) - 0.02


async def test_where_words_do_not_recur_meaning_counts() -> None:
    found = await calibrated(wise=True, repeats=False)
    assert (found.curve[0] < 0.2, found.curve[-1] > 0.9) == (True, True)
    assert at_best(found)


async def test_where_the_model_knows_nothing_words_count() -> None:
    found = await calibrated(wise=False, repeats=True)
    assert (found.curve[0] > 0.9, found.curve[-1] < 0.3) == (True, True)
    assert at_best(found)


async def test_a_small_collection_tells_nothing() -> None:
    embedder = Thesaurus(wise=True)
    text = passage(1, repeats=True)
    sample = [Sampled(text, "xx", "", embedder.vector(text).tolist())] * (MIN_PASSAGES - 1)
    assert await calibrate(embedder, sample, Retrieval()) is None
    assert await calibrate(embedder, [], Retrieval()) is None
    wordless = [Sampled("夏はどこ", "ja", "", embedder.vector("a").tolist())] * 100
    assert await calibrate(embedder, wordless, Retrieval()) is None


def test_a_weight_far_from_the_usual_must_win_more_than_chance() -> None:
    flat = np.full((len(WEIGHTS), 100), 0.8)
    assert chosen(flat) == UNCALIBRATED
    by_chance, better = flat.copy(), flat.copy()
    by_chance[-1, :2], by_chance[-1, 2] = 1.0, 0.6
    better[-1, :50] = 1.0
    assert (chosen(by_chance), chosen(better), chosen(flat * 0)) == (UNCALIBRATED, 1.0, UNCALIBRATED)


def test_a_text_without_sentences_is_taken_in_pieces() -> None:
    assert parts_of("one two three. " * 2) != []
    assert [len(part.split()) for part in parts_of("mot " * 40)] == [16, 16, 8]


FOUND = Calibration(0.7, "distribution", size=90, questions=80, passages=90, noise_mean=0.75, noise_deviation=0.02)


@pytest.mark.parametrize(
    ("settings", "tuned", "weight"),
    [
        pytest.param({}, [], UNCALIBRATED, id="nothing-known"),
        pytest.param({}, [Tuned(FOUND)], 0.7, id="calibrated"),
        pytest.param({"dense_weight": 0.2}, [Tuned(FOUND)], 0.2, id="settings-are-stronger"),
        pytest.param({"dense_weight": 0.2}, [Tuned(FOUND, 0.9)], 0.9, id="options-are-strongest"),
        pytest.param({"fusion": "rrf"}, [Tuned(FOUND)], UNCALIBRATED, id="of-another-fusion"),
        pytest.param({}, [Tuned(Calibration(None, "distribution"))], UNCALIBRATED, id="too-small"),
        pytest.param({}, [Tuned(FOUND), Tuned(None, 0.3)], 0.5, id="several-together"),
    ],
)
def test_which_weight_counts(settings: dict[str, object], tuned: list[Tuned], weight: float) -> None:
    assert planned(Retrieval.model_validate(settings), tuned).dense_weight == pytest.approx(weight)


async def test_what_was_found_is_kept_until_the_collection_is_gone(records: Records) -> None:
    ada = await records.users.add(name="Ada", email="ada@example.org", role="user", password_hash=None)
    options = {"retrieval": {"min_relevance": 0.2}}
    kept = await records.collections.add(user_id=ada.id, name="kept", description="", options=options)
    plain = await records.collections.add(user_id=ada.id, name="plain", description="")
    await records.calibrations.keep(kept.id, "m", Calibration(0.5, "rrf"))
    await records.calibrations.keep(kept.id, "m", FOUND)
    assert await records.calibrations.known("m") == {kept.id: Tuned(FOUND, None, 0.2)}
    assert await records.calibrations.known("other") == {kept.id: Tuned(None, None, 0.2)}
    await records.calibrations.keep(plain.id, "m", FOUND)
    await records.collections.delete(kept.id)
    records.calibrations.forget()
    assert await records.calibrations.known("m") == {plain.id: Tuned(FOUND)}
