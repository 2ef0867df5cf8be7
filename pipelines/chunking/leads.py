"""What a passage is embedded after although it is not in it: the headings of its table, the question it answers."""

from __future__ import annotations

from collections.abc import Sequence

from ragline.pipelines.chunking.pieces import CountTokens
from ragline.pipelines.chunking.profiles import Plan, headings
from ragline.pipelines.chunking.questions import question_of
from ragline.types import Element

MAX_CHARS_A_TOKEN = 8
"""Longer headings are cut before their tokens are counted."""


class Leads:
    """What stands before passages that begin inside of a table or of an answer, at most half of `max_tokens` long."""

    def __init__(
        self, text: str, elements: Sequence[Element], plan: Plan, *, max_tokens: int, count_tokens: CountTokens
    ) -> None:
        self._text = text
        self._elements = elements
        self._plan = plan
        self._most = max_tokens // 2
        self._count_tokens = count_tokens
        self._known: dict[str, tuple[str, int]] = {"": ("", 0)}

    def text(self, element: int, offset: int) -> str:
        """Return what is before a passage that begins in this element at this offset; mostly nothing."""
        return self._cut(self._whole(element, offset))[0]

    def tokens(self, element: int, offset: int) -> int:
        return self._cut(self._whole(element, offset))[1]

    def _whole(self, element: int, offset: int) -> str:
        one, (start, _) = self._elements[element], self._plan.spans[element]
        if one.kind == "table" and one.headers and offset - start > len(above := headings(one)):
            return above
        pair = question_of(self._plan.questions, offset)
        return self._text[pair.start : pair.asked] if pair else ""

    def _cut(self, whole: str) -> tuple[str, int]:
        """Return a text cut to size, whole cells or words of each line, and its tokens."""
        if whole not in self._known:
            text = shortened(whole, self._most * MAX_CHARS_A_TOKEN)
            [tokens] = self._count_tokens([text])
            while tokens > self._most:
                text = shortened(text, int(0.9 * len(text) * self._most / tokens))
                [tokens] = self._count_tokens([text])
            self._known[whole] = text, tokens
        return self._known[whole]


def shortened(text: str, most_chars: int) -> str:
    """Return a text of at most so many characters, its lines cut at the end of a cell, or else of a word."""
    if len(text) <= most_chars:
        return text
    lines = text.split("\n")
    return "\n".join(_begin(line, most_chars // len(lines)) for line in lines)[:most_chars]


def _begin(line: str, most_chars: int) -> str:
    if len(line) <= most_chars:
        return line
    kept = line[:most_chars]
    for mark in (" | ", " "):
        if (end := kept.rfind(mark)) > most_chars // 2:
            return kept[:end]
    return kept
