"""What an index of a set is calibrated to, as a collection would be: found once and kept beside it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pydantic import TypeAdapter

from ragline.app import App
from ragline.connectors.records.calibrations import Tuned
from ragline.retrieval.calibrate import MOST_PASSAGES, Sampled, calibrate
from ragline.types import Calibration, Passage

SEED = 0
STORED = TypeAdapter(Calibration)


async def tuned(app: App, documents: Sequence[str], *, version: str) -> list[Tuned]:
    """Return what `planned` takes: nothing where retrieval.calibrate is off, or the set is too small to tell."""
    own = app.settings.retrieval
    if not own.calibrate:
        return []
    kept = app.settings.data_dir / f"calibration-{own.fusion}.json"
    if not kept.is_file():
        sample = await sampled(app, documents, version=version)
        found = await calibrate(app.embedder, sample, own)
        kept.write_bytes(STORED.dump_json(found or Calibration(dense_weight=None, fusion=own.fusion)))
    return [Tuned(found=STORED.validate_json(kept.read_bytes()))]


async def sampled(app: App, documents: Sequence[str], *, version: str) -> list[Sampled]:
    """Return passages of documents drawn by chance, the same ones each time."""
    passages: list[Passage] = []
    for document in random.Random(SEED).sample(documents, len(documents)):
        passages += await app.vectors.passages(document, version=version)
        if len(passages) >= MOST_PASSAGES:
            break
    passages = passages[:MOST_PASSAGES]
    vectors = await app.vectors.vectors([passage.id for passage in passages])
    return [
        Sampled.of(passage, vectors[passage.id], name="", prefix=app.settings.chunking.prefix)
        for passage in passages
        if passage.id in vectors
    ]
