"""What stands around the hits in their documents goes before the model with them, as far as there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from ragline.app import App
from ragline.retrieval.context import CountTokens, join_neighbours, readable
from ragline.types import Context, Hit, Passage, Shown

Kind: TypeAlias = Literal["none", "window", "parent"]
Order: TypeAlias = Literal["score", "document"]

SECTION_REACH = 16
"""A section that goes on for more passages than that before or after a hit is too long to be given whole."""
AT_ONCE = 8
"""Files whose passages are fetched at the same time."""

Near: TypeAlias = Mapping[str, Mapping[int, Passage]]
"""Passages by file and their position in it."""


async def surrounded(app: App, context: Context, *, max_tokens: int, whole: Collection[str] = ()) -> Context:
    """Return the context with what its model reads: the hits, what surrounds them, each place once.

    All hits are in it; then, in the order of the hits, come those of their surroundings that fit into `max_tokens`.
    Files in `whole` are taken whole. What a passage stands beside is never of another file inside its file, nor sheet.
    """
    settings = app.settings.retrieval
    hits = [shown.hit for shown in context.shown if shown.hit.passage.file_id not in whole]
    near = await neighbours(app, hits, settings.surroundings)
    return await asyncio.to_thread(
        widened,
        context,
        near,
        max_tokens=max_tokens,
        kind=settings.surroundings,
        order=settings.order,
        count_tokens=app.embedder.count_tokens,
        whole=whole,
    )


async def neighbours(app: App, hits: Sequence[Hit], kind: Kind) -> Near:
    """Return the passages around hits that are stored, one look-up a file, the hits' own not among them."""
    wanted: dict[tuple[str, str], set[int]] = {}
    reach = {"none": 0, "window": 1, "parent": SECTION_REACH}[kind]
    for hit in hits:
        if hit.passage.version:
            index = hit.passage.chunk.index
            around = range(max(0, index - reach), index + reach + 1)
            wanted.setdefault((hit.passage.file_id, hit.passage.version), set()).update(around)
    for hit in hits:
        wanted.get((hit.passage.file_id, hit.passage.version), set()).discard(hit.passage.chunk.index)
    limit = asyncio.Semaphore(AT_ONCE)

    async def of(file_id: str, version: str, indices: set[int]) -> tuple[str, dict[int, Passage]]:
        async with limit:
            found = await app.vectors.around(file_id, version=version, indices=sorted(indices))
        return file_id, {passage.chunk.index: passage for passage in found}

    return dict(
        await asyncio.gather(*(of(*file, indices) for file, indices in wanted.items() if indices)),
    )


def widened(
    context: Context,
    near: Near,
    *,
    max_tokens: int,
    kind: Kind,
    order: Order,
    count_tokens: CountTokens,
    whole: Collection[str] = (),
) -> Context:
    """Return the context with the surroundings that fit, and what touches joined."""
    numbers = {shown.hit.passage.file_id: shown.number for shown in context.shown}
    fixed = [shown for shown in context.shown if shown.hit.passage.file_id in whole]
    hits = [shown.hit for shown in context.shown if shown.hit.passage.file_id not in whole]
    taken: dict[str, Passage] = {}
    left = max_tokens - context.tokens
    for hit in hits:
        for group in section(hit, hits, near) if kind == "parent" else beside(hit, near):
            fresh = [passage for passage in group if passage.id not in taken]
            size = sum(count_tokens([readable(passage.chunk) for passage in fresh])) if fresh and left > 0 else 0
            if 0 < size <= left:
                taken |= {passage.id: passage for passage in fresh}
                left -= size
    joined = join_neighbours(hits, taken.values())
    if order == "document":
        joined.sort(key=lambda hit: (numbers[hit.passage.file_id], hit.passage.chunk.start))
    tokens = sum(count_tokens([readable(hit.passage.chunk) for hit in joined])) if joined else 0
    return replace(
        context,
        tokens=tokens,
        shown=(*fixed, *(Shown(numbers[hit.passage.file_id], hit) for hit in joined)),
    )


def beside(hit: Hit, near: Near) -> Iterator[list[Passage]]:
    """Yield the passage after a hit, then the one before it, each as far as it is of the same place."""
    known = near.get(hit.passage.file_id, {})
    for index in (hit.passage.chunk.index + 1, hit.passage.chunk.index - 1):
        passage = known.get(index)
        if passage is not None and same_place(passage, hit.passage):
            yield [passage]


def section(hit: Hit, hits: Sequence[Hit], near: Near) -> Iterator[list[Passage]]:
    """Yield the other passages of a hit's section, if it has a heading and all of them are known."""
    own, file_id = hit.passage, hit.passage.file_id
    known = dict(near.get(file_id, {}))
    known |= {other.passage.chunk.index: other.passage for other in hits if other.passage.file_id == file_id}
    found: list[Passage] = []
    for step in (-1, 1):
        index = own.chunk.index + step
        while (passage := known.get(index)) is not None and same_section(passage, own):
            found.append(passage)
            index += step
        if abs(index - own.chunk.index) > SECTION_REACH:
            return  # it goes on
    hits_own = {other.passage.id for other in hits}
    if own.chunk.heading:
        yield [passage for passage in found if passage.id not in hits_own]


def same_place(one: Passage, other: Passage) -> bool:
    return (one.chunk.member, one.chunk.sheet) == (other.chunk.member, other.chunk.sheet)


def same_section(one: Passage, other: Passage) -> bool:
    return same_place(one, other) and one.chunk.heading == other.chunk.heading
