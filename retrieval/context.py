"""Hits become a context: repeats dropped, inside a token budget, sources numbered by document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ragline.pipelines.chunk import common_path
from ragline.types import Chunk, Context, Hit, Passage, Shown, Source

MAX_GAP_CHARS = 2
"""Passages of one document that are no further apart than a blank line are one text."""

CountTokens = Callable[[Sequence[str]], list[int]]

_WORD = re.compile(r"[^\W_]+")


def assemble(
    question: str, hits: Sequence[Hit], *, max_tokens: int, count_tokens: CountTokens, whole: Sequence[Hit] = ()
) -> Context:
    """Return the best hits that fit into `max_tokens`; the first is cut if it alone is too long.

    Of hits with the same words in the same order only the first is kept. Sources are numbered from 1 in the order of
    their best hit; the hits of a source keep their order. Those in `whole` come first, and nobody counts their tokens
    here. What is shown are the hits, in their order.
    """
    kept: list[Hit] = list(whole)
    tokens = 0
    first: dict[str, Hit] = {}
    for hit in hits:
        first.setdefault(words_of(hit.passage.chunk.text), hit)
    fresh = list(first.values())
    for hit, size in zip(fresh, count_tokens([readable(hit.passage.chunk) for hit in fresh]), strict=True):
        if tokens + size <= max_tokens:
            kept.append(hit)
            tokens += size
        elif not kept and max_tokens > 0:
            kept.append(cut(hit, max_tokens / size))
            tokens = max_tokens
    sources = number(kept)
    numbers = {source.file_id: source.number for source in sources}
    shown = tuple(Shown(numbers[hit.passage.file_id], hit) for hit in kept)
    return Context(question, sources, tokens, left_out=len(hits) + len(whole) - len(kept), shown=shown)


def words_of(text: str) -> str:
    """Return what two texts that say the same have in common: their words, whatever case, blanks and signs are."""
    return " ".join(_WORD.findall(text.casefold())) or text


def readable(chunk: Chunk) -> str:
    """Return what a model is given of a passage: before its text what it cannot be understood without."""
    return f"{chunk.lead}\n{chunk.text}" if chunk.lead else chunk.text


def number(hits: Sequence[Hit]) -> list[Source]:
    """Group hits by document, numbered from 1 by first appearance."""
    by_file: dict[str, list[Hit]] = {}
    for hit in hits:
        by_file.setdefault(hit.passage.file_id, []).append(hit)
    return [
        Source(position, file_id, group[0].passage.name, group)
        for position, (file_id, group) in enumerate(by_file.items(), start=1)
    ]


def join_neighbours(hits: Sequence[Hit], beside: Iterable[Passage] = ()) -> list[Hit]:
    """Join hits that touch or overlap in their document; the joined one stands where the best of them stood.

    `beside` are passages that no search found; those that touch no hit, also through others, are left out.
    """
    ranks = {hit.passage.id: rank for rank, hit in enumerate(hits)}
    none = Hit(hits[0].passage, score=0.0, cosine=0.0) if hits else None
    others = [replace(none, passage=one) for one in beside if none is not None and one.id not in ranks]
    runs: list[list[Hit]] = []
    end = 0
    for hit in sorted([*hits, *others], key=in_document):
        chunk = hit.passage.chunk
        if runs and place(runs[-1][0]) == place(hit) and chunk.start <= end + MAX_GAP_CHARS:
            runs[-1].append(hit)
            end = max(end, chunk.end)
        else:
            runs.append([hit])
            end = chunk.end
    joined: list[tuple[int, Hit]] = []
    for run in runs:
        best = min(run, key=lambda hit: ranks.get(hit.passage.id, len(ranks)))
        if best.passage.id in ranks:
            joined.append((ranks[best.passage.id], join(best, [hit.passage.chunk for hit in run])))
    return [hit for _, hit in sorted(joined, key=lambda item: item[0])]


def in_document(hit: Hit) -> tuple[str, str, str, int, int]:
    """Return where a passage stands among all."""
    return *place(hit), hit.passage.chunk.start, hit.passage.chunk.end


def place(hit: Hit) -> tuple[str, str, str]:
    """Return what text is never joined across: file, file inside of it, sheet."""
    chunk = hit.passage.chunk
    return hit.passage.file_id, chunk.member, chunk.sheet or ""


def join(best: Hit, chunks: Sequence[Chunk]) -> Hit:
    """Return one hit over passages that follow each other, sorted by start, with the scores of the best.

    Its text has the length `end - start`. White space that lies between two passages is in none of them: a line end
    stands for it, a blank between sentences of running text.
    """
    if len(chunks) == 1:
        return best
    first = chunks[0]
    text, end = first.text, first.end
    last = first
    for chunk in chunks[1:]:
        gap = chunk.start - end
        if gap > 0:
            text += (" " if gap == 1 and last.kind == chunk.kind == "text" else "\n" * gap) + chunk.text
        elif chunk.end > end:
            text += chunk.text[-gap:]
        end, last = max(end, chunk.end), chunk
    pages = [page for chunk in chunks for page in (chunk.page, chunk.page_end) if page is not None]
    cells = [chunk.cells for chunk in chunks]
    whole = replace(
        best.passage.chunk,
        index=first.index,
        text=text,
        start=first.start,
        end=end,
        heading=common_path([chunk.heading for chunk in chunks]),
        page=min(pages, default=None),
        page_end=max(pages, default=None),
        cells=joined_cells([each for each in cells if each]) if all(cells) else None,
        html=None,
        lead=first.lead,
    )
    return replace(best, passage=replace(best.passage, chunk=whole))


def joined_cells(cells: Sequence[str]) -> str:
    """Return the range from the first of the ranges to the last, such as `A5:C12`."""
    return f"{cells[0].split(':')[0]}:{cells[-1].split(':')[-1]}"


def cut(hit: Hit, share: float) -> Hit:
    """Keep the beginning of a passage, whole words. Which of its cells are in it, nobody knows any more."""
    chunk = hit.passage.chunk
    text = chunk.text[: max(1, int(len(chunk.text) * share))].rsplit(maxsplit=1)[0]
    kept = replace(chunk, text=text, end=chunk.start + len(text), page_end=chunk.page, cells=None, html=None)
    return replace(hit, passage=replace(hit.passage, chunk=kept))
