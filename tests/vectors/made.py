"""Points for the tests of the vector store: hand-made dense vectors of four numbers, real words."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ragline.connectors.vectors.bm25 import passage_vector, query_vector
from ragline.connectors.vectors.protocol import Point, Query
from ragline.types import Chunk, Passage

DIMENSION = 4
EAST = (1.0, 0.0, 0.0, 0.0)
NORTH = (0.0, 1.0, 0.0, 0.0)
NORTH_EAST = (0.6, 0.8, 0.0, 0.0)
WEST = (-1.0, 0.0, 0.0, 0.0)


def point(
    text: str,
    *,
    file_id: str = "file-1",
    dense: Sequence[float] = EAST,
    index: int = 0,
    version: str = "v1",
    user_id: str = "ann",
    collection_ids: Sequence[str] = (),
    language: str = "en",
) -> Point:
    """Return a point whose id comes from its text, file and version."""
    chunk = Chunk(
        index=index,
        text=text,
        start=index * 1000,
        end=index * 1000 + len(text),
        heading="Guide › Start",
        page=index + 1,
        language=language,
    )
    passage = Passage(
        id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{file_id}\x1f{version}\x1f{index}\x1f{text}")),
        file_id=file_id,
        version=version,
        user_id=user_id,
        name=f"{file_id}.txt",
        chunk=chunk,
    )
    return Point(passage=passage, collection_ids=collection_ids, dense=dense, sparse=passage_vector(text, language))


def query(text: str = "", dense: Sequence[float] = EAST) -> Query:
    return Query(dense=dense, sparse=query_vector(text))
