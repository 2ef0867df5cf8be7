"""Words to sparse vectors (BM25), for French and English questions on passages in any language.

Ids are hashes of the analysed word, so nothing is learned and nothing kept: the same text gives the same vector
everywhere. The weights are BM25's term frequency part; the engine multiplies by the inverse document frequency.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ragline.connectors.vectors.codes import codes_of
from ragline.language import language_of
from ragline.types import SparseVector

if TYPE_CHECKING:
    from qdrant_edge import Bm25
    from qdrant_edge import SparseVector as EdgeSparse

ANALYSIS = 3
"""Changes with everything here and in `codes.py` that gives a text another vector."""

K1 = 1.2
B = 0.75
AVERAGE_LENGTH = 110.0
"""Words of an average passage (180 in 256 tokens) without its stop words: 57 to 70 % stay, measured on four corpora."""
AVERAGE_PAIRS = 650.0
"""Characters and their pairs in 256 tokens of a script without spaces: 590 to 630 Chinese, 640 Korean, 830 Japanese."""
PART = 0.5
"""What the parts of a code weigh in a question, beside words of weight 1."""

LANGUAGES = {
    "ar": "Arabic",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hu": "Hungarian",
    "it": "Italian",
    "nl": "Dutch",
    "no": "Norwegian",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "tr": "Turkish",
}
"""ISO 639-1 codes and the engine's names, where it has both a stemmer and stop words."""

QUESTION_LANGUAGES = ("fr", "en")

FOLDED_STOP_WORDS = {
    "fr": (
        "a apres alors aussi avoir ca car ceci cela celui cet cette chez combien comme comment donc dont elles entre "
        "etaient etait etant etes etre fait faire leurs meme memes ni peut plus pourquoi quand quel quelle quelles "
        "quels quoi sans si tous tout toute toutes tres vers"
    ),
    "en": "could would",
    "de": "fur uber konnen konnte konnten mussen wahrend wurde wurden",
    "es": "como cual cuando donde esta estan mas que quien tambien",
    "it": "cosi cioe e perche piu puo",
    "pt": "ate esta estao ja mas nao sao sera so tambem voce",
}
"""Function words the engine's lists lack, or hold only with the accents that folding has taken away before."""

_APOSTROPHE = "['’‘ʼ′`]"
_ELISION = re.compile(rf"\b(?:[cdjlmnst]|(?:jus|lors|puis|quoi)?qu){_APOSTROPHE}(?=\w)", re.IGNORECASE)
_UNSEEN = "\xad\u200c\u200d\u2060\ufeff"
_FOLDED = str.maketrans("ёЁάέήίόύώϊϋΐΰΆΈΉΊΌΎΏ", "еЕαεηιουωιυιυΑΕΗΙΟΥΩ", _UNSEEN)
_FOLDING = re.compile(f"[{''.join(map(chr, _FOLDED))}]")
_MARKS = re.compile(r"[^\x00-\u02ff\u0370-\u0482\u048a-\u0590\u3041-\ud7ff]")
_OTHER_SCRIPT = re.compile(r"[\u0370-\u1fff]")
_WITHOUT_SPACES = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    r"\U00020000-\U0003ffff]+"
)


def analysis(k1: float, b: float) -> str:
    """Return what passages are analysed by, as it is remembered: vectors of another one do not fit as well."""
    return f"{ANALYSIS} k1={k1:g} b={b:g}"


def passage_vector(text: str, language: str, *, k1: float = K1, b: float = B) -> SparseVector:
    """Return the weights of a passage's words, stemmed as `language` (ISO 639-1); empty for a text without words.

    A language without a stemmer here is only folded (case, accents). Passages that are neither French nor English
    carry their words unstemmed as well, because a short question does not show that it is in their language. Codes,
    numbers and dates are words of their own beside their parts, with the most that a word can weigh.
    """
    words = _normalize(text)
    codes = codes_of(words)
    words, pairs = _parted(" ".join((words, *codes.words)))
    stems: tuple[str | None, ...] = (language,) if language in QUESTION_LANGUAGES else (None,)
    if language in LANGUAGES and language not in QUESTION_LANGUAGES:
        stems = (language, None)
    dropped = (language,) if language in LANGUAGES else ()
    vectors = [_analyser(stem, dropped, k1, b).embed_document(words) for stem in stems]
    if pairs:
        vectors.append(_analyser(None, (), k1, b, AVERAGE_PAIRS).embed_document(pairs))
    weights = _heaviest(vectors)
    _raise(weights, ids_of(dict.fromkeys(codes.wholes, 1)), k1 + 1)
    _raise(weights, ids_of(dict.fromkeys(codes.pieces, 1)), (k1 + 1) / 2)
    return _vector(weights)


