"""Which weight of meaning and words finds best in a collection, told by questions made from its own passages.

A few words of a sentence are the question, the passage without that sentence is what should be found, among all others:
the inverse cloze task (Lee, Chang, Toutanova, ACL 2019). So a question shares with its passage what the rest of it is
about, not its wording, and neither search is favoured. Measured on four sets, whole and with one of both searches
made bad: the weight found is at most .008 nDCG@10 below the better search alone, where 0.5 for all loses up to .066.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragline.config.settings import Retrieval
from ragline.connectors.embedders.protocol import Embedder
from ragline.connectors.models.extractive import split_sentences
from ragline.connectors.vectors.bm25 import passage_vector, query_vector
from ragline.pipelines.chunking.embedded import heading_to_embed
from ragline.retrieval.fusion import FUSIONS
from ragline.retrieval.plan import UNCALIBRATED
from ragline.types import Calibration, Passage, SparseVector

Numbers = npt.NDArray[np.float64]

QUESTIONS = 100
"""Passages that questions are made of: 4 to 8 s of CPU with the packaged model."""
MIN_PASSAGES = 40
"""Fewer tell nothing."""
MOST_PASSAGES = 1000
"""Passages among which is searched: a sample of larger collections."""
QUESTION_WORDS = (5, 8)
"""Of each passage a question of either length."""
MIN_SENTENCES = 3
SPAN_WORDS = 16
"""What stands for a sentence where none can be told."""
CANDIDATES = 50
DEPTH = 10
WEIGHTS = tuple(round(step / 20, 2) for step in range(21))
CAUTION = 1.0
"""Standard errors that a weight may be below the best and still be as good: the rule of Breiman et al., 1984."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A passage of a collection: what is embedded `before` its text, and its dense vector."""

    text: str
    language: str
    before: str
    vector: Sequence[float]

    @classmethod
    def of(cls, passage: Passage, vector: Sequence[float], *, name: str, prefix: bool) -> Sampled:
        """Return a passage with what is embedded before it: titles and `name` with `prefix`, and its lead."""
        heading = heading_to_embed(passage.chunk, name) if prefix else ""
        before = "\n".join(filter(None, (heading, passage.chunk.lead)))
        return cls(passage.chunk.text, passage.chunk.language, before, vector)

    def above(self, text: str) -> str:
        """Return a text below what stands before this one."""
        return "\n".join(filter(None, (self.before, text)))


@dataclass(frozen=True, slots=True)
class Cloze:
    """A question, where its passage stands in the sample, and what is left of that without the sentence."""

    question: str
    at: int
    rest: str


async def calibrate(
    embedder: Embedder, sample: Sequence[Sampled], settings: Retrieval, *, seed: int = 0
) -> Calibration | None:
    """Return the weight that finds best; None where the sample is too small, or has too few sentences, to tell.

    The same sample gives the same answer.
    """
    sample = sample[:MOST_PASSAGES]
    made = await asyncio.to_thread(clozes, sample, seed)
    if len(sample) < MIN_PASSAGES or len(made) < MIN_PASSAGES:
        return None
    left = {cloze.at: sample[cloze.at].above(cloze.rest) for cloze in made}
    rests = dict(zip(left, await embedder.embed_passages(list(left.values())), strict=True))
    asked = np.stack([await embedder.embed_query(cloze.question) for cloze in made])
    vectors = np.array([each.vector for each in sample], dtype=np.float32)
    cosines = (asked @ vectors.T).astype(np.float64)
    noise = float(cosines.mean()), float(cosines.std())
    for row, cloze in enumerate(made):
        cosines[row, cloze.at] = float(asked[row] @ rests[cloze.at])
    words = await asyncio.to_thread(lexical_scores, sample, made, settings)
    gains = await asyncio.to_thread(gains_of, cosines, words, [cloze.at for cloze in made], settings)
    return Calibration(
        dense_weight=chosen(gains),
        curve=tuple(round(float(gain), 4) for gain in gains.mean(axis=1)),
        fusion=settings.fusion,
        questions=len(made),
        passages=len(sample),
        noise_mean=round(noise[0], 5),
        noise_deviation=round(noise[1], 5),
    )


