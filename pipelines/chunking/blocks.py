"""What a document consists of, as the packer takes it: paragraphs, lists, tables, definitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ragline.pipelines.chunking.pieces import CountTokens, Piece, joined, leaves_of
from ragline.pipelines.chunking.profiles import Plan
from ragline.pipelines.chunking.units import code_units, items


def blocks_of(text: str, plan: Plan, max_tokens: int, count_tokens: CountTokens) -> list[Piece]:
    """Return the pieces of a document in its order, none blank: an element each, of code a definition.

    A leaf is a sentence or part of one, of at most half of `max_tokens`; of tables, lists and code a line, whole
    where it has no more than `max_tokens`.
    """
    leaves = leaves_of(text, plan, max_tokens, count_tokens)
    # What the blank line between two elements costs is the tokenizer's affair: nothing or a token.
    seam, first, second = count_tokens(["a\n\nb", "a", "b"])
    gap = max(0, seam - first - second)
    blocks: list[Piece] = []
    numbers = [number for number, group in enumerate(leaves) if group]
    for (kind, _), run in groupby(numbers, key=lambda number: (plan.kinds[number], plan.zones[number])):
        groups = [_with_gap(leaves[number], gap) for number in run]
        if kind == "code" and plan.units:
            blocks += code_units(text, [line for group in groups for line in group], max_tokens)
        elif kind == "list":
            blocks += [block for group in groups for block in _divided(items(text, group), plan)]
        else:
            blocks += [block for group in groups for block in _divided(group, plan)]
    return blocks


def _with_gap(leaves: list[Piece], gap: int) -> list[Piece]:
    for leaf in leaves[:1] if leaves[0].kind == "text" else leaves:
        leaf.tokens += gap
    return leaves


def _divided(leaves: Sequence[Piece], plan: Plan) -> Iterator[Piece]:
    """Yield the leaves of an element as one piece, or as several where passages must begin inside of it."""
    begun: list[Piece] = []
    for leaf in leaves:
        if leaf.start in plan.begins and begun:
            yield _begun(begun, plan)
            begun = []
        begun.append(leaf)
    yield _begun(begun, plan)


def _begun(leaves: Sequence[Piece], plan: Plan) -> Piece:
    block = joined(leaves)
    block.begins = block.start in plan.begins
    return block
