"""Numbers of spreadsheets as a person sees them: dates as ISO 8601, shares and amounts with their signs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

MAX_CODE_CHARS = 255
"""Longest format that Excel takes."""

BUILT_IN: Mapping[int, str] = MappingProxyType(
    {9: "0%", 10: "0.00%"}
    | dict.fromkeys((5, 6), "$#,##0")
    | dict.fromkeys((7, 8), "$#,##0.00")
    | dict.fromkeys((14, 15, 16, 17, *range(27, 32), 36, *range(50, 55), 57, 58), "yyyy-mm-dd")
    | dict.fromkeys((18, 19, 20, 21, 32, 33, 34, 35, 45, 47, 55, 56), "h:mm:ss")
    | {22: "yyyy-mm-dd h:mm", 46: "[h]:mm:ss"}
)
"""The formats that workbooks name by number only (ECMA-376 part 1, 18.8.30), those that change what is shown."""

_EPOCH = datetime(1899, 12, 30)
_EPOCH_1904 = datetime(1904, 1, 1)
_LAST_DAY = 2_958_466  # 10000-01-01
_LITERAL = re.compile(r'"([^"]*)"?|\\(.)|[_*].|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]')
_DURATION = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_DIGITS = re.compile(r"[#0?][#0?,. ]*")
_FRACTION = re.compile(r"s[.,]0+", re.IGNORECASE)
_UNIT = re.compile(r"[^\W\d_]|[€$£¥%‰°]")


@dataclass(frozen=True, slots=True)
class Format:
    """What a cell's format says of its number; `before` and `after` surround an amount of `decimals`."""

    kind: Literal["plain", "date", "time", "duration", "percent", "amount"] = "plain"
    decimals: int = 0
    before: str = ""
    after: str = ""


@lru_cache(1024)
def format_of(code: str) -> Format:
    """Read a number format of Excel such as `#,##0.00 [$€-40C]`; what is not understood shows plain numbers."""
    if code.lower() in ("general", "standard", "@", "") or len(code) > MAX_CODE_CHARS:
        return Format()
    section = _first_section(code)
    if _DURATION.search(section):
        return Format("duration")
    bare = _LITERAL.sub("", section)
    if (marks := set(bare.lower()) & set("ymdhs")) and not re.search(r"[#0?]", _FRACTION.sub("", bare)):
        return Format("date" if marks & set("yd") or not marks & set("hs") else "time")
    return _format_of_amount(_LITERAL.sub(lambda found: found[1] or found[2] or found[3] or "", section))


def _format_of_amount(section: str) -> Format:
    digits = _DIGITS.search(section)
    if digits is None:
        return Format()
    number = digits[0].rstrip(" ")
    before, after = section[: digits.start()].strip(), section[digits.start() + len(number) :].strip()
    if number.endswith(",") or not _UNIT.search(before + after) or re.search(r"[#0?+/]", after):
        return Format()
    decimals = len(re.findall(r"[#0?]", number.partition(".")[2]))
    return Format("percent", decimals) if "%" in after else Format("amount", decimals, before, after)


def shown(value: float, code: str, *, from_1904: bool = False) -> str:
    """Return a number as text. Shares and amounts are rounded as their cell shows them, others have 15 digits."""
    form = format_of(code)
    match form.kind:
        case "plain":
            return f"{value:.15g}"
        case "percent":
            return f"{value * 100:.{form.decimals}f}%"
        case "amount":
            return _amount(value, form)
        case "duration":
            seconds = round(value * 86_400) if abs(value) < _LAST_DAY else 0
            return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}" if seconds >= 0 else f"{value:.15g}"
    return _moment(value, form, from_1904)


def _amount(value: float, form: Format) -> str:
    number = f"{abs(value):.{form.decimals}f}"
    after = f" {form.after}" if form.after else ""
    return f"{'-' if value < 0 else ''}{form.before}{number}{after}"


def _moment(value: float, form: Format, from_1904: bool) -> str:
    if not 0 <= value < _LAST_DAY:
        return f"{value:.15g}"
    if from_1904:
        moment = _EPOCH_1904 + timedelta(seconds=round(value * 86_400))
    else:
        # Excel takes 1900 for a leap year: days before its 29 February are one off.
        moment = _EPOCH + timedelta(days=1 if 1 <= value < 60 else 0, seconds=round(value * 86_400))
    if value < 1 or form.kind == "time":
        return moment.time().isoformat("seconds") if value < 1 else moment.isoformat(" ", "seconds")
    has_time = moment.hour or moment.minute or moment.second
    return moment.isoformat(" ", "seconds") if has_time else moment.date().isoformat()


def _first_section(code: str) -> str:
    """Return the format of positive numbers: up to the first `;` outside of quotes."""
    quoted = False
    for place, sign in enumerate(code):
        if sign == '"':
            quoted = not quoted
        elif sign == ";" and not quoted:
            return code[:place]
    return code
