"""How each collection is searched best, as it was calibrated, and which collections have changed since then."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.tables import calibrations, collections, files, memberships
from ragline.connectors.records.upsert import upsert
from ragline.types import Calibration, Status

TRUSTED_S = 5.0
"""How long what was read is taken to hold: each search asks for it, and it changes once a day."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """How a collection is searched: what was `found` by calibrating it, and what was chosen by its owner."""

    found: Calibration | None = None
    dense_weight: float | None = None
    min_relevance: float | None = None


class Calibrations:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._read: dict[str, tuple[float, dict[str, Tuned]]] = {}

    async def known(self, model_id: str) -> dict[str, Tuned]:
        """Return what is known of each collection with this embedding model, by collection id.

        What another process wrote in the last seconds may be missing.
        """
        read_at, known = self._read.get(model_id, (0.0, {}))
        if time.monotonic() - read_at > TRUSTED_S or not read_at:
            known = await self._known(model_id)
            self._read[model_id] = time.monotonic(), known
        return known

    async def _known(self, model_id: str) -> dict[str, Tuned]:
        ours = (calibrations.c.collection_id == collections.c.id) & (calibrations.c.model_id == model_id)
        query = select(collections.c.id, collections.c.options, calibrations.c.value).join_from(
            collections, calibrations, ours, isouter=True
        )
        async with self._engine.connect() as connection:
            rows = [
                (row.id, row.value, (row.options or {}).get("retrieval")) for row in await connection.execute(query)
            ]
        return {id: tuned(found, chosen or {}) for id, found, chosen in rows if found or chosen}

    def forget(self) -> None:
        """Read anew what is asked for next."""
        self._read.clear()

    async def keep(self, collection_id: str, model_id: str, found: Calibration) -> None:
        """Write down what was found, in the place of what was. Nothing where the collection is gone."""
        row = {"value": asdict(found), "updated_at": int(time.time())}
        kept = (
            upsert(self._engine, calibrations)
            .values(collection_id=collection_id, model_id=model_id, **row)
            .on_conflict_do_update(index_elements=[calibrations.c.collection_id, calibrations.c.model_id], set_=row)
        )
        async with self._engine.begin() as connection:
            await connection.execute(kept)
        self.forget()

    async def sizes(self) -> dict[str, int]:
        """Return how many passages each collection has, by its id; of files that are being read, those of before."""
        query = (
            select(memberships.c.collection_id, func.sum(files.c.chunk_count).label("passages"))
            .join_from(memberships, files, memberships.c.file_id == files.c.id)
            .where(files.c.version.is_not(None))
            .group_by(memberships.c.collection_id)
        )
        async with self._engine.connect() as connection:
            return {row.collection_id: int(row.passages or 0) for row in await connection.execute(query)}

    async def answering(self, collection_id: str) -> list[tuple[str, str, int]]:
        """Return the files of a collection that answer: id, version, and how many passages, by id."""
        query = (
            select(files.c.id, files.c.version, files.c.chunk_count)
            .join_from(memberships, files, memberships.c.file_id == files.c.id)
            .where(
                memberships.c.collection_id == collection_id,
                files.c.status == Status.COMPLETED.value,
                files.c.version.is_not(None),
                files.c.chunk_count > 0,
            )
            .order_by(files.c.id)
        )
        async with self._engine.connect() as connection:
            return [(row.id, row.version, row.chunk_count) for row in await connection.execute(query)]


def tuned(found: Mapping[str, Any] | None, chosen: Mapping[str, Any]) -> Tuned:
    """Return what two rows hold."""
    calibration = Calibration(**{**found, "curve": tuple(found["curve"])}) if found else None
    return Tuned(calibration, chosen.get("dense_weight"), chosen.get("min_relevance"))
