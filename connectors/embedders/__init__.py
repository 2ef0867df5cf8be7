"""Embedding models, behind one protocol."""

from __future__ import annotations

from pathlib import Path

from ragline.config import settings as config
from ragline.connectors.embedders.protocol import Embedder
from ragline.errors import SetupError


async def open_embedder(settings: config.Embedder, *, folder: Path) -> Embedder:
    """Return the model that the settings choose; `folder` keeps the files of the packaged one.

    The packaged model is built there first where it is not, in seconds, and loaded at first use; the other kinds ask
    their server one question. Raises SetupError for the packaged one, see `open_ollama` and `open_openai` for the rest.
    """
    if settings.kind == "ollama":
        from ragline.connectors.embedders.ollama import open_ollama

        return await open_ollama(settings)
    if settings.kind == "openai":
        from ragline.connectors.embedders.openai import open_openai

        return await open_openai(settings)
    from ragline.connectors.embedders.packaged import NAME, open_packaged

    if settings.model != NAME:
        raise SetupError(
            f"embedder.model is {settings.model!r}, but the packaged embedder is {NAME!r}: "
            "leave embedder.model out, or set embedder.kind to 'ollama' or 'openai'."
        )
    return await open_packaged(folder, threads=settings.threads, batch_size=settings.batch_size)
