"""Models that order passages anew, behind one protocol."""

from __future__ import annotations

from ragline.config import settings as config
from ragline.connectors.rerankers.protocol import Reranker


async def open_reranker(settings: config.Reranker) -> Reranker | None:
    """Return the reranker that the settings choose, None for `none`. Nothing is loaded or asked here.

    Raises SetupError where path or url is missing, and for a folder without a cross-encoder.
    """
    if settings.kind == "folder":
        from ragline.connectors.rerankers.folder import open_folder

        return await open_folder(settings)
    if settings.kind == "http":
        from ragline.connectors.rerankers.http import open_http

        return open_http(settings)
    return None