def query_vector(text: str) -> SparseVector:
    """Return weight 1 for each word of a question: as French, as English, as its own language, and unstemmed.

    Its own language is guessed from its stop words. They are left out of every analysis: kept in the others, a
    foreign function word, rare in the collection, would outweigh the words that matter. The parts of a code weigh
    half, and the whole half of what it has parts: a passage that has it comes before those that have all its parts.
    """
    text, pairs = _parted(_normalize(text), asked=True)
    codes = codes_of(text, asked=True)
    words, parts = codes.parted(text)
    if not (pairs or codes.wholes or codes.words) and _says_nothing(words):
        return SparseVector((), ())
    own = _guess(text)
    analysers = [_analyser(language, (language, *own)) for language in dict.fromkeys((*QUESTION_LANGUAGES, *own))]
    analysers.append(_analyser(None, (*QUESTION_LANGUAGES, *own)))
    vectors = [analyser.embed_query(words) for analyser in analysers]
    if pairs:
        vectors.append(_analyser(None, ()).embed_query(pairs))
    weights = _heaviest(vectors)
    if codes.wholes or codes.words:
        inside = " ".join((parts, *codes.words))
        _raise(weights, _heaviest(analyser.embed_query(inside) for analyser in analysers), PART)
        _raise(weights, ids_of(codes.wholes), PART)
    return _vector(weights)


def _normalize(text: str) -> str:
    """Compose letters and accents (NFKC), take away what French elides before a word (l'eau becomes eau), soft hyphens
    and the marks that are written or left out at will, such as Arabic vowels.
    """
    text = unicodedata.normalize("NFKC", text)
    if _FOLDING.search(text):
        text = text.translate(_FOLDED)
    if _MARKS.search(text):
        text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return _ELISION.sub(" ", text)


def _parted(text: str, *, asked: bool = False) -> tuple[str, str]:
    """Return the words, and of scripts without spaces all pairs of neighbours, which need no dictionary to agree.

    A passage has its single characters, too: a question may be one. The engine's own segmentation is not used: it
    takes 東京都庁 apart otherwise than 東京都庁舎, and loads 65 MB in half a second.
    """
    runs = _WITHOUT_SPACES.findall(text)
    if not runs:
        return text, ""
    pairs = [run[at : at + 2] for run in runs for at in range(max(1, len(run) - 1))]
    singles = [] if asked else [letter for run in runs for letter in run]
    return _WITHOUT_SPACES.sub(" ", text), " ".join((*pairs, *singles))


def _guess(words: str) -> tuple[str, ...]:
    """Return the language most of whose stop words occur: at least two, and more than of any other; else nothing.

    Where that says nothing a script of its own does.
    """
    every = len(_analyser(None, ()).embed_query(words).indices)
    counts = {code: every - len(_analyser(None, (code,)).embed_query(words).indices) for code in LANGUAGES}
    first, second = sorted(counts, key=lambda code: -counts[code])[:2]
    if counts[first] > max(1, counts[second]):
        return (first,)
    if _OTHER_SCRIPT.search(words) and (language := language_of(words)) in LANGUAGES:
        return () if language in QUESTION_LANGUAGES else (language,)
    return ()


def _says_nothing(words: str) -> bool:
    """Tell whether a question has several words, all of them stop words of French, or all of English."""
    return len(_analyser(None, ()).embed_query(words).indices) > 1 and any(
        not _analyser(None, (language,)).embed_query(words).indices for language in QUESTION_LANGUAGES
    )


def _heaviest(vectors: Iterable[EdgeSparse]) -> dict[int, float]:
    """Return the ids of all words of the vectors, each with the largest of its weights."""
    weights: dict[int, float] = {}
    for vector in vectors:
        for index, value in zip(vector.indices, vector.values, strict=True):
            weights[index] = max(value, weights.get(index, 0.0))
    return weights


def ids_of(words: Mapping[str, float]) -> dict[int, float]:
    """Return words, each one to the engine, by the ids that it gives them unstemmed."""
    plain = _analyser(None, ())
    return {index: weight for word, weight in words.items() for index in plain.embed_query(word).indices}


def _raise(weights: dict[int, float], others: Mapping[int, float], factor: float) -> None:
    """Take over words of others with their weight times `factor`, where that is more."""
    for index, weight in others.items():
        weights[index] = max(weight * factor, weights.get(index, 0.0))


def _vector(weights: Mapping[int, float]) -> SparseVector:
    indices = tuple(sorted(weights))
    return SparseVector(indices=indices, values=tuple(weights[index] for index in indices))


@functools.lru_cache(maxsize=512)
def _analyser(
    stem: str | None, stop_words: tuple[str, ...], k1: float = K1, b: float = B, average: float = AVERAGE_LENGTH
) -> Bm25:
    """Return the engine's analyser that stems as one language and drops the stop words of others; cheap to keep."""
    from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, Language, SnowballLanguage, SnowballParams, StopwordsSet

    stemmer = SnowballParams(getattr(SnowballLanguage, LANGUAGES[stem])) if stem else DisabledStemmer()
    dropped = StopwordsSet(
        languages={getattr(Language, LANGUAGES[code]) for code in stop_words},
        custom={word for code in stop_words for word in FOLDED_STOP_WORDS.get(code, "").split()},
    )
    config = Bm25Config(k=k1, b=b, avg_len=average, ascii_folding=True, stopwords=dropped, stemmer=stemmer)
    return Bm25(config)
