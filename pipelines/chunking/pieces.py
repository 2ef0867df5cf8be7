"""A document taken apart: elements into sentences, lines and words, each with its length in tokens."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge

from ragline.pipelines.chunking.profiles import Plan
from ragline.types import ElementKind

CountTokens = Callable[[Sequence[str]], list[int]]
"""Lengths of texts in tokens of the embedding model, special tokens left out."""

BATCH = 1024
"""Texts in one call of the tokenizer: bounds its memory."""
WINDOW_CHARS = 4096
"""Longest text given to the tokenizer or the splitter at once: the splitter's time grows with the square of it."""

_SENTENCE_END = re.compile(r"""[.!?…](?:["'”’)\]]|\s?»)*+\s++(?![a-zà-ÿ])|[。！？]""")
_LINE_END = re.compile(r"\n")


@dataclass(slots=True)
class Piece:
    """A stretch of an element, `element` its number, `parts` what it can be taken apart into (none: nothing).

    A piece that is `whole` is only taken apart where it is longer than a passage; one that `begins` starts a passage;
    one that `goes_on` is a line of the same item of a list as the piece before it.
    """

    element: int
    kind: ElementKind
    start: int
    end: int
    tokens: int = 0
    parts: list[Piece] = field(default_factory=list)
    whole: bool = False
    begins: bool = False
    goes_on: bool = False

    def leaves(self) -> Iterator[Piece]:
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()


def joined(parts: Sequence[Piece], *, whole: bool = False) -> Piece:
    """Return the piece that consists of these, at least one; a single one is that piece."""
    if len(parts) == 1:
        parts[0].whole = parts[0].whole or whole
        return parts[0]
    tokens = sum(part.tokens for part in parts)
    return Piece(parts[0].element, parts[0].kind, parts[0].start, parts[-1].end, tokens, [*parts], whole)


def leaves_of(text: str, plan: Plan, max_tokens: int, count_tokens: CountTokens) -> list[list[Piece]]:
    """Return for each element its sentences or lines, counted, none blank.

    A sentence of more than half of `max_tokens` tokens, and a line of more than all of them, has parts.
    """
    leaves = [list(_leaves(text, plan, number)) for number in range(len(plan.spans))]
    _fragment(text, [leaf for group in leaves for leaf in group], max_tokens, count_tokens)
    return leaves


def _leaves(text: str, plan: Plan, number: int) -> Iterator[Piece]:
    """Yield the sentences of a text, the lines of anything else, a title whole."""
    start, end = plan.spans[number]
    kind = plan.kinds[number]
    ends: Iterable[int] = ()
    if kind != "title":
        boundary = _SENTENCE_END if kind == "text" else _LINE_END
        ends = (match.end() for match in boundary.finditer(text, start, end))
        asked = plan.ordered_begins[bisect_left(plan.ordered_begins, start) : bisect_left(plan.ordered_begins, end)]
        ends = merge(ends, asked) if asked else ends
    for stop in (*ends, end):
        for left, right in _windows(text, start, stop, indented=kind == "code"):
            yield Piece(number, kind, left, right)
        start = max(start, stop)


def _windows(text: str, start: int, end: int, *, indented: bool) -> Iterator[tuple[int, int]]:
    """Yield stretches of at most WINDOW_CHARS without blanks around them, cut at a blank where there is one.

    `indented`: the blanks before the first stay.
    """
    while start < end:
        stop = min(end, start + WINDOW_CHARS)
        if stop < end:
            blank = max(text.rfind(sign, start + WINDOW_CHARS // 2, stop) for sign in " \n")
            stop = blank if blank > 0 else stop
        stretch = text[start:stop]
        if inner := stretch.strip():
            right = start + len(stretch.rstrip())
            yield (start if indented else right - len(inner)), right
        indented = False
        start = stop


def _fragment(text: str, pieces: list[Piece], max_tokens: int, count_tokens: CountTokens) -> None:
    """Count the pieces, and cut those that are too long for a leaf, again and again."""
    count(text, pieces, count_tokens)
    most = {"text": max_tokens // 2, "title": max_tokens // 2}
    while pieces := [
        piece for piece in pieces if piece.tokens > most.get(piece.kind, max_tokens) and piece.end - piece.start > 1
    ]:
        for piece in pieces:
            piece.parts = _fragments(text, piece, max_tokens // 2)
        pieces = [part for piece in pieces for part in piece.parts]
        count(text, pieces, count_tokens)


def _fragments(text: str, piece: Piece, half: int) -> list[Piece]:
    """Cut a piece that is too long at words, or inside of them where they are too long themselves."""
    from semantic_text_splitter import TextSplitter

    length = piece.end - piece.start
    capacity = min(length - 1, max(1, int(0.9 * length * half / piece.tokens)))
    found = TextSplitter(capacity).chunk_indices(text[piece.start : piece.end])
    spans = ((piece.start + offset, piece.start + offset + len(part)) for offset, part in found)
    return [Piece(piece.element, piece.kind, start, end) for start, end in spans]


def count(text: str, pieces: Sequence[Piece], count_tokens: CountTokens) -> None:
    for first in range(0, len(pieces), BATCH):
        batch = pieces[first : first + BATCH]
        counts = count_tokens([text[piece.start : piece.end] for piece in batch])
        for piece, tokens in zip(batch, counts, strict=True):
            piece.tokens = tokens
