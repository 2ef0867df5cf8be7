"""What holds for the whole installation: a few values by name, kept beside the records."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.tables import facts, files
from ragline.connectors.records.upsert import upsert
from ragline.types import Json

PASSAGES = "passages"
MOVING = "reindex"
OLD = "old passages"


@dataclass(frozen=True, slots=True)
class Made:
    """What passages were made with, and in which store they lie: a folder, or a collection of a Qdrant server.

    `model_id` is "" where only the store is known, as in installations from before anything was remembered. `analysis`
    is that of their words, "" likewise.
    """

    store: str
    model_id: str
    dimension: int
    analysis: str

    @property
    def model(self) -> str:
        """Name the model for the user."""
        named = repr(self.model_id) if self.model_id else f"of the store {self.store!r}"
        return f"{named} ({self.dimension} dimensions)"


class Facts:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def made(self) -> Made | None:
        """Return what the passages that answer were made with, None where nothing was remembered."""
        return as_made(await self.get(PASSAGES))

    async def remember(self, made: Made) -> None:
        """Say that the passages that answer were made with this."""
        await self.put(PASSAGES, asdict(made))

    async def moving(self) -> tuple[Made | None, Made] | None:
        """Return from what to what the passages are being moved, None where none are."""
        said = await self.get(MOVING)
        if not isinstance(said, dict):
            return None
        target = as_made(said.get("to"))
        return None if target is None else (as_made(said.get("from")), target)

    async def start_moving(self, origin: Made, target: Made) -> None:
        await self.put(MOVING, {"from": asdict(origin), "to": asdict(target)})

    async def old(self) -> list[Made]:
        """Return what passages that no longer answer were made with, which are kept."""
        said = await self.get(OLD)
        made = [as_made(each) for each in said] if isinstance(said, list) else []
        return [each for each in made if each is not None]

    async def keep_old(self, made: list[Made]) -> None:
        """Say that these are all that are kept and no longer answer."""
        await self.put(OLD, [asdict(each) for each in made])

    async def answering(self) -> int:
        """Return how many files have passages that answer."""
        query = select(func.count()).select_from(files).where(files.c.version.is_not(None))
        async with self._engine.connect() as connection:
            return int(await connection.scalar(query) or 0)

    async def get(self, name: str) -> Json | None:
        async with self._engine.connect() as connection:
            value: Json | None = await connection.scalar(select(facts.c.value).where(facts.c.name == name))
        return value

    async def put(self, name: str, value: Json) -> None:
        row = {"value": value, "updated_at": int(time.time())}
        kept = (
            upsert(self._engine, facts)
            .values(name=name, **row)
            .on_conflict_do_update(index_elements=[facts.c.name], set_=row)
        )
        async with self._engine.begin() as connection:
            await connection.execute(kept)

    async def drop(self, name: str) -> None:
        """Forget a fact; none there is no error."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(facts).where(facts.c.name == name))


def as_made(said: object) -> Made | None:
    """Return what `asdict` made a dictionary of, None of anything else."""
    try:
        return Made(**said) if isinstance(said, dict) else None
    except TypeError:
        return None
