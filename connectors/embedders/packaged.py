"""The packaged model, multilingual-e5-small, in the files that `e5_build` makes."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from functools import partial
from pathlib import Path

from ragline.config import settings as config
from ragline.connectors.embedders.e5_build import CHARMAP, GRAPH, REVISION, TOKENIZER, ensure_built
from ragline.connectors.embedders.e5_onnx import INPUTS, OUTPUT
from ragline.connectors.embedders.local import LocalEmbedder, LocalModel, Reader, reader_of
from ragline.connectors.embedders.runtime import damaged
from ragline.errors import SetupError

NAME = "multilingual-e5-small"
QUERY, PASSAGE = "query: ", "passage: "
"""What the model was trained to see before a text."""


async def open_packaged(settings: config.Embedder, *, folder: Path) -> LocalEmbedder:
    """Return the model kept in `folder`; built there first where it is not, which takes seconds. Raises SetupError."""
    model = packaged_model(await asyncio.to_thread(ensure_built, folder))
    return LocalEmbedder(model, runtime=settings.runtime, threads=settings.threads, batch_size=settings.batch_size)


def packaged_model(built: Path) -> LocalModel:
    """Return the model in a folder that `ensure_built` returned."""
    return LocalModel(
        graph=built / GRAPH,
        load_reader=partial(_load_reader, built),
        model_id=f"{NAME}/int8-{REVISION}",
        dimension=384,
        max_tokens=512,
        query_prefix=QUERY,
        passage_prefix=PASSAGE,
        inputs=INPUTS,
        output=OUTPUT,
        pooling="done",
    )


def _load_reader(built: Path) -> Reader:
    from tokenizers import Tokenizer

    charmap = str.maketrans(json.loads(_read(built / CHARMAP)))

    def clean(text: str) -> str:
        """Composed, compatibility forms resolved. Lengths change."""
        return unicodedata.normalize("NFC", text).translate(charmap)

    return reader_of(Tokenizer.from_str(_read(built / TOKENIZER)), clean)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SetupError(damaged(path, error)) from error
