"""Where passages are found by meaning and by word: Qdrant, in this process or on a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragline.config.settings import Vectors
    from ragline.connectors.vectors.protocol import VectorStore


async def open_vectors(
    settings: Vectors, *, folder: Path, model_id: str, dimension: int, name: str | None = None
) -> VectorStore:
    """Open or make the store for one embedding model's vectors, `dimension` numbers each; `name`: the one so called.

    With `settings.url` it is a collection on that server, else a folder inside `folder`, which one process may have
    open at a time. Raises SetupError when another has, or when other dimensions are stored; Unavailable when the
    server cannot be reached.
    """
    if settings.url is None:
        from ragline.connectors.vectors.edge import open_edge

        return await open_edge(folder, model_id=model_id, dimension=dimension, name=name)
    from ragline.connectors.vectors.server import open_server

    api_key = settings.api_key.get_secret_value() if settings.api_key else None
    return await open_server(
        settings.url,
        api_key=api_key,
        timeout_s=settings.timeout_s,
        model_id=model_id,
        dimension=dimension,
        name=name,
    )
