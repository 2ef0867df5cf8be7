"""Codes, numbers, dates and names whole, however they are written: ZP-8841 is one thing, and so is 1 234,56.

The engine takes every text apart at what is no letter and no digit. Here the same text gives one word more for each
such thing, in one spelling: `zp8841` for ZP-8841, ZP 8841 and zp8841. Everything is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ragline.connectors.vectors.figures import JOINT, figures_in, runs_of

MOST_PARTS = 12
"""A longer chain of parts, such as a path or a ruler, is no code."""
LONGEST_PREFIX = 5
"""Letters before a number that may belong to it: EN 60204, COVID 19."""
LONGEST_RUN = 4
"""Parts of a longer code that follow each other are findable as a code of their own, up to so many."""

_HYPHEN = re.compile("[‐‑‒–−]")
_DIGIT = re.compile(r"\d")
_COMPOUND = re.compile(r"\w++(?:[-./:@+]\w++)*+")
_NO_WORD = re.compile(r"(?<!\w)(?:\w++(?:[-./:@+]\w++)++|[^\W\d_]++[\d_]\w*+|\d++[^\W\d]\w*+)")
_PREFIX = re.compile(r"(?<![-\w./:@+])([^\W\d_]{1,5}+)(?: |\. ?)\Z")
_HUMP = re.compile(r"[a-zà-ÿ]{2}[A-ZÀ-Þ](?:[a-zà-ÿ]|[A-ZÀ-Þ])|[A-ZÀ-Þ]{2}[a-zà-ÿ]{3}")
_HUMPED = re.compile(rf"(?<!\w)[^\W_]*?(?:{_HUMP.pattern})[^\W_]*+")
_PART = re.compile(r"\d++|[^\W\d_]++")
_HUMPS = re.compile(r"[A-ZÀ-Þ]+s?(?![a-zà-ÿ])|[A-ZÀ-Þ]?[a-zà-ÿ]++|\d++|[^\W\d_]")
_SIGNED = re.compile(r"(?<!\w)([A-Za-z])(\+\+|#)(?!\w)")


@dataclass(slots=True)
class Codes:
    """What stands in a text beside its words. `wholes`: by spelling, how many words it is made of.

    `pieces` are codes inside longer ones; `words` are those inside of names and codes that the engine takes for one
    word. `spans` say where the text has codes that the engine takes apart.
    """

    wholes: dict[str, int] = field(default_factory=dict)
    pieces: set[str] = field(default_factory=set)
    words: list[str] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)

    def add(self, parts: Sequence[str]) -> None:
        """Add what has these parts, and the codes inside of it."""
        if len(parts) <= MOST_PARTS:
            self.add_as(_spelled(parts), len(parts))
            self.pieces.update(_runs(parts))

    def add_words(self, words: Sequence[str]) -> None:
        """Add the words inside of a word; where one is a single letter they say nothing."""
        if 1 < len(words) <= MOST_PARTS and all(len(word) > 1 for word in words):
            self.words += words

    def add_as(self, spelling: str, parts: int) -> None:
        self.wholes[spelling] = max(parts, self.wholes.get(spelling, 0))

    def parted(self, text: str) -> tuple[str, str]:
        """Return the text without the codes that the engine takes apart, and these."""
        rest, codes, end = [], [], 0
        for start, stop in sorted(self.spans):
            rest.append(text[end:start])
            codes.append(text[max(start, end) : stop])
            end = max(end, stop)
        return " ".join((*rest, text[end:])), " ".join(codes)


def codes_of(text: str, *, asked: bool = False) -> Codes:
    """Return the codes of a passage, or of a question (`asked`), in which `zp 8841` may be one as well."""
    found = Codes()
    if _HYPHEN.search(text):
        text = _HYPHEN.sub("-", text)
    for match in _NO_WORD.finditer(text):
        _add_compound(found, match)
    if _HUMP.search(text):
        for word in _HUMPED.findall(text):
            found.add_words(_HUMPS.findall(word))
            found.pieces.add(word.lower())
    for run in runs_of(text):
        _add_numbered(found, text, run.start(), asked=asked)
        for spelling, words, span in figures_in(text, run):
            found.add_as(spelling, words)
            found.spans += [span] if span else []
    if "#" in text or "++" in text:
        for match in _SIGNED.finditer(text):
            found.add_as(match[1].lower() + {"#": "sharp", "++": "plusplus"}[match[2]], 1)
    found.pieces.difference_update(found.wholes)
    return found


def _add_compound(found: Codes, match: re.Match[str]) -> None:
    """Add what holds together without a space, unless it is words with hyphens or a number with its unit."""
    compound = match[0]
    parts = _PART.findall(compound)
    if not compound.isalnum():
        if len(parts) > 1 and (any(sign in compound for sign in "_@.") or _DIGIT.search(compound)):
            found.add(parts)
            found.spans.append(match.span())
        return
    if not compound[0].isdigit():
        found.add(parts)
        found.wholes[_spelled(parts)] = 1
    if not _HUMP.search(compound):
        found.add_words(parts)


def _add_numbered(found: Codes, text: str, start: int, *, asked: bool) -> None:
    """Add a short word and the number after it: EN 60204-1, L. 121-1; in small letters only where `asked`."""
    if start == 0 or text[start - 1] not in " .":
        return
    word = _PREFIX.search(text, max(0, start - LONGEST_PREFIX - 3), start)
    number = _COMPOUND.match(text, start)
    if word is None or number is None:
        return
    if word[1].isupper() or (asked and (word[1][0].isupper() or sum(map(str.isdigit, number[0])) > 2)):
        found.add([word[1], *_PART.findall(number[0])])


def _runs(parts: Sequence[str]) -> Iterator[str]:
    """Give the codes inside a code: parts that follow each other, two or more, not all."""
    for size in range(2, min(LONGEST_RUN, len(parts) - 1) + 1):
        for start in range(len(parts) - size + 1):
            yield _spelled(parts[start : start + size])


def _spelled(parts: Sequence[str]) -> str:
    """Return parts in one word; only between digits it shows where one ends."""
    word = parts[0]
    for part in parts[1:]:
        word += JOINT + part if word[-1].isdigit() and part[0].isdigit() else part
    return word.lower()
