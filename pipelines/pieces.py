"""A document taken apart: elements into sentences, lines and words, each with its length in tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ragline.types import Element, ElementKind

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
    """A stretch of an element, `element` its number, `parts` what it can be taken apart into (none: nothing)."""

    element: int
    kind: ElementKind
    start: int
    end: int
    tokens: int = 0
    parts: list[Piece] = field(default_factory=list)

    def leaves(self) -> Iterator[Piece]:
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()


def blocks_of(
    text: str, elements: Sequence[Element], starts: Sequence[int], half: int, count_tokens: CountTokens
) -> list[Piece]:
    """Return a piece for each element that is not blank; a leaf has at most `half` tokens or is a single letter."""
    parts = [list(_parts(text, number, start, elements[number])) for number, start in enumerate(starts)]
    pieces = [piece for group in parts for piece in group]
    count(text, pieces, count_tokens)
    while pieces := [piece for piece in pieces if piece.tokens > half and piece.end - piece.start > 1]:
        for piece in pieces:
            piece.parts = _fragments(text, piece, half)
        pieces = [part for piece in pieces for part in piece.parts]
        count(text, pieces, count_tokens)
    # What the blank line between two elements costs is the tokenizer's affair: nothing or a token.
    joined, first, second = count_tokens(["a\n\nb", "a", "b"])
    gap = max(0, joined - first - second)
    return [_block(group, gap, group[0].kind == "text") for group in parts if group]


def _block(parts: list[Piece], gap: int, is_prose: bool) -> Piece:
    for part in parts[:1] if is_prose else parts:
        part.tokens += gap
    if len(parts) == 1:
        return parts[0]
    tokens = sum(part.tokens for part in parts)
    return Piece(parts[0].element, parts[0].kind, parts[0].start, parts[-1].end, tokens, parts)


def _parts(text: str, number: int, start: int, element: Element) -> Iterator[Piece]:
    """Yield the sentences of a text, the lines of anything else, a title whole."""
    end = start + len(element.text)
    ends: Iterable[int] = ()
    if element.kind != "title":
        boundary = _SENTENCE_END if element.kind == "text" else _LINE_END
        ends = (match.end() for match in boundary.finditer(text, start, end))
    for stop in (*ends, end):
        for left, right in _windows(text, start, stop):
            yield Piece(number, element.kind, left, right)
        start = stop


def _windows(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield stretches of at most WINDOW_CHARS without blanks around them, cut at a blank where there is one."""
    while start < end:
        stop = min(end, start + WINDOW_CHARS)
        if stop < end:
            blank = max(text.rfind(sign, start + WINDOW_CHARS // 2, stop) for sign in " \n")
            stop = blank if blank > 0 else stop
        stretch = text[start:stop]
        if inner := stretch.strip():
            left = start + len(stretch) - len(stretch.lstrip())
            yield left, left + len(inner)
        start = stop


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
