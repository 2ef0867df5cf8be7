"""Each collection is calibrated when it has grown: a sample of its passages is drawn, and what is found kept."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import replace

from ragline.app import App
from ragline.errors import RaglineError
from ragline.pipelines.choices import of_files
from ragline.retrieval.calibrate import MIN_PASSAGES, MOST_PASSAGES, Sampled, calibrate
from ragline.types import Calibration, Passage

log = logging.getLogger(__name__)

LOOK_S = 60.0
"""How often is looked for collections that have grown."""
GROWTH = 2.0
"""A collection with so many times the passages of its last calibration, or so many times fewer, is calibrated anew."""
MOST_FILES = 400
"""Files of which passages are drawn, at most."""
AT_ONCE = 8


async def keep_calibrated(app: App) -> None:
    """Calibrate what needs it whenever nothing waits to be ingested, for ever. Failures are logged and tried again."""
    if not app.settings.retrieval.calibrate:
        return
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            async with app.records.alone("calibrate") as ours:
                for collection_id in await due(app) if ours and not await app.records.queue.waiting() else ():
                    await calibrate_collection(app, collection_id)
        except RaglineError as error:
            log.warning("calibration waits: %s", error)
        except Exception:
            log.exception("calibration failed")


async def due(app: App) -> list[str]:
    """Return the collections that have changed much since they were calibrated, or never were."""
    known = await app.records.calibrations.known(app.embedder.model_id)
    wanted = []
    for collection_id, passages in (await app.records.calibrations.sizes()).items():
        found = known[collection_id].found if collection_id in known else None
        same = found is not None and found.fusion == app.settings.retrieval.fusion
        grown = found is None or not found.size / GROWTH < passages < found.size * GROWTH
        if passages >= MIN_PASSAGES and (grown or not same):
            wanted.append(collection_id)
    return wanted


async def calibrate_collection(app: App, collection_id: str) -> None:
    """Calibrate a collection and keep what was found, also that it is too small or has too few sentences."""
    settings = app.settings.retrieval
    files = await app.records.calibrations.answering(collection_id)
    found = await calibrate(app.embedder, await sample_of(app, files), settings)
    size = sum(passages for _, _, passages in files)
    kept = replace(found or Calibration(None, settings.fusion), size=size)
    await app.records.calibrations.keep(collection_id, app.embedder.model_id, kept)
    log.info("calibrated collection=%s dense_weight=%s", collection_id, kept.dense_weight)


async def sample_of(app: App, files: Sequence[tuple[str, str, int]], *, seed: int = 0) -> list[Sampled]:
    """Return passages of these files (id, version, passages), drawn by chance, the same ones each time."""
    drawn = random.Random(seed)
    some = drawn.sample(list(files), min(len(files), MOST_FILES))
    each = -(-MOST_PASSAGES // max(1, len(some)))
    chosen = [(file_id, version, drawn.sample(range(count), min(count, each))) for file_id, version, count in some]
    passages: list[Passage] = []
    for start in range(0, len(chosen), AT_ONCE):
        part = [
            app.vectors.around(file_id, version=version, indices=indices)
            for file_id, version, indices in chosen[start : start + AT_ONCE]
        ]
        for found in await asyncio.gather(*part):
            passages += found
    passages = drawn.sample(passages, min(len(passages), MOST_PASSAGES))
    vectors = await app.vectors.vectors([passage.id for passage in passages])
    choices = await of_files(app, sorted({passage.file_id for passage in passages}))
    return [
        Sampled.of(passage, vectors[passage.id], name=passage.name, prefix=choices[passage.file_id][1].prefix)
        for passage in passages
        if passage.id in vectors
    ]
