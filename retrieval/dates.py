"""Dates and times of day of a text, in the ways in which French and English write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ragline.retrieval.quantities import alternatives

Way = tuple[str, ...]


class Reading(NamedTuple):
    """What a number, date or time means: another text has it that holds all keys of any of its `ways`.

    `holds` are the keys that it lends itself. `unit` is one of `quantities.UNITS` or "". `counted` is not to be looked
    for by itself: `one`, `the two`.
    """

    ways: Sequence[Way]
    holds: Sequence[str]
    unit: str = ""
    counted: bool = False


MONTHS = {
    name: number
    for number, names in enumerate(
        [
            "janvier janv january jan",
            "février fevrier févr fevr february feb",
            "mars march mar",
            "avril avr april apr",
            "mai may\n        ",
            "juin june jun",
            "juillet juil july jul",
            "août aout august aug",
            "septembre sept september sep",
            "octobre oct october\n        ",
            "novembre nov november",
            "décembre decembre déc december dec",
        ],
        start=1,
    )
    for name in names.split()
}
MONTH = alternatives(MONTHS)
LAST_MONTH, LAST_DAY, NOON, HOURS = 12, 31, 12, 24
SHORT_YEAR = 2

ISO = re.compile(r"(?<!\d)(?P<y>\d{4})([-/.])(?P<m>\d{1,2})\2(?P<d>\d{1,2})(?!\d)")
NUMERIC = re.compile(r"(?<![\d/.])(?P<a>\d{1,2})([/.-])(?P<b>\d{1,2})\2(?P<y>\d{4}|\d{2})(?![\d/.]\d|\d)")
DAY_MONTH = re.compile(
    rf"(?<![\d])(?P<d>\d{{1,2}})\s?(?:er|st|nd|rd|th)?\s{{1,3}}(?:of\s|de\s)?(?P<month>{MONTH})\b\.?"
    r"(?:,?\s{1,3}(?:de\s|of\s)?(?P<y>\d{4})(?!\d))?",
    re.IGNORECASE,
)
MONTH_DAY = re.compile(
    rf"\b(?P<month>{MONTH})\.?\s{{1,3}}(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?!\w)(?:,?\s{{1,3}}(?P<y>\d{{4}})(?!\d))?",
    re.IGNORECASE,
)
MONTH_YEAR = re.compile(
    rf"\b(?P<month>{MONTH})\.?,?\s{{1,3}}(?:de\s|of\s)?(?P<y>\d{{4}})(?!\d)",
    re.IGNORECASE,
)
MONTH_ALONE = re.compile(
    r"\b(?:janvier|février|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre"
    r"|January|February|April|June|July|August|September|October|November|December)\b|(?<=en )mars\b|(?<=in )March\b"
)
TIME = re.compile(
    r"(?<![\d:.,])(?P<h>[01]?\d|2[0-4])\s?(?:h|:)\s?(?P<min>[0-5]\d)(?:\s?(?P<half>[ap]\.?m\b\.?))?(?![\d:])",
    re.IGNORECASE,
)
HALF_DAY = re.compile(r"(?<![\w.,:])(?P<h>1[0-2]|0?[1-9])\s?(?P<half>[ap]\.?m\b\.?)", re.IGNORECASE)


def date_of(match: re.Match[str]) -> Reading | None:
    """Return a date, day and month or month and year; 03/04/2024 may be either."""
    parts = match.groupdict()
    year = full_year(parts.get("y"))
    if "a" in parts:
        a, b = int(parts["a"]), int(parts["b"])
        days = [(month, day) for day, month in ((a, b), (b, a)) if valid(month, day)]
    else:
        month = MONTHS[parts["month"].lower()] if parts.get("month") else int(parts["m"])
        days = [(month, int(parts["d"]))] if parts.get("d") else [(month, 0)]
        days = [one for one in days if valid(one[0], one[1] or 1)]
    if not days:
        return None
    ways, holds = [], []
    for month, day in days:
        keys = date_keys(year, month, day)
        ways += [(keys[0],), *([(keys[1], str(year))] if year and len(keys) > 1 else [])]
        holds += [*keys, *([str(day)] if day else []), *([str(year)] if year else [])]
    return Reading(ways, holds)


def date_keys(year: int, month: int, day: int) -> list[str]:
    """Return the keys of a date and of its parts, 0 for what is unknown; the second is the one without the year."""
    if not day:
        return [f"{year}-{month:02}", f"month {month}"] if year else [f"month {month}"]
    without = [f"--{month:02}-{day:02}"]
    return (
        [f"{year}-{month:02}-{day:02}", *without, f"{year}-{month:02}", f"month {month}"]
        if year
        else [
            *without,
            f"month {month}",
        ]
    )


def full_year(year: str | None) -> int:
    """Return a year of four digits, 0 for none; those of two are of this century or the last."""
    if not year:
        return 0
    return int(year) if len(year) > SHORT_YEAR else (2000 if int(year) < 70 else 1900) + int(year)


def valid(month: int, day: int) -> bool:
    return 1 <= month <= LAST_MONTH and 1 <= day <= LAST_DAY


def month_of(match: re.Match[str]) -> Reading:
    key = f"month {MONTHS[match.group().lower()]}"
    return Reading([(key,)], [key])


def time_of(match: re.Match[str]) -> Reading:
    """Return a time of day; 2:30 pm is 14 h 30."""
    hour, minute, half = int(match["h"]), match.groupdict().get("min"), (match["half"] or "").lower()
    exact = (hour % NOON + (NOON if half.startswith("p") else 0)) if half else hour
    key = f"{exact:02}:{minute or '00'}"
    ways: list[Way] = [(key,)] if minute not in (None, "00") else [(key,), (str(exact),)]
    return Reading(ways, [key, f"{hour:02}:{minute or '00'}", str(hour), str(exact), *([minute] if minute else [])])
