"""Build the packaged model's files once, from the weights that a package brought."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import platform
import shutil
import time
from pathlib import Path

from ragline.connectors.embedders.e5_onnx import write_graph
from ragline.connectors.embedders.e5_weights import E5Weights, find_weights, read_weights
from ragline.errors import SetupError

log = logging.getLogger(__name__)

REVISION = 3
"""Raise it with every change that changes vectors: the model is built again, and counts as another one."""
NAME = f"e5-small-int8-{REVISION}"
GRAPH, TOKENIZER, CHARMAP = "model.onnx", "tokenizer.json", "charmap.json"


def ensure_built(folder: Path) -> Path:
    """Return the folder with the model's three files, building it inside `folder` where it is not there yet.

    Takes seconds the first time. It appears whole or not at all, whenever the process is killed; a second process waits
    for the first one. Raises SetupError where the weights are missing or `folder` cannot be written.
    """
    built = folder / NAME
    if built.is_dir():
        return built
    source = find_weights()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f".{NAME}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed, also by a kill
            if not built.is_dir():
                _build(read_weights(source), folder / f".{NAME}.part", built)
    except OSError as error:
        raise SetupError(f"Cannot build the embedding model in {str(folder)!r}: {error}.") from error
    return built


def _build(weights: E5Weights, part: Path, built: Path) -> None:
    started = time.monotonic()
    shutil.rmtree(part, ignore_errors=True)  # of a builder that was killed: the lock is ours
    part.mkdir()
    write_graph(weights, part / GRAPH, precision="int8", weight_limit=_weight_limit())
    write_tokenizer(weights, part / TOKENIZER)
    charmap = {chr(code): text for code, text in weights.charmap.items()}
    (part / CHARMAP).write_text(json.dumps(charmap), encoding="utf-8")
    for path in (*part.iterdir(), part):
        _sync(path)
    part.rename(built)
    _sync(built.parent)
    log.info("built model=%s seconds=%.1f", NAME, time.monotonic() - started)


def _weight_limit() -> int:
    """Largest int8 weight that this processor multiplies without overflow: 127, or 63 on x86 before VNNI.

    Older ones add two products of 8 bits in 16 bits and cut off what does not fit. Vectors stay as good as equal
    (cosine .998): a model built on one machine may be used on another.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return 127
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return 63
    return 127 if "vnni" in flags else 63


def write_tokenizer(weights: E5Weights, path: Path) -> None:
    """Write the tokenizer in the format of the library `tokenizers`. Texts must be `clean` before they go in."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    shape = weights.shape
    tokenizer = Tokenizer(models.Unigram(weights.pieces, unk_id=shape.unknown, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False),
        ]
    )
    start, end = weights.pieces[shape.start][0], weights.pieces[shape.end][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, shape.start), (end, shape.end)]
    )
    tokenizer.save(str(path), pretty=False)


def _sync(path: Path) -> None:
    """Have the disk hold what was written, so that a rename never outlives its content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
