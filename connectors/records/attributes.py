"""The attributes of a file: the plain values of its metadata, without what Ragline keeps there for itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypeAlias

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.records.files import to_file
from ragline.connectors.records.tables import files
from ragline.errors import NotFound
from ragline.types import SOURCE_KEY, FileRecord, Json

Attribute: TypeAlias = str | bool | int | float

PURPOSE_KEY = "openai_purpose"
"""The key in a file's metadata for what an OpenAI client said it is for, where it was not the usual."""

OWN_KEYS = frozenset({SOURCE_KEY, PURPOSE_KEY, "knowledge_id", "directory_id", "file_hash"})
"""Keys of metadata that say where a file came from and belongs: no attributes of its text."""


def attributes_of(metadata: Mapping[str, Json]) -> dict[str, Attribute]:
    """Return the attributes among the metadata; lists and objects are none."""
    return {
        key: value
        for key, value in metadata.items()
        if key not in OWN_KEYS and isinstance(value, str | bool | int | float)
    }


class Attributes:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def replace(self, file_id: str, attributes: Mapping[str, Attribute]) -> FileRecord:
        """Give a file these attributes in place of all it had; its other metadata stays. Raises NotFound.

        Filters see the change at once.
        """
        row = files.c.id == file_id
        async with self._engine.begin() as connection:
            # A write first: it locks the row, so that two changes do not mix.
            touched = update(files).where(row).values(updated_at=int(time.time())).returning(files.c.metadata)
            had: Mapping[str, Json] | None = await connection.scalar(touched)
            if had is None:
                raise NotFound(f"no file {file_id!r}")
            others = {key: value for key, value in had.items() if key not in attributes_of(had)}
            known = {key: value for key, value in attributes.items() if key not in OWN_KEYS}
            changed = update(files).where(row).values(metadata=others | known).returning(files)
            return to_file((await connection.execute(changed)).one())
