"""The `sources` of an answer in the wire format of the contract: one entry a reference, parallel lists inside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ragline.app import App
from ragline.retrieval.cited import passage_url
from ragline.retrieval.gather import Gathered
from ragline.types import CollectionRef, FileRecord, FileRef, Hit, Json, Ref, Source, TextRef, UrlRef

Sources = Sequence[Mapping[str, Json]]


async def sources_of(app: App, gathered: Gathered, refs: Sequence[Ref]) -> Sources:
    """Return an entry for each reference, in the order of the references, passages nearest in meaning first.

    What is given whole, and a text of the request, has no `distances`. A document stands with the first reference it
    fits.
    """
    found = gathered.context.sources
    files = await app.records.files.named({source.file_id for source in found} - gathered.inline.keys())
    groups: list[list[tuple[Source, Hit]]] = [[] for _ in refs]
    for source in found:
        groups[gathered.owners[source.file_id]] += [(source, hit) for hit in source.hits]
    embedding = embedding_config(app)
    return [
        entry(ref, sorted(group, key=lambda pair: (-pair[1].cosine, -pair[1].score)), gathered, files, embedding)
        for ref, group in zip(refs, groups, strict=True)
    ]


def entry(
    ref: Ref,
    group: Sequence[tuple[Source, Hit]],
    gathered: Gathered,
    files: Mapping[str, FileRecord],
    embedding: dict[str, Json],
) -> Mapping[str, Json]:
    made: dict[str, Json] = {
        "source": ref.sent if ref.sent is not None else as_sent(ref),
        "document": [hit.passage.chunk.text for _, hit in group],
        "metadata": [metadata(source, hit, gathered, files.get(source.file_id)) | embedding for source, hit in group],
    }
    if was_searched(ref, group, gathered):
        made["distances"] = [hit.similarity for _, hit in group]
    return made


def as_sent(ref: Ref) -> Mapping[str, Json]:
    """Return a reference as a client would have sent it; a filter is left out."""
    match ref:
        case FileRef() | CollectionRef():
            return {"type": ref.kind, "id": ref.id, **({"context": "full"} if ref.full else {})}
        case TextRef():
            return {"type": ref.kind, "id": ref.id, "name": ref.name, "content": ref.content}
        case UrlRef():
            return {"type": ref.kind, "url": ref.url, "name": ref.name}


def was_searched(ref: Ref, group: Sequence[tuple[Source, Hit]], gathered: Gathered) -> bool:
    """Tell whether the entry of a reference has distances."""
    match ref:
        case FileRef() | CollectionRef():
            return not ref.full
        case TextRef():
            return False
        case UrlRef():
            return any(source.file_id in gathered.searched for source, _ in group)


def metadata(source: Source, hit: Hit, gathered: Gathered, file: FileRecord | None) -> dict[str, Json]:
    """Return the metadata of a passage in a context: its place, its document, and the number by which it is cited."""
    known = place(hit) | {"citation": source.number}
    if (inline := gathered.inline.get(source.file_id)) is None:
        return known | of_file(hit, file)
    about = contents(inline.sha256, inline.size_bytes, inline.content_type)
    return known | about | ({"source": inline.url, "url": inline.url} if inline.url is not None else {})


def embedding_config(app: App) -> dict[str, Json]:
    """Return what the metadata of each passage says of the model that embedded it, as a text: so clients expect it."""
    said = {"engine": app.settings.embedder.kind, "model": app.settings.embedder.model}
    return {"embedding_config": json.dumps(said, ensure_ascii=False)}


def place(hit: Hit) -> dict[str, Json]:
    """Return where a passage stands. `page` counts from 0 as clients expect, `page_label` is what is printed.

    `page_end` counts as `page` does; `sheet`, `cells`, `member`, `html` and `lead` are there where it has them.
    """
    passage, chunk = hit.passage, hit.passage.chunk
    known: dict[str, Json] = {
        "source": passage.name,
        "name": passage.name,
        "start_index": chunk.start,
        "end_index": chunk.end,
        "heading": chunk.heading,
        "language": chunk.language,
        "kind": chunk.kind,
        "passage_id": passage.id,
    }
    if chunk.page is not None:
        last = chunk.page_end or chunk.page
        known |= {"page": chunk.page - 1, "page_label": str(chunk.page), "page_end": last - 1}
    more = {name: getattr(chunk, name) for name in ("sheet", "cells", "member", "html", "lead")}
    return known | {name: value for name, value in more.items() if value}


def of_file(hit: Hit, file: FileRecord | None) -> dict[str, Json]:
    """Return what the metadata of a passage says of its file; None: the file was deleted meanwhile."""
    owned: dict[str, Json] = {"file_id": hit.passage.file_id, "created_by": hit.passage.user_id}
    owned["passage_url"] = passage_url(hit.passage)
    return owned if file is None else owned | contents(file.sha256, file.size_bytes, file.content_type)


def contents(sha256: str, size_bytes: int, content_type: str) -> dict[str, Json]:
    return {"hash": sha256, "file_hash": sha256, "size": size_bytes, "content_type": content_type}
