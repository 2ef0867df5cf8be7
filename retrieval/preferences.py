"""What else may count beside relevance: that passages are unlike each other, and that files are young."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import numpy as np
import numpy.typing as npt

from ragline.types import FileRecord, Hit, Json

Numbers = npt.NDArray[np.float64]

ALIKE = 1e-9
"""Scores with less spread than that do not tell passages apart."""

DAY_S = 86_400
LONGEST_DATE_CHARS = 64
WORD = re.compile(r"\w+")
WORD_BINS = 4096
"""Words are compared by a hash of so many values: of two texts of 150 words, some 5 meet by chance."""


def younger_first(
    hits: Sequence[Hit], ages_days: Mapping[str, float], *, weight: float, half_life_days: float
) -> list[Hit]:
    """Return the hits with the age of their files, by file id, in their `score`, best first.

    The score is (1 - weight) of the one before, scaled to 0..1 over these hits, and `weight` of the file's youth: 1 for
    a new one, half of that for each `half_life_days`. A file without an age is new. Weight 0 changes nothing.
    """
    if weight <= 0 or not hits:
        return list(hits)
    relevance = scaled(np.array([hit.score for hit in hits]))
    youth = [0.5 ** (ages_days.get(hit.passage.file_id, 0.0) / half_life_days) for hit in hits]
    scores = (1 - weight) * relevance + weight * np.array(youth)
    mixed = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
    return sorted(mixed, key=lambda hit: -hit.score)  # stable: equal ones keep their order


def diverse(hits: Sequence[Hit], vectors: Mapping[str, Sequence[float]], *, weight: float, limit: int) -> list[Hit]:
    """Return at most `limit` hits, each the best by score and by how unlike it is to those before it.

    Maximal marginal relevance (Carbonell, Goldstein, SIGIR 1998): `score` becomes (1 - weight) of the one before,
    scaled to 0..1 over these hits, less `weight` of the likeness to the most alike of the hits before; it never rises.
    Weight 0 changes nothing.
    """
    if weight <= 0 or not hits:
        return list(hits)[:limit]
    relevance = (1 - weight) * scaled(np.array([hit.score for hit in hits]))
    alike = likeness(hits, vectors)
    nearest = np.zeros(len(hits))
    chosen: list[Hit] = []
    for _ in range(min(limit, len(hits))):
        marginal = relevance - weight * nearest
        best = int(marginal.argmax())
        chosen.append(replace(hits[best], score=float(marginal[best])))
        nearest = np.maximum(nearest, alike[best])
        relevance[best] = -np.inf
    return chosen


def likeness(hits: Sequence[Hit], vectors: Mapping[str, Sequence[float]]) -> Numbers:
    """Return how alike each two hits are, shape (hits, hits): 1 for the same, 0 for those with nothing in common.

    By the cosine of their vectors, scaled so that 0 is the least cosine among these hits and to their question: models
    differ in what they give to texts that have nothing in common. Where one has no vector, by their common words.
    """
    known = [row for row, hit in enumerate(hits) if hit.passage.id in vectors]
    alike = np.zeros((len(hits), len(hits))) if len(known) == len(hits) else common_words(hits)
    if known:
        rows = np.array([vectors[hits[row].passage.id] for row in known], np.float64)
        cosines = np.clip(rows @ rows.T, -1, 1)
        least = min(float(cosines.min()), *(hits[row].cosine for row in known))
        alike[np.ix_(known, known)] = (cosines - least) / (1 - least) if least < 1 - ALIKE else 1.0
    return alike


def common_words(hits: Sequence[Hit]) -> Numbers:
    """Return the share of words that each two texts have in common, of all that one of them has (Jaccard)."""
    has = np.zeros((len(hits), WORD_BINS), np.float32)
    for row, hit in enumerate(hits):
        words = set(WORD.findall(hit.passage.chunk.text.casefold()))
        has[row, [zlib.crc32(word.encode("utf-8", "replace")) % WORD_BINS for word in words]] = 1
    common = (has @ has.T).astype(np.float64)
    counts = has.sum(axis=1, dtype=np.float64)
    either = counts[:, None] + counts[None, :] - common
    shares: Numbers = np.divide(common, either, out=np.ones_like(common), where=either > 0)
    return shares


def scaled(scores: Numbers) -> Numbers:
    """Return scores from 0, the least, to 1, the greatest; all 1 where they are alike."""
    least, greatest = float(scores.min()), float(scores.max())
    return (scores - least) / (greatest - least) if greatest - least > ALIKE else np.ones_like(scores)


def age_days(file: FileRecord, *, now: float) -> float:
    """Return how old a file is, in days: by its metadata's `date`, else by the date it gives itself, else its upload.

    Never less than 0: what is dated in the future is new.
    """
    about = file.document.get("about")
    said = about.get("date") if isinstance(about, Mapping) else None
    moment = next((found for date in (file.metadata.get("date"), said) if (found := as_moment(date)) is not None), None)
    return max(0.0, now - (file.created_at if moment is None else moment)) / DAY_S


def as_moment(date: Json) -> float | None:
    """Return a date in Unix seconds, None for what is none: ISO 8601, also a year or a month alone, or RFC 2822.

    Without a time zone it is in UTC.
    """
    if not isinstance(date, str) or len(date) > LONGEST_DATE_CHARS:
        return None
    text = date.strip()
    if re.fullmatch(r"\d{4}(-\d{2})?", text, re.ASCII):
        text = f"{text}-01-01"[:10]
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None
