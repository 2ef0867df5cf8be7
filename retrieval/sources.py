"""The `sources` of an answer in the wire format of the contract: one entry a reference, parallel lists inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragline.retrieval.references import Resolved
from ragline.types import Context, Hit, Json, Ref, Source

Sources = Sequence[Mapping[str, Json]]


def sources_of(context: Context, resolved: Resolved) -> Sources:
    """Return an entry for each reference, in the order of the references, passages best first.

    `distances` are (1 + cosine) / 2, so 0 to 1, bigger is nearer; a passage stands with the first reference it fits.
    """
    groups: list[list[tuple[Source, Hit]]] = [[] for _ in resolved.refs]
    order = {id(hit): rank for rank, hit in enumerate(ranked(context))}
    for source in context.sources:
        for hit in source.hits:
            position = resolved.ref_of(hit)
            if position is not None:
                groups[position].append((source, hit))
    return [
        entry(ref, sorted(group, key=lambda pair: order[id(pair[1])]))
        for ref, group in zip(resolved.refs, groups, strict=True)
    ]


def ranked(context: Context) -> list[Hit]:
    return sorted((hit for source in context.sources for hit in source.hits), key=lambda hit: -hit.score)


def entry(ref: Ref, group: Sequence[tuple[Source, Hit]]) -> Mapping[str, Json]:
    return {
        "source": {"type": ref.kind, "id": ref.id},
        "document": [hit.passage.chunk.text for _, hit in group],
        "metadata": [metadata(source, hit) for source, hit in group],
        "distances": [(1 + hit.cosine) / 2 for _, hit in group],
    }


def metadata(source: Source, hit: Hit) -> Mapping[str, Json]:
    """Return where a passage stands. `page` counts from 0 as clients expect, `page_label` is what is printed."""
    chunk = hit.passage.chunk
    known: dict[str, Json] = {
        "source": source.name,
        "name": source.name,
        "file_id": source.file_id,
        "created_by": hit.passage.user_id,
        "start_index": chunk.start,
        "end_index": chunk.end,
        "heading": chunk.heading,
        "language": chunk.language,
        "citation": source.number,
        "passage_id": hit.passage.id,
    }
    if chunk.page is not None:
        known |= {"page": chunk.page - 1, "page_label": str(chunk.page)}
    return known
