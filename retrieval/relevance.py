"""How likely a passage has to do with a question: what lets a search find nothing instead of the nearest noise.

From two facts: the cosine, and how many of the question's words the passage has. A word counts more, the fewer of the
passages that were found have it, so that `capital` does not stand for `Mongolia`; of the forms that a word is searched
for in, French, English and unstemmed, only those count that a passage in its language can have. Fitted by logistic
regression on 1,687 pairs of question and passage from four sets, French and English; at 0.05, 1 % of their questions
lose what answers them.

A passage in another language shares no words. It is judged by its cosine alone, and little is left out, where it is
nearer than all that are in the question's language: to the embedding model those look nearer than they are, noise too.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from ragline.connectors.vectors.bm25 import passage_vector
from ragline.connectors.vectors.protocol import Query
from ragline.language import language_of
from ragline.pipelines.chunking.embedded import text_to_embed
from ragline.types import Hit, Passage

COSINE, COVERAGE, BIAS = 109.3, 11.3, -94.6
"""Of the packaged model: cosines of noise and of answers are at known places."""
FOREIGN_COSINE, FOREIGN_BIAS = 100.0, -80.4
"""For passages in another language that are nearer than those in the question's."""
FOREIGN_MARGIN = 0.005
"""How much nearer, as cosine: so is what answers 37 of 43 questions in the other language, and noise for 3 of 72."""
DISTANCE, DISTANT_COVERAGE, DISTANT_BIAS = 1.51, 13.8, -7.72
"""Of another model: the distance from the mean cosine of noise, in its standard deviations."""

FORMS = ("fr", "en", "")
"""What the words of a question are stemmed as: `query_vector` asks for all of these forms at once."""

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
    question: str,
    query: Query,
    hits: Sequence[Hit],
    *,
    packaged: bool,
    noise: Noise | None = None,
    known: Mapping[str, frozenset[int]] | None = None,
) -> list[Hit]:
    """Return the hits with their `relevance`, 0 to 1; `question` is what `query` was made of, or its last turn.

    `known` are the words of passages by their ids, as the store has them; of others they are analysed: 0.4 ms each.
    Of a model that is not `packaged` the noise has to be known, and the question must have words; else every hit has 1.
    """
    if not query.sparse.indices or (not packaged and noise is None):
        return list(hits)
    language = language_of(question)
    covered = coverages(question, query, hits, known or {})
    if not packaged and noise is not None:
        return [replace(hit, relevance=distant(hit, part, noise)) for hit, part in zip(hits, covered, strict=True)]
    nearest = max((hit.cosine for hit in hits if hit.passage.chunk.language == language), default=-1.0)
    return [
        replace(hit, relevance=near(hit, part, is_foreign=is_foreign(hit, language, nearest)))
        for hit, part in zip(hits, covered, strict=True)
    ]


def is_foreign(hit: Hit, language: str, nearest: float) -> bool:
    """Tell whether a passage is in another language than the question, and nearer than all that are in that one."""
    return hit.passage.chunk.language != language and hit.cosine >= nearest + FOREIGN_MARGIN


def near(hit: Hit, covered: float, *, is_foreign: bool) -> float:
    cosine, bias = (FOREIGN_COSINE, FOREIGN_BIAS) if is_foreign else (COSINE, BIAS)
    return logistic(cosine * hit.cosine + COVERAGE * covered + bias)


def distant(hit: Hit, covered: float, noise: Noise) -> float:
    distance = (hit.cosine - noise.mean) / max(noise.deviation, 1e-6)
    return logistic(DISTANCE * distance + DISTANT_COVERAGE * covered + DISTANT_BIAS)


def coverages(question: str, query: Query, hits: Sequence[Hit], known: Mapping[str, frozenset[int]]) -> list[float]:
    """Return for each hit the part of the question's words that it has, or the titles above it, from 0 to 1."""
    asked = dict(zip(query.sparse.indices, query.sparse.values, strict=True))
    held = [asked.keys() & (known.get(hit.passage.id) or words_of(hit.passage)) for hit in hits]
    holding = Counter(word for words in held for word in words)
    weights = {word: weight * rarity(holding[word], len(hits)) for word, weight in asked.items()}
    languages = [hit.passage.chunk.language for hit in hits]
    possible = possible_words(question, weights, set(languages))
    return [share(words, possible[language]) for words, language in zip(held, languages, strict=True)]


def possible_words(question: str, weights: Mapping[int, float], languages: set[str]) -> dict[str, Mapping[int, float]]:
    """Return by language the weights of the words that a passage in it can have; all, if it can have none of them."""
    forms = {language: frozenset(passage_vector(question, language).indices) for language in languages.union(FORMS)}
    every = frozenset(word for form in FORMS for word in forms[form])
    impossible = {language: every - forms[language] for language in languages}
    return {
        language: {word: weight for word, weight in weights.items() if word not in impossible[language]} or weights
        for language in languages
    }


def words_of(passage: Passage) -> frozenset[int]:
    """Return the words of a passage as they are stored."""
    chunk = passage.chunk
    return frozenset(passage_vector(text_to_embed(chunk, passage.name), chunk.language).indices)


def rarity(holding: int, count: int) -> float:
    """Return the weight of a word that `holding` of `count` passages have: ln 2 where all do, ln(count + 2) where none.

    The inverse document frequency of BM25 would give what all have hardly any; of few passages it tells too much.
    """
    return math.log(2 + (count - holding) / (holding + 1))


def share(words: Set[int], weights: Mapping[int, float]) -> float:
    """Return the part of `weights` that is of these words."""
    return sum(weight for word, weight in weights.items() if word in words) / sum(weights.values())


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))
