"""The small language model of the tests: pulled once, kept in a cache folder."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from pathlib import Path

from ragline.config.settings import EmbeddedModels
from ragline.connectors.models.pull import SMOLLM2, pull

ONE_THREAD = EmbeddedModels(threads=1, context_tokens=1024, idle_unload_s=60)
ID = SMOLLM2.id


@cache
def folder() -> Path:
    """Return the folder with SmolLM2: RAGLINE_TEST_MODELS, or one below the user's cache; pulled where it is not."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    chosen = Path(os.environ.get("RAGLINE_TEST_MODELS") or cache_home / "ragline-tests" / "models")
    if SMOLLM2.path(chosen) is None:
        asyncio.run(pull("smollm2", chosen, say=lambda line: None))
    return chosen
