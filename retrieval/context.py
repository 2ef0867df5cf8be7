"""Hits become a context: repeats dropped, inside a token budget, sources numbered by document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ragline.types import Chunk, Context, Hit, Source

MAX_GAP_CHARS = 2
"""Passages of one document that are no further apart than a blank line are one text."""

CountTokens = Callable[[Sequence[str]], list[int]]


def assemble(
    question: str, hits: Sequence[Hit], *, max_tokens: int, count_tokens: CountTokens, whole: Sequence[Hit] = ()
) -> Context:
    """Return the best hits that fit into `max_tokens`; the first is cut if it alone is too long.

    Sources are numbered from 1 in the order of their best hit; the hits of a source keep their order. Those in `whole`
    come first, and nobody counts their tokens here.
    """
    kept: list[Hit] = list(whole)
    tokens = 0
    first: dict[str, Hit] = {}
    for hit in hits:
        first.setdefault(hit.passage.chunk.text, hit)
    fresh = list(first.values())
    for hit, size in zip(fresh, count_tokens([hit.passage.chunk.text for hit in fresh]), strict=True):
        if tokens + size <= max_tokens:
            kept.append(hit)
            tokens += size
        elif not kept:
            kept.append(cut(hit, max_tokens / size))
            tokens = max_tokens
    return Context(question, number(kept), tokens, left_out=len(fresh) + len(whole) - len(kept))


def number(hits: Sequence[Hit]) -> list[Source]:
    """Group hits by document, numbered from 1 by first appearance."""
    by_file: dict[str, list[Hit]] = {}
    for hit in hits:
        by_file.setdefault(hit.passage.file_id, []).append(hit)
    return [
        Source(position, file_id, group[0].passage.name, group)
        for position, (file_id, group) in enumerate(by_file.items(), start=1)
    ]


def join_neighbours(hits: Sequence[Hit]) -> list[Hit]:
    """Join hits that touch or overlap in their document; the joined one stands where the best of them stood."""
    joined: list[tuple[int, Hit]] = []
    in_document_order = sorted(enumerate(hits), key=lambda item: (item[1].passage.file_id, item[1].passage.chunk.start))
    for rank, hit in in_document_order:
        if joined and touch(joined[-1][1], hit):
            best, known = joined.pop()
            joined.append((best, join(known, hit)) if best < rank else (rank, join(hit, known)))
        else:
            joined.append((rank, hit))
    return [hit for _, hit in sorted(joined, key=lambda item: item[0])]


def touch(one: Hit, later: Hit) -> bool:
    """Tell whether a hit begins where another of the same page ends, or before: a citation names one page."""
    same = (one.passage.file_id, one.passage.chunk.page) == (later.passage.file_id, later.passage.chunk.page)
    return same and later.passage.chunk.start <= one.passage.chunk.end + MAX_GAP_CHARS


def join(better: Hit, other: Hit) -> Hit:
    """Return one hit over both passages, with the better one's scores."""
    first, second = sorted((better.passage.chunk, other.passage.chunk), key=lambda chunk: (chunk.start, chunk.end))
    if second.end <= first.end:
        return replace(better, passage=replace(better.passage, chunk=first))
    gap = second.start - first.end
    text = first.text + ("\n" * gap if gap > 0 else "") + second.text[max(0, -gap) :]
    chunk: Chunk = replace(first, text=text, end=second.end)
    return replace(better, passage=replace(better.passage, chunk=chunk))


def cut(hit: Hit, share: float) -> Hit:
    """Keep the beginning of a passage, whole words."""
    chunk = hit.passage.chunk
    text = chunk.text[: max(1, int(len(chunk.text) * share))].rsplit(maxsplit=1)[0]
    return replace(hit, passage=replace(hit.passage, chunk=replace(chunk, text=text, end=chunk.start + len(text))))
