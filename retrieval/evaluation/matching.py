"""Which of the expected places the passages of a search are: file, page and snippet have to fit."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ragline.retrieval.evaluation.metrics import DEPTH
from ragline.retrieval.evaluation.sets import Place

PART = 0.8
"""A passage that has so much of a snippet, in one piece, is right: snippets may lie across the end of a passage."""
PARTED_CHARS = 25
"""Shorter snippets must be in it whole."""
_WORD = re.compile(r"\w+")
_GLUED = "\u2e80"
"""From here on letters stand without blanks between words."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A passage that a search found, as far as it is judged and shown. Pages count from 1."""

    file_id: str
    name: str
    text: str
    page: int | None = None
    page_end: int | None = None


def ranking(found: Sequence[Seen], places: Sequence[Place]) -> list[str]:
    """Return an order to judge: the labels of places where they were found first, and fillers in between.

    Each place counts once, at the first passage that fits it. Where one passage fits several, they follow each other,
    so that the best possible search is worth 1.
    """
    left = list(places)
    order: list[str] = []
    for rank, seen in enumerate(found[:DEPTH], start=1):
        if not left:
            break
        fitting = [place for place in left if fits(seen, place)]
        if fitting:
            order += [f"\0{number}" for number in range(len(order) + 1, rank)]
            order += [place.label for place in fitting]
            left = [place for place in left if place not in fitting]
    return order


def fits(seen: Seen, place: Place) -> bool:
    """Tell whether a passage is of the file, on the page and has the snippet, as far as these are given."""
    if place.file and not is_file(seen, place.file):
        return False
    if place.page is not None and not is_on_page(seen, place.page):
        return False
    return not place.snippet or has_snippet(seen.text, place.snippet)


def is_on_page(seen: Seen, page: int) -> bool:
    return seen.page is not None and seen.page <= page <= (seen.page_end or seen.page)


def is_file(seen: Seen, named: str) -> bool:
    """Tell whether a file is meant: by id, by name, or by a path that ends with its name; case does not matter."""
    if seen.file_id == named:
        return True
    name = folded(seen.name)
    return name in (folded(named), folded(last_part(named)))


def last_part(named: str) -> str:
    """Return the name of a file at the end of a path."""
    return re.split(r"[/\\]", named)[-1]


def has_snippet(text: str, snippet: str) -> bool:
    """Tell whether a text has a snippet, or PART of it in one piece; only letters and digits count, in any case."""
    words, wanted = worded(text), worded(snippet)
    if f"{edge(wanted[:1])}{wanted}{edge(wanted[-1:])}" in f" {words} ":
        return True
    if len(wanted) < PARTED_CHARS:
        return False
    part = math.ceil(len(wanted) * PART)
    return any(wanted[start : start + part] in words for start in range(len(wanted) - part + 1))


def edge(sign: str) -> str:
    """Return the blank that stands beside a word, nothing beside letters that stand without."""
    return "" if sign >= _GLUED or not sign else " "


@lru_cache(maxsize=4096)
def worded(text: str) -> str:
    """Return the words of a text, one blank between them: no case, punctuation, ligatures, soft hyphens, line ends."""
    whole = unicodedata.normalize("NFKC", text.replace("\u00ad", ""))
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", whole.casefold())))


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip()).casefold()
