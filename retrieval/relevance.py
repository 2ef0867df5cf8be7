"""How likely a passage has to do with a question: what lets a search find nothing instead of the nearest noise.

From two facts: the cosine, and how many of the question's words the passage has. Fitted by logistic regression on 4,981
pairs: passages that answer 1,125 questions of four sets, French and English, and the best three found for 1,200
questions of another set. At 0.05, 1 % of the questions lose what answers them, and for 81 % of those that nothing
answers nothing is found. Where most of what was found is in another language than the question, words are not shared;
only the cosine counts there, and little is left out: what answers 24 French questions in English has .75 to .88, noise
.76 to .83. A single passage in another language says nothing: of a list of references the language is a guess.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from ragline.connectors.vectors.bm25 import passage_vector
from ragline.connectors.vectors.protocol import Query
from ragline.types import Hit

COSINE, COVERAGE, BIAS = 93.9, 15.5, -82.2
"""Of the packaged model: cosines of noise and of answers are at known places."""
FOREIGN_COSINE, FOREIGN_BIAS = 100.0, -79.4
"""For passages in another language, where most are."""
DISTANCE, DISTANT_COVERAGE, DISTANT_BIAS = 1.67, 20.3, -8.4
"""Of another model: the distance from the mean cosine of noise, in its standard deviations."""

OF_A_DOCUMENT = re.compile(
    r"\b(?:documents?|fichiers?|textes?|pi[eè]ces? jointes?|pages?|collections?|corpus|passages?|extraits?|contenus?"
    r"|r[ée]sum\w*|synth[eè]\w*|tradui\w*|reformul\w*|files?|texts?|attachments?|contents?|excerpts?|summar\w*"
    r"|overview|translat\w*|rephrase\w*|paraphras\w*|tl;?dr)\b",
    re.IGNORECASE,
)
"""Questions about documents as such: no passage says what they are about, so none is irrelevant."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Cosines between questions and passages that have nothing to do with each other: mean and standard deviation."""

    mean: float
    deviation: float


GREETING = re.compile(
    r"[\W\d_]*(?:(?:bonjour|bonsoir|salut|coucou|merci|beaucoup|bien|ok|d'accord|super|parfait|au revoir|hello|hi|hey"
    r"|thanks|thank you|thx|great|good (?:morning|evening)|bye)[\W\d_]*){0,6}",
    re.IGNORECASE,
)
"""What asks nothing."""


def asks_nothing(question: str) -> bool:
    """Tell whether a question is a greeting, thanks, or has no letters at all."""
    return len(question) <= 200 and GREETING.fullmatch(question) is not None


def is_about_documents(question: str) -> bool:
    """Tell whether a question is about what was given as such, as in `summarise this document`."""
    return OF_A_DOCUMENT.search(question) is not None


def judged(
    query: Query, hits: Sequence[Hit], *, language: str, packaged: bool, noise: Noise | None = None
) -> list[Hit]:
    """Return the hits with their `relevance`, 0 to 1; `language` is the question's.

    Of a model that is not `packaged` the noise has to be known, and the question must have words; else every hit has 1.
    """
    asked = dict(zip(query.sparse.indices, query.sparse.values, strict=True))
    if not asked or (not packaged and noise is None):
        return list(hits)
    foreign = sum(hit.passage.chunk.language != language for hit in hits) * 2 > len(hits)
    judge = partial(relevance, asked=asked, language=language if foreign else None, noise=None if packaged else noise)
    return [replace(hit, relevance=judge(hit)) for hit in hits]


def relevance(hit: Hit, *, asked: dict[int, float], language: str | None, noise: Noise | None) -> float:
    """Return the relevance of one passage; `language` is the question's, where most passages are in another."""
    chunk = hit.passage.chunk
    covered = coverage(hit, asked)
    if noise is not None:
        distance = (hit.cosine - noise.mean) / max(noise.deviation, 1e-6)
        return logistic(DISTANCE * distance + DISTANT_COVERAGE * covered + DISTANT_BIAS)
    if language is not None and chunk.language != language:
        return logistic(FOREIGN_COSINE * hit.cosine + COVERAGE * covered + FOREIGN_BIAS)
    return logistic(COSINE * hit.cosine + COVERAGE * covered + BIAS)


def coverage(hit: Hit, asked: dict[int, float]) -> float:
    """Return the part of the question's words that a passage, its titles or its lead have, by their weights."""
    chunk = hit.passage.chunk
    said = "\n".join(filter(None, (chunk.heading, chunk.lead, chunk.text)))
    words = words_of(said, chunk.language)
    return sum(weight for word, weight in asked.items() if word in words) / sum(asked.values())


@lru_cache(maxsize=1024)
def words_of(text: str, language: str) -> frozenset[int]:
    """Return the ids of a passage's words; 0.4 ms where it is not known. Kept for the last ones: some 10 MB."""
    return frozenset(passage_vector(text, language).indices)


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))
