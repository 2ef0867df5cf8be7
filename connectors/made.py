"""What the stored passages were made with, and whether an installation with these settings may go on with them.

Vectors of two embedding models cannot be compared: where the settings name another one, nothing is opened.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ragline.config.settings import Embedder as EmbedderSettings
from ragline.config.settings import Settings
from ragline.connectors.embedders.protocol import Embedder
from ragline.connectors.records.facts import Made
from ragline.connectors.records.store import Records
from ragline.connectors.vectors import open_vectors
from ragline.connectors.vectors.bm25 import analysis
from ragline.connectors.vectors.layout import store_name
from ragline.connectors.vectors.protocol import VectorStore
from ragline.connectors.vectors.stores import Stored, stored
from ragline.errors import SetupError

log = logging.getLogger(__name__)


def making(settings: Settings, embedder: Embedder) -> Made:
    """Return what passages are made with by these settings."""
    return Made(
        store=store_name(embedder.model_id),
        model_id=embedder.model_id,
        dimension=embedder.dimension,
        analysis=analysis(settings.retrieval.bm25_k1, settings.retrieval.bm25_b),
    )


async def other_model(settings: EmbedderSettings, records: Records) -> str:
    """Return what to add to the error of an embedding server that does not answer: that the passages that answer were
    made with another model than it was asked for. "" where they were not, or that is not known.
    """
    made = await records.facts.made()
    files = await records.facts.answering()
    if made is None or not made.model_id or not files or made.model_id.startswith(f"{settings.kind}/{settings.model}/"):
        return ""
    return (
        f" Besides, the passages of {counted(files)} were made with another embedding model, {made.model}: set "
        "embedder.* back to it, or, once the server answers, run `ragline reindex`"
    )


async def check_made(settings: Settings, records: Records, now: Made, *, folder: Path) -> None:
    """Raise SetupError where the passages that answer were made with another embedding model than `now`.

    Where nothing answers, or nothing was remembered and they lie in its store, `now` is remembered. Other words are no
    reason to stop: a warning in the log.
    """
    files = await records.facts.answering()
    made = await origin(settings, records, now, folder=folder) if files else None
    if made is None:
        if await records.facts.made() != now:
            await records.facts.remember(now)
        return
    refuse_mixing(made, now, files=files)
    if made.analysis != now.analysis:
        log.warning(
            "the passages of %s were prepared for the search by words %s: they are found, but less well. "
            "`ragline reindex`, with the server stopped, prepares them anew, without embedding anything",
            counted(files),
            difference(made.analysis, now.analysis),
        )
    if await records.facts.made() is None:
        await records.facts.remember(made)


def difference(made: str, now: str) -> str:
    """Return in plain words how two ways to analyse words differ, each as `analysis` tells it, "" if unknown."""
    version, _, weights = made.partition(" ")
    version_now, _, weights_now = now.partition(" ")
    if version != version_now:
        return "by an older Ragline" if not made else "by another version of Ragline"
    return (
        f"with {weights}, while the settings say {weights_now} (retrieval.bm25_k1: how much a word counts that occurs "
        "again; retrieval.bm25_b: how much long passages count less)"
    )


def refuse_mixing(made: Made, now: Made, *, files: int) -> None:
    """Raise SetupError where the passages of so many files, made with one model, cannot be searched with another."""
    if (made.store, made.dimension) != (now.store, now.dimension):
        raise SetupError(
            f"the passages of {counted(files)} were made with the embedding model {made.model}, and the settings name "
            f"{now.model}: their vectors must not be mixed. Bring them under the new model with `ragline reindex`, or "
            "set embedder.* back to the model of before"
        )


async def origin(
    settings: Settings, records: Records, now: Made, *, folder: Path, opened: VectorStore | None = None
) -> Made | None:
    """Return what the passages that answer were made with: as remembered, else as the stores show.

    `opened` is the store of `now`, where it is open. None: nothing is stored of them. Stores are read from beginning to
    end, which is only done while nothing is remembered. Raises SetupError where another process has one.
    """
    if (known := await records.facts.made()) is not None:
        return known
    held: dict[Stored, int] = {}
    for each in await stored(settings.vectors, folder=folder):
        if each.name == now.store and opened is not None:
            held[each] = await answering_in(opened, records)
            continue
        store = await open_vectors(
            settings.vectors, folder=folder, model_id="", dimension=each.dimension, name=each.name
        )
        try:
            held[each] = await answering_in(store, records)
        finally:
            await store.close()
    if not any(held.values()):
        return None
    most = max(held, key=lambda each: (held[each], each.name == now.store))
    return Made(most.name, now.model_id if most.name == now.store else "", most.dimension, "")


async def answering_in(store: VectorStore, records: Records) -> int:
    """Return how many files answer with passages that this store holds."""
    census = await store.census()
    number = 0
    async for page in records.files.all_pages():
        number += sum(file.version in census.files.get(file.id, {}) for file in page if file.version)
    return number


def counted(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"
