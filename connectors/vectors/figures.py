"""Numbers and dates, each in one spelling: 1 234,56 and 1,234.56 are the same, as are 15/03/2024 and 15 mars 2024."""

from __future__ import annotations

import re
from collections.abc import Iterator

JOINT = "ᚠ"
"""Stands for what separates digits in a spelling: a letter to the engine, and one that no text here is written with."""
SHORTEST_DIGITS = 8
"""Digits of a telephone number, an account, an ISBN, all groups together."""
LONGEST_DATE = 28
"""Characters before its year: `the 15th of September 2024`."""

Figure = tuple[str, int, tuple[int, int] | None]
"""A spelling, of how many words it is made, and where it stands, if these words say nothing alone."""

_RUN = re.compile(r"\d(?:[\d .,'’/-]*\d)?")
_GROUPED = re.compile(r"(?<![\w.,])(\d{1,3})([ .,'’])(\d{3}(?:\2\d{3})*+)(?:[.,](\d++))?(?!\w)")
_DECIMAL = re.compile(r"(?<![\w.,])(\d++)[.,](\d++)(?![.,]?\w)")
_DIGITS = re.compile(r"(?<!\w)\d{1,6}(?:[ .-]\d{1,6}(?!\d)){2,9}+(?!\w)")

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "janvier january januar",
            "fevrier février february februar",
            "mars march märz marz",
            "avril april",
            "mai may",
            "juin june juni",
            "juillet july juli",
            "aout août august",
            "septembre september",
            "octobre october oktober",
            "novembre november",
            "decembre décembre december dezember",
        ),
        start=1,
    )
    for name in names.split()
}
_A_YEAR = r"(?:1[5-9]|20|21)\d\d"
_YEAR = re.compile(rf"(?<!\d){_A_YEAR}(?!\d)")
_YEAR_FIRST = re.compile(rf"(?<![\w.-])({_A_YEAR})([-/.])(\d{{1,2}})(?:\2(\d{{1,2}}))?(?![\w-])")
_YEAR_LAST = re.compile(rf"(?<![\w.-])(?:(\d{{1,2}})[-/.])?(\d{{1,2}})[-/.]({_A_YEAR})(?![\w-])")
_NAMED = re.compile(
    rf"(?<!\w)(?:(\d{{1,2}})(?:er|st|nd|rd|th|\.)? (?:of )?)?({'|'.join(_MONTHS)})"
    rf"(?: (\d{{1,2}})(?:st|nd|rd|th)?(?!\d))?,? ({_A_YEAR})(?!\w)",
    re.IGNORECASE,
)


def runs_of(text: str) -> Iterator[re.Match[str]]:
    """Give what is made of digits and of what may stand between them."""
    return _RUN.finditer(text)


def figures_in(text: str, run: re.Match[str]) -> Iterator[Figure]:
    """Give the numbers and dates of a run of digits; each ends in it."""
    start, end = run.span()
    has_year = _YEAR.search(text, start, end)
    if not run[0].isdigit():
        beyond = min(len(text), end + 2)
        yield from _numbers(text, start, beyond)
        if has_year:
            yield from _dates(text, start, beyond)
    if has_year:
        for match in _NAMED.finditer(text, max(0, start - LONGEST_DATE), min(len(text), end + 1)):
            yield from _date(match[4], str(_MONTHS[match[2].lower()]), match[1] or match[3])


def _numbers(text: str, start: int, end: int) -> Iterator[Figure]:
    for match in _GROUPED.finditer(text, start, end):
        whole = match[1] + re.sub(r"\D", "", match[3])
        yield _number(whole, match[4] or ""), 2 + match[3].count(match[2]) + bool(match[4]), match.span()
    for match in _DECIMAL.finditer(text, start, end):
        yield _number(match[1], match[2]), 2, match.span()
    for match in _DIGITS.finditer(text, start, end):
        groups = re.findall(r"\d+", match[0])
        if sum(map(len, groups)) >= SHORTEST_DIGITS:
            yield "".join(groups), len(groups), match.span()


def _number(whole: str, decimals: str) -> str:
    """Return a number in one spelling, without zeros that say nothing."""
    decimals = decimals.rstrip("0")
    return f"{whole}{JOINT}{decimals}" if decimals else whole


def _dates(text: str, start: int, end: int) -> Iterator[Figure]:
    """Give dates and months of a year in figures; of 03/04/2024 both readings."""
    for match in _YEAR_FIRST.finditer(text, start, end):
        yield from _date(match[1], match[3], match[4])
    for match in _YEAR_LAST.finditer(text, start, end):
        first, second, year = match[1], match[2], match[3]
        yield from _date(year, second, first)
        if first:
            yield from _date(year, first, second)


def _date(year: str, month: str, day: str | None) -> Iterator[Figure]:
    if not 1 <= int(month) <= 12:
        return
    yield f"{year}{JOINT}{int(month):02}", 2, None
    if day and 1 <= int(day) <= 31:
        yield f"{year}{JOINT}{int(month):02}{JOINT}{int(day):02}", 3, None
