"""Questions and where their answers end: marked ones, titles and lines that ask, tables of questions and answers."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragline.types import Element

MAX_QUESTION_CHARS = 300
"""A longer line that ends in a question mark is taken for text."""

_MARKED = re.compile(
    r"^[^\S\n]*(?:[-*•>#]{1,6}[^\S\n]+)?[*_]{0,2}(?:question|frage|q)[^\S\n]{0,2}(?:n[°o][^\S\n]{0,2})?\d{0,4}"
    r"[*_]{0,2}[^\S\n]{0,2}[:.)–—-]",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER = re.compile(
    r"^[^\S\n]*(?:[-*•>][^\S\n]+)?[*_]{0,2}(?:réponse|reponse|answer|antwort|r|a)[^\S\n]{0,2}\d{0,4}[*_]{0,2}"
    r"[^\S\n]{0,2}[:.)–—-]",
    re.IGNORECASE | re.MULTILINE,
)
_ASKS = re.compile(r"[?？](?:[*_\"'”’»)\s]){0,6}$")
_QUESTIONS = re.compile(r"\b(?:questions?|q|frage|demande|faq)\b", re.IGNORECASE)
_ANSWERS = re.compile(r"\b(?:réponses?|reponses?|answers?|antwort|a|r)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and its answer: the question is the text from `start` to `asked`, the answer ends at `end`."""

    start: int
    asked: int
    end: int


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a question begins, or, without `asked`, where what is not its answer begins."""

    start: int
    asked: int | None = None


def pairs_of(elements: Sequence[Element], spans: Sequence[tuple[int, int]], zones: Sequence[int]) -> list[Pair]:
    """Return the questions of a document with their answers, none overlapping, in its order; there may be none.

    Lines that only end in a question mark count where no question is marked and no title asks.
    """
    marks = list(_marks(elements, spans, zones, loose=False))
    if not any(mark.asked for mark in marks):
        marks = list(_marks(elements, spans, zones, loose=True))
    stops = [mark.start for mark in marks[1:]] + [span[1] for span in spans[-1:]]
    return [Pair(mark.start, mark.asked, stop) for mark, stop in zip(marks, stops, strict=False) if mark.asked]


def begins_of(pairs: Sequence[Pair]) -> Iterator[int]:
    """Yield the offsets at which passages begin: where a question begins, and where an answer has ended."""
    for pair in pairs:
        yield pair.start
        yield pair.end


def question_of(pairs: Sequence[Pair], offset: int) -> Pair | None:
    """Return the pair in whose answer this offset lies."""
    number = bisect_right(pairs, offset, key=lambda pair: pair.start) - 1
    return pairs[number] if number >= 0 and pairs[number].asked <= offset < pairs[number].end else None


def _marks(
    elements: Sequence[Element], spans: Sequence[tuple[int, int]], zones: Sequence[int], *, loose: bool
) -> Iterator[_Mark]:
    level = 0  # of the title that asks; 0 where a line does
    inside = after_table = False
    for number, (one, (start, _)) in enumerate(zip(elements, spans, strict=True)):
        found = list(_asked(one, start, loose=loose))
        is_title = one.kind == "title" and (not level or one.level <= level)
        if inside and (is_title or after_table or zones[number] != zones[number - 1]):
            inside = False
            yield _Mark(_letter(one, start))
        if found:
            inside, level = True, one.level if one.kind == "title" else 0
            yield from found
        after_table = bool(found) and one.kind == "table"


def _asked(one: Element, start: int, *, loose: bool) -> Iterator[_Mark]:
    """Yield the questions that begin in an element."""
    if one.kind == "table":
        yield from _rows(one, start)
    elif one.kind == "title":
        if len(one.text) <= MAX_QUESTION_CHARS and _ASKS.search(one.text.rstrip()[-20:]):
            yield _Mark(_letter(one, start), start + len(one.text))
    elif one.kind in ("text", "list"):
        matches = list(_MARKED.finditer(one.text))
        for match in matches:
            begin = match.start() + len(match[0]) - len(match[0].lstrip())
            yield _Mark(start + begin, start + _end_of_question(one.text, match.end()))
        if loose and not matches:
            line = one.text.lstrip().split("\n", 1)[0]
            if len(line) <= MAX_QUESTION_CHARS and _ASKS.search(line.rstrip()[-20:]):
                begin = _letter(one, start)
                yield _Mark(begin, begin + len(line.rstrip()))


def _end_of_question(text: str, start: int) -> int:
    """Return where a question ends that begins before `start`: where an answer is marked, or with its line."""
    stop = start + MAX_QUESTION_CHARS
    answer = _ANSWER.search(text, start, stop)
    line = text.find("\n", start, stop)
    if answer is not None and text[start : answer.start()].strip():
        return start + len(text[start : answer.start()].rstrip())
    return line if line >= 0 else min(len(text), stop)


def _rows(one: Element, start: int) -> Iterator[_Mark]:
    """Yield the rows of a table of questions; the headings stand before the first.

    Its headings say so, or it has two columns, and the first asks in most rows.
    """
    lines = one.text.split("\n")
    head = [cell[:100] for cell in lines[0].split(" | ")]
    answered = any(_QUESTIONS.search(cell) for cell in head) and any(_ANSWERS.search(cell) for cell in head)
    if not (answered or _asks_first([line.split(" | ") for line in lines[one.headers :]])):
        return
    at = start
    first = True
    for number, line in enumerate(lines):
        if number >= one.headers and line.strip():
            begin = start if first else at + len(line) - len(line.lstrip())
            first = False
            yield _Mark(begin, at + len(line))
        at += len(line) + 1


def _asks_first(rows: Sequence[Sequence[str]]) -> bool:
    asking = sum(_ASKS.search(row[0][-20:]) is not None for row in rows)
    return 2 * asking > len(rows) and all(len(row) <= 2 for row in rows)


def _letter(one: Element, start: int) -> int:
    return start + len(one.text) - len(one.text.lstrip())