def clozes(sample: Sequence[Sampled], seed: int) -> list[Cloze]:
    """Return the questions, for at most QUESTIONS passages, drawn by chance."""
    drawn = random.Random(seed)  # nothing secret
    made: list[Cloze] = []
    for at in drawn.sample(range(len(sample)), len(sample)):
        sentences = [each for each in parts_of(sample[at].text) if len(each.split()) > max(QUESTION_WORDS) // 2]
        if len(sentences) < MIN_SENTENCES:
            continue
        sentence = drawn.choice(sentences)
        rest = " ".join(each for each in parts_of(sample[at].text) if each != sentence)
        for length in QUESTION_WORDS:
            words = sentence.split()
            start = drawn.randint(0, max(0, len(words) - length))
            made.append(Cloze(" ".join(words[start : start + length]), at, rest))
        if len(made) >= QUESTIONS * len(QUESTION_WORDS):
            break
    return made


def parts_of(text: str) -> list[str]:
    """Return the sentences of a text, or where it has hardly any, pieces of SPAN_WORDS words."""
    sentences = split_sentences(text)
    if len(sentences) >= MIN_SENTENCES:
        return sentences
    words = text.split()
    return [" ".join(words[start : start + SPAN_WORDS]) for start in range(0, len(words), SPAN_WORDS)]


def lexical_scores(sample: Sequence[Sampled], made: Sequence[Cloze], settings: Retrieval) -> Numbers:
    """Return BM25 scores, shape (questions, passages); how rare a word is, is told from the sample."""
    k1, b = settings.bm25_k1, settings.bm25_b
    weights = [weights_of(passage_vector(each.above(each.text), each.language, k1=k1, b=b)) for each in sample]
    holding: dict[int, dict[int, float]] = {}
    for at, vector in enumerate(weights):
        for word, weight in vector.items():
            holding.setdefault(word, {})[at] = weight
    scores = np.zeros((len(made), len(sample)))
    for row, cloze in enumerate(made):
        passage = sample[cloze.at]
        rest = weights_of(passage_vector(passage.above(cloze.rest), passage.language, k1=k1, b=b))
        for word, asked in weights_of(query_vector(cloze.question)).items():
            held = holding.get(word, {})
            rarity = asked * np.log(1 + (len(sample) - len(held) + 0.5) / (len(held) + 0.5))
            for at, weight in held.items():
                if at != cloze.at:
                    scores[row, at] += rarity * weight
            scores[row, cloze.at] += rarity * rest.get(word, 0.0)
    return scores


def weights_of(vector: SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices, vector.values, strict=True))


def gains_of(cosines: Numbers, words: Numbers, wanted: Sequence[int], settings: Retrieval) -> Numbers:
    """Return nDCG@10, shape (WEIGHTS, questions); both scores have shape (questions, passages)."""
    scored = FUSIONS[settings.fusion]
    gains = np.zeros((len(WEIGHTS), len(wanted)))
    for row, (dense, lexical, at) in enumerate(zip(cosines, words, wanted, strict=True)):
        most = min(CANDIDATES, len(dense))
        found = np.union1d(np.argsort(-dense, kind="stable")[:most], np.argsort(-lexical, kind="stable")[:most])
        if at not in found:
            continue
        one, two, place = scored(dense[found]), scored(lexical[found]), int(np.flatnonzero(found == at)[0])
        for step, weight in enumerate(WEIGHTS):
            fused = weight * one + (1 - weight) * two
            better, alike = (fused > fused[place]).sum(), (fused == fused[place]).sum()
            rank = 1 + better + (alike - 1) / 2
            gains[step, row] = 1 / np.log2(rank + 1) if rank <= DEPTH else 0.0
    return gains


def chosen(gains: Numbers) -> float:
    """Return the weight nearest to UNCALIBRATED that is as good as the best, as far as these questions can tell."""
    best = gains[int(gains.mean(axis=1).argmax())]
    lost = best - gains
    errors = lost.std(axis=1) / np.sqrt(gains.shape[1])
    good = [
        weight
        for weight, loss, error in zip(WEIGHTS, lost.mean(axis=1), errors, strict=True)
        if loss <= CAUTION * error + 1e-12
    ]
    return min(good, key=lambda weight: (abs(weight - UNCALIBRATED), weight))
