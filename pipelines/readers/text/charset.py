"""Which of the encodings of before Unicode some bytes are in: the one in which they make likely words of a language.

Each candidate is tried on some hundred words with bytes beyond ASCII, taken from all over the file. Its score is the
sum of the logarithms of how frequent its letters are in a language, plus what is known of capitals and of signs at the
edges of words; the words without such bytes vote for the language.
"""

from __future__ import annotations

import codecs
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ragline.pipelines.readers.text.charset_letters import (
    CANDIDATES,
    COMMON_CJK,
    FREQUENT_WORDS,
    GRAMMAR_WORDS,
    LETTERS,
    SIGNS,
)

_PLACES = 4
_WORDS_AT_PLACE = 100
_CJK_BYTES = 8192
_VOTERS_BYTES = 1 << 16
_FOREIGN = -9.0
_IMPOSSIBLE = -14.0
_RARE_SIGN = -8.0
_BAD_PLACE = -5.0
_FREQUENT_WORD = 4.0
_VOTE = 2.0
_MOST_VOTES = 8.0
_JOINING = frozenset("’·‑\xad")
_OPENING = frozenset("«“„‘‚¿¡")
_CLOSING = frozenset("»”’…™®°ªº²³")
_HIGH = re.compile(rb"[\x80-\xff]")
_BEFORE = re.compile(rb"[A-Za-z']{0,20}\Z")
_AFTER = re.compile(rb"[A-Za-z'\x80-\xff]{0,40}[ -~]?")
_WORD = re.compile(r"[^\W\d_]+")
_ASCII_WORD = re.compile(rb"(?<![\x80-\xff'])\b[a-z]{1,6}\b(?![\x80-\xff])")


def likeliest(data: bytes) -> str:
    """Return Python's name of the encoding of one byte a letter that `data`, which is no UTF-8, is most likely in."""
    words = list(_samples(data))
    votes = _votes(data)
    best, best_score = "cp1252", -math.inf
    for encoding, handicap, languages in CANDIDATES:
        decoded = [word.decode(encoding, errors="replace") for word in words]
        signs = sum(map(_score_of_places, decoded)) - handicap
        letters = Counter(
            sign for word in decoded for sign in word.lower() if sign > "\x7f" and (sign.isalpha() or sign in "¿¡")
        )
        found = Counter(part for word in decoded for part in _WORD.findall(word.lower()))
        for language in languages:
            score = signs + votes.get(language, -_MOST_VOTES) + _score_of_letters(letters, found, language)
            if score > best_score:
                best, best_score = encoding, score
    return best


def _samples(data: bytes) -> Iterator[bytes]:
    """Yield words with a byte beyond ASCII, each with the sign before and after it, from several places."""
    end = 0
    for place in range(_PLACES):
        end = max(end, len(data) * place // _PLACES)
        for _ in range(_WORDS_AT_PLACE):
            found = _HIGH.search(data, end)
            if found is None:
                return
            high = found.start()
            before = _BEFORE.search(data[max(end, high - 20) : high])
            first = high - len(before[0] if before else b"")
            after = _AFTER.match(data, high)
            end = max(high + 1, after.end() if after else 0)
            # A byte beyond ASCII before it was a part of the word before.
            yield data[first - 1 if first and data[first - 1] < 128 else first : end]


def _votes(data: bytes) -> dict[str, float]:
    """Return for each language how much its short words without accents speak for it: 0 for the leader, down to -8."""
    half = _VOTERS_BYTES // 2
    sample = data if len(data) <= _VOTERS_BYTES else data[:half] + b" " + data[len(data) // 2 : len(data) // 2 + half]
    counts = Counter(word.decode("ascii") for word in _ASCII_WORD.findall(sample.lower()))
    sums = {language: sum(counts[word] for word in words) for language, words in GRAMMAR_WORDS.items()}
    most = max(sums.values())
    votes = {
        language: max(-_MOST_VOTES, _VOTE * math.log((count + 0.7) / (most + 0.7))) for language, count in sums.items()
    }
    # Where no word speaks at all, the languages of other scripts are as likely as those without a list.
    return {**dict.fromkeys(LETTERS, -2.0 if most < 3 else -5.0), **votes}


def _score_of_letters(letters: Counter[str], words: Counter[str], language: str) -> float:
    known = LETTERS[language]
    score = sum(count * known.get(letter, _FOREIGN) for letter, count in letters.items())
    frequent = FREQUENT_WORDS.get(language, frozenset())
    return score + _FREQUENT_WORD * sum(count for word, count in words.items() if word in frequent)


def _score_of_places(word: str) -> float:
    """Return what speaks against the signs of a word, and against capitals inside of it: 0 or less."""
    score = 0.0
    for place, sign in enumerate(word):
        if sign <= "\x7f":
            continue
        before = word[place - 1] if place else " "
        after = word[place + 1] if place + 1 < len(word) else " "
        score += (
            _score_of_letter(sign, before, after)
            if sign.isalpha() and sign not in "ªº"
            else _score_of_sign(sign, before, after)
        )
    return score


def _score_of_letter(letter: str, before: str, after: str) -> float:
    score = 0.0
    neighbours = [sign for sign in (before, after) if sign.isalpha()]
    if letter > "\u024f" and any(sign <= "\u024f" for sign in neighbours):
        score += _BAD_PLACE
    if before.isdigit() or after.isdigit():
        score += _BAD_PLACE / 2
    if not letter.isupper():
        return score + (_BAD_PLACE if after.isupper() else 0.0)
    if before.islower():
        return score + _BAD_PLACE
    return score - (0.3 if before.isupper() else 0.7 if neighbours else 2.5)


def _score_of_sign(sign: str, before: str, after: str) -> float:
    if "\u2500" <= sign <= "\u259f":  # frames are drawn with many of the same
        return -2.0 if sign in (before, after) else -6.0
    if sign in "\ufffd" or sign < "\xa0" or "\ue000" <= sign <= "\uf8ff":
        return _IMPOSSIBLE
    score = SIGNS.get(sign, _RARE_SIGN)
    if before.isalpha() and after.isalpha():
        score += 0.0 if sign in _JOINING else _BAD_PLACE
    elif before.isalpha() and sign in _OPENING:
        score += _BAD_PLACE
    elif after.isalpha() and sign in _CLOSING:
        score += _BAD_PLACE / 2
    elif sign in "¿¡" and not after.isalpha():
        score += _BAD_PLACE
    return score


def far_east(data: bytes) -> str | None:
    """Return the encoding in which the bytes make frequent characters of Chinese, Japanese or Korean."""
    first = _HIGH.search(data)
    start = data.rfind(b"\n", 0, first.start()) + 1 if first else 0
    sample = data[start : start + _CJK_BYTES]
    best, best_share = None, 0.0
    for encoding, (common, least) in COMMON_CJK.items():
        if (text := _beginning(sample, encoding)) is None:
            continue
        signs = [sign for sign in text if sign > "\x7f"]
        frequent = [sign for sign in signs if sign in common]
        mixed = sum(_is_latin(before) != _is_latin(after) for before, after in _pairs(text))
        share = len(frequent) / max(1, len(signs))
        if share > max(least, best_share) and len(signs) > 2 and len(set(frequent)) > 1 and 5 * mixed <= len(signs):
            best, best_share = encoding, share
    return best


def _beginning(sample: bytes, encoding: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return None


def _pairs(text: str) -> Iterator[Sequence[str]]:
    """Yield each two neighbours of which both are letters."""
    return ((one, two) for one, two in pairwise(text) if one.isalpha() and two.isalpha())


def _is_latin(letter: str) -> bool:
    return letter < "\u0250"
