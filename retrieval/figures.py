"""Numbers, dates and times of a text, whatever way they are written in French or English: `1 234,5` is `1,234.5`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from ragline.retrieval.dates import (
    DAY_MONTH,
    HALF_DAY,
    ISO,
    MONTH_ALONE,
    MONTH_DAY,
    MONTH_YEAR,
    NUMERIC,
    TIME,
    Reading,
    Way,
    date_of,
    month_of,
    time_of,
)
from ragline.retrieval.quantities import (
    AFTER,
    CURRENCIES,
    number_words,
    ordinal_value,
    scale_of,
    unit_of,
    value_of,
)

GROUP = 3
"""Digits between the separators of thousands."""

PAGE = re.compile(r"\b(?:pages?|pp?\.|slides?|diapositives?)\s?(?P<a>\d{1,5})(?:\s?[-–]\s?(?P<b>\d{1,5}))?", re.I)
CENTURY = re.compile(r"(?<!\w)(?P<roman>[XVI]{1,6})(?:e|ème|er|th|st|nd|rd)(?!\w)")
NUMBER = re.compile(
    rf"(?<!\w)(?<![^\W\d_][-_])(?P<before>(?:[{CURRENCIES}]|\b(?:EUR|USD|GBP|CHF)\b)\s?)?"
    r"(?P<number>\d{1,3}(?:[ \u00a0\u202f\u2009]\d{3}){1,6}(?!\d)(?:[.,]\d{1,10}(?!\d))?"
    r"|\d{1,30}(?:[.,'’]\d{1,30}){0,6})"
    rf"(?:(?P<ordinal>ers?|[èe]res?|res?|i?[èe]mes?|nde?s?|rds?|sts?|ths?|es?|ᵉ|º)(?!\w)|s(?!\w)|{AFTER})(?![^\W_])"
)
WITHIN_NAMES = re.compile(r"(?<=[^\W\d_])[-_./]?([1-9]\d{0,19})")
WORDS = {language: number_words(language) for language in ("fr", "en")}
COUNTED_BEFORE = re.compile(r"(?:\b(?:les|ces|ses|nos|vos|leurs|des|aux|the|these|those|their|its|his|her)\s)$", re.I)
"""Before `deux` or `two`: what is meant was named before, and need not be counted where that was."""
LOOK_BACK_CHARS = 8
SECOND = 2
"""As a word also a piece of a minute."""
OTHERWISE = frozenset({"un", "une", "one", "neuf", "zero", "zéro", "cent", "cents"})
"""These words also mean something else."""
SCALES_ALONE = frozenset({"hundred", "thousand", "million", "millions", "billion", "milliard", "milliards"})
"""Without a number before them they are none."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, date or time, where it stands in a text and what it means."""

    text: str
    start: int
    end: int
    ways: Sequence[Way]
    holds: Sequence[str]
    unit: str
    counted: bool


def figures(text: str, *, languages: Sequence[str] = ("fr", "en")) -> list[Figure]:
    """Return the figures of a text in reading order; words for numbers are read in these languages, the first first.

    What one pattern has taken no later one sees: a date is no three numbers. Signs are not read.
    """
    found: list[Figure] = []
    for pattern, read in (*DATES, *NUMBERS):
        text = take(text, pattern, read, found)
    for language in languages:
        if language in WORDS:
            text = take(text, WORDS[language], partial(in_words, language=language), found)
    take(text, MONTH_ALONE, month_of, found)
    return sorted(found, key=lambda figure: figure.start)


def take(text: str, pattern: re.Pattern[str], read: Read, found: list[Figure]) -> str:
    """Append the figures of one pattern to `found`, and return the text with blanks in their place."""

    def blank(match: re.Match[str]) -> str:
        reading = read(match)
        if reading is None:
            return match.group()
        found.append(Figure(match.group().strip(), match.start(), match.end(), *reading))
        return "\0" * len(match.group())

    return pattern.sub(blank, text)


