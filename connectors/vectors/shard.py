"""The folder of the engine in this process: made, opened, its failures translated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    Modifier,
    PayloadSchemaType,
    TurboQuantQuantizationConfig,
    UpdateOperation,
)

from ragline.connectors.vectors import layout
from ragline.errors import SetupError, Unavailable

T = TypeVar("T")


RESERVE_BYTES = 48 << 20
"""Room that the engine must have on the disk: it writes into mapped files, and a full disk kills the process."""


def room_problem(path: Path) -> str | None:
    """Say what is wrong when there is too little room beside the shard, None where there is enough."""
    free = shutil.disk_usage(path).free
    if free >= RESERVE_BYTES:
        return None
    return f"only {free >> 20} MiB are free on the disk of {str(path)!r}, and {RESERVE_BYTES >> 20} are needed"


def open_shard(path: Path, dimension: int) -> EdgeShard:
    """Open the shard in a folder, made where there is none. Raises SetupError where that cannot be done."""
    try:
        if not path.exists():
            create(path, dimension)
        if problem := room_problem(path):
            raise SetupError(f"{problem}: free some space; nothing is lost")
        layout.check_dimension(stored_dimension(path), dimension, where=str(path))
        return translated(EdgeShard.load, str(path))
    except Unavailable as error:
        if "WouldBlock" in str(error):
            raise SetupError(
                f"the vectors in {str(path)!r} are in use by another Ragline process: stop it, ask it over HTTP, "
                "or set vectors.url to a Qdrant server, which many processes can share"
            ) from error
        raise SetupError(f"the vectors in {str(path)!r} cannot be opened: {error}") from error
    except OSError as error:
        raise SetupError(f"the vectors in {str(path)!r} cannot be opened: {error}") from error


def stored_dimension(path: Path) -> int:
    """Read the dimension from the engine's own description of the shard, which it does not offer otherwise."""
    file = path / "edge_config.json"
    try:
        return int(json.loads(file.read_bytes())["vectors"][layout.DENSE]["size"])
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"the vectors in {str(path)!r} cannot be opened: {file.name} is damaged; put a copy of the folder back, "
            "or delete it and reindex"
        ) from error


def create(path: Path, dimension: int) -> None:
    """Make an empty shard. It gets its name when it is complete: a crash leaves nothing that cannot be opened.

    Vectors are kept once more in 4 bits a number (65 MB for 200,000), by which a search finds what it then compares
    exactly: it takes a sixth of the time. Shards from before lack that, and work as they did.
    """
    unfinished = path.with_name(path.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    config = EdgeConfig(
        vectors={
            layout.DENSE: EdgeVectorParams(
                size=dimension,
                distance=Distance.Cosine,
                quantization_config=TurboQuantQuantizationConfig(),
            )
        },
        sparse_vectors={layout.SPARSE: EdgeSparseVectorParams(modifier=Modifier.Idf)},
    )
    shard = translated(EdgeShard.create, str(unfinished), config)
    for field in layout.KEYWORD_FIELDS:
        translated(shard.update, UpdateOperation.create_field_index(field, PayloadSchemaType.Keyword))
    translated(shard.flush)
    translated(shard.close)
    unfinished.rename(path)


def translated(work: Callable[..., T], *arguments: object) -> T:
    """Call the engine. Its failures are bare `Exception`s, which become Unavailable; others are ours and pass."""
    try:
        return work(*arguments)
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise Unavailable(f"the vector engine failed: {error}") from error
