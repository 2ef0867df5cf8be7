"""Embedding models, behind one protocol."""

from __future__ import annotations

from pathlib import Path

from ragline.config import settings as config
from ragline.connectors.embedders.protocol import Embedder
from ragline.errors import SetupError


async def open_embedder(settings: config.Embedder, *, folder: Path) -> Embedder:
    """Return the model that the settings choose; `folder` keeps the files of the packaged one.

    The packaged model is built there first where it is not, in seconds; it and a folder's are loaded at first use. The
    other kinds ask their server one question. Raises SetupError for the local ones, see `open_folder`, `open_ollama`
    and `open_openai` for the rest.
    """
    if settings.kind == "ollama":
        from ragline.connectors.embedders.ollama import open_ollama

        return await open_ollama(settings)
    if settings.kind == "openai":
        from ragline.connectors.embedders.openai import open_openai

        return await open_openai(settings)
    if settings.kind == "folder":
        from ragline.connectors.embedders.folder import open_folder

        return await open_folder(settings)
    from ragline.connectors.embedders.packaged import NAME, open_packaged

    if settings.model != NAME:
        raise SetupError(
            f"embedder.model is {settings.model!r}, but the packaged embedder is {NAME!r}: "
            "leave embedder.model out, or set embedder.kind to 'folder', 'ollama' or 'openai'."
        )
    return await open_packaged(settings, folder=folder)