def within_names(text: str) -> Iterator[str]:
    """Give the numbers in identifiers, such as 8841 of `ZP-8841`; those with zeros before them are none."""
    yield from WITHIN_NAMES.findall(text)


def page_of(match: re.Match[str]) -> Reading:
    first, last = int(match["a"]), int(match["b"] or match["a"])
    named = [f"page {number}" for number in (first, last)]
    return Reading([tuple(named)], [*named, str(first), str(last)])


def century(match: re.Match[str]) -> Reading | None:
    values = [{"X": 10, "V": 5, "I": 1}[letter] for letter in match["roman"]]
    total = sum(-one if one < after else one for one, after in zip(values, [*values[1:], 0], strict=True))
    return Reading([(str(total),)], [str(total)])


def number(match: re.Match[str]) -> Reading | None:
    """Return a number in digits, with its power of ten and unit."""
    text, before = match["number"], (match["before"] or "").strip()
    scale = scale_of(match["scale"] or "")
    unit = unit_of(before) or unit_of(match["unit"] or match["scaled"] or "")
    if before and match["unit"] == "m":
        scale = 10**6
    values = readings(text)
    if not values:
        return Reading([(text,)], [text])
    keys = [plain(value * scale) for value in values]
    parts = [plain(Decimal(part)) for part in re.split(r"[ ,.'’\u00a0\u202f\u2009]", text)] if " " in text else []
    return Reading([(key,) for key in keys], [*keys, *parts], unit=unit)


def readings(text: str) -> list[Decimal]:
    """Return what digits with separators may mean: `1,234` two things, a version number nothing."""
    text = re.sub(r"[ \u00a0\u202f\u2009'’]", "", text)
    signs = [sign for sign in text if sign in ",."]
    if not signs:
        return [Decimal(text)]
    whole, *groups = re.split(r"[,.]", text)
    thousands = 0 < len(whole) <= GROUP and whole != "0" and all(len(group) == GROUP for group in groups)
    if len(signs) == 1:
        decimal = Decimal(f"{whole}.{groups[0]}")
        return [decimal, Decimal(whole + groups[0])] if thousands else [decimal]
    if len(set(signs)) == 1:
        return [Decimal(whole + "".join(groups))] if thousands else []
    if signs.count(signs[-1]) > 1 or len(set(signs[:-1])) > 1 or any(len(group) != GROUP for group in groups[:-1]):
        return []
    return [Decimal(f"{whole}{''.join(groups[:-1])}.{groups[-1]}")]


def plain(value: Decimal) -> str:
    """Return a number without an exponent and without zeros that say nothing."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).lstrip("0") or "0"


def in_words(match: re.Match[str], language: str) -> Reading | None:
    """Return a number in words; `one` and `the two` are only lent, and `one` only with a unit."""
    words = (match["words"] or "").lower()
    if ordinal := match["ordinal"]:
        value: int | None = ordinal_value(ordinal, language)
        counted = value == SECOND
    else:
        value = None if words in SCALES_ALONE else value_of(words, language)
        before = match.string[max(0, match.start() - LOOK_BACK_CHARS) : match.start()]
        counted = words in OTHERWISE or bool(COUNTED_BEFORE.search(before))
    unit = unit_of(match["unit"] or match["scaled"] or "")
    if value is None or (value == 1 and not unit):
        return None
    key = plain(Decimal(value * scale_of(match["scale"] or "")))
    return Reading([(key,)], [key], unit, counted)


Read = Callable[[re.Match[str]], Reading | None]
DATES: Sequence[tuple[re.Pattern[str], Read]] = [
    (pattern, date_of) for pattern in (ISO, NUMERIC, DAY_MONTH, MONTH_DAY, MONTH_YEAR)
]
NUMBERS: Sequence[tuple[re.Pattern[str], Read]] = [
    (TIME, time_of),
    (HALF_DAY, time_of),
    (PAGE, page_of),
    (CENTURY, century),
    (NUMBER, number),
]
