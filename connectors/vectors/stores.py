"""All stores of passages that are there, of whatever embedding model: folders, or collections of a Qdrant server."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragline.errors import SetupError

if TYPE_CHECKING:
    from ragline.config.settings import Vectors

PREFIX = "ragline_"


@dataclass(frozen=True, slots=True)
class Stored:
    """A store: the name of its folder or collection, and the dimension of its vectors."""

    name: str
    dimension: int


async def stored(settings: Vectors, *, folder: Path) -> list[Stored]:
    """Return the stores in `folder`, or with `settings.url` on that server, by name. Raises SetupError, Unavailable."""
    if settings.url is None:
        return await asyncio.to_thread(folders, folder)
    from ragline.connectors.vectors.server import connected, dimension_of

    async with connected(settings.url, api_key=key_of(settings), timeout_s=settings.timeout_s) as client:
        names = sorted(each.name for each in (await client.get_collections()).collections if is_ours(each.name))
        sizes = [(name, await dimension_of(client, name)) for name in names]
    return [Stored(name, size) for name, size in sizes if size is not None]


async def drop(settings: Vectors, *, folder: Path, name: str) -> None:
    """Delete a store that nobody has open; none of that name is no error. Raises SetupError, Unavailable."""
    if not is_ours(name):
        raise SetupError(f"{name!r} is no store of Ragline's and is not deleted")
    if settings.url is None:
        await asyncio.to_thread(shutil.rmtree, folder / name, ignore_errors=True)
        return
    from ragline.connectors.vectors.server import connected

    async with connected(settings.url, api_key=key_of(settings), timeout_s=settings.timeout_s) as client:
        await client.delete_collection(name)


def folders(folder: Path) -> list[Stored]:
    """Return the stores in a folder; one that is half made is none."""
    from ragline.connectors.vectors.shard import stored_dimension

    found = [each for each in sorted(folder.glob(f"{PREFIX}*")) if (each / "edge_config.json").is_file()]
    return [Stored(each.name, stored_dimension(each)) for each in found if each.suffix != ".new"]


def is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and "/" not in name


def key_of(settings: Vectors) -> str | None:
    return settings.api_key.get_secret_value() if settings.api_key else None
