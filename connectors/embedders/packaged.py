"""The packaged model, multilingual-e5-small, calculated in this process by onnxruntime."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import unicodedata
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragline.connectors.embedders.e5_build import CHARMAP, GRAPH, REVISION, TOKENIZER, ensure_built
from ragline.connectors.embedders.e5_onnx import INPUTS, OUTPUT
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.embedders.turns import Turns, Urgency
from ragline.connectors.embedders.windows import cut, merge
from ragline.errors import SetupError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "multilingual-e5-small"
DIMENSION = 384
MAX_TOKENS = 512
START, PAD, END = 0, 1, 2
QUERY, PASSAGE = "query: ", "passage: "
"""What the model was trained to see before a text."""
CALL_TOKENS = 512
THREAD_TOKENS = 256
"""Padded tokens in one call, and more of them with many threads: larger calls are no faster, and a question waits."""
TOKENIZED_TEXTS = 64


async def open_packaged(folder: Path, *, threads: int, batch_size: int) -> PackagedEmbedder:
    """Return the model kept in `folder`; built there first where it is not, which takes seconds. Raises SetupError."""
    built = await asyncio.to_thread(ensure_built, folder)
    return PackagedEmbedder(built, threads=threads or _cores(), batch_size=batch_size)


class PackagedEmbedder:
    """An `Embedder`. Model and tokenizer are loaded at first use, in its own thread.

    A text longer than the model reads is not truncated: its vector is the mean of its windows' vectors, weighted by
    their tokens, of length 1 again. Vectors vary a little with the texts embedded together (cosine above 0.995), since
    int8 scales are taken from a whole call.
    """

    model_id = f"{NAME}/int8-{REVISION}"
    dimension = DIMENSION
    max_tokens = MAX_TOKENS

    def __init__(self, built: Path, *, threads: int, batch_size: int) -> None:
        self._built = built
        self._threads = threads
        self._batch_size = batch_size
        self._call_tokens = max(CALL_TOKENS, THREAD_TOKENS * threads)
        self._turns = Turns("embedder")
        self._session: Any = None
        self._loading = threading.Lock()
        self._reader: tuple[Tokenizer, dict[int, str]] | None = None

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer; it expects `clean` texts. Loading it takes 0.7 s and 280 MB, once."""
        return self._load_tokenizer()[0]

    def clean(self, text: str) -> str:
        """Return the text as the tokenizer expects it: composed, compatibility forms resolved. Lengths change."""
        return unicodedata.normalize("NFC", text).translate(self._load_tokenizer()[1])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return each text's exact length in tokens, without special tokens and prefixes."""
        return [len(ids) for ids in self._token_ids(texts)]

    async def warm(self) -> None:
        """Load everything now, so that the first question need not wait for it."""
        await self.embed_query("warm")

    async def embed_passages(self, texts: Sequence[str]) -> Matrix:
        """Return shape (len(texts), 384). Questions are answered in between."""
        return await self._embed(texts, PASSAGE, Urgency.PASSAGES)

    async def embed_query(self, text: str) -> Matrix:
        """Return shape (384,)."""
        vector: Matrix = (await self._embed([text], QUERY, Urgency.QUERY))[0]
        return vector

    async def close(self) -> None:
        """Finish the calls that wait, then let go of the model."""
        await self._turns.close()
        self._session = self._reader = None

    async def _embed(self, texts: Sequence[str], prefix: str, urgency: Urgency) -> Matrix:
        if not texts:
            return np.empty((0, DIMENSION), np.float32)
        windows: list[list[int]] = []
        owners: list[int] = []
        for first in range(0, len(texts), TOKENIZED_TEXTS):
            some = [prefix, *texts[first : first + TOKENIZED_TEXTS]]
            start, *contents = await self._turns.run(urgency, partial(self._token_ids, some))
            for owner, ids in enumerate(contents, first):
                parts = cut(len(ids), MAX_TOKENS - len(start) - 2)
                windows += [[START, *start, *ids[part], END] for part in parts]
                owners += [owner] * len(parts)
        vectors = np.empty((len(windows), DIMENSION), np.float32)
        for rows in _calls([len(window) for window in windows], self._batch_size, self._call_tokens):
            batch = [windows[row] for row in rows]
            vectors[rows] = await self._turns.run(urgency, partial(self._calculate, batch))
        return merge(vectors, owners, [len(window) for window in windows], count=len(texts))

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        cleaned = [self.clean(text) for text in texts]
        return [text.ids for text in self.tokenizer.encode_batch_fast(cleaned, add_special_tokens=False)]

    def _calculate(self, windows: Sequence[Sequence[int]]) -> Matrix:
        """One call of the model. Only ever runs in the thread of `_turns`."""
        if self._session is None:
            self._session = load_session(self._built / GRAPH, threads=self._threads)
        ids = np.full((len(windows), max(map(len, windows))), PAD, np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        (vectors,) = self._session.run([OUTPUT], dict(zip(INPUTS, (ids, mask), strict=True)))
        return np.asarray(vectors, np.float32)

    def _load_tokenizer(self) -> tuple[Tokenizer, dict[int, str]]:
        reader = self._reader
        if reader is not None:
            return reader
        from tokenizers import Tokenizer

        with self._loading:
            if self._reader is None:
                charmap = json.loads(_read(self._built / CHARMAP))
                self._reader = Tokenizer.from_str(_read(self._built / TOKENIZER)), str.maketrans(charmap)
            return self._reader


def load_session(graph: Path, *, threads: int) -> Any:
    """Return an onnxruntime session on so many threads, which sleep between calls. Raises SetupError."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False  # it keeps the most a call ever took
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except (states.NoSuchFile, states.InvalidProtobuf, states.InvalidGraph, states.Fail) as error:
        raise SetupError(_damaged(graph, error)) from error


def _calls(lengths: Sequence[int], most_texts: int, most_tokens: int) -> list[list[int]]:
    """Return which rows are calculated together: of similar length, so that little is spent on padding."""
    calls: list[list[int]] = []
    longest = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if calls and len(calls[-1]) < most_texts and longest * (len(calls[-1]) + 1) <= most_tokens:
            calls[-1].append(row)
        else:
            calls.append([row])
            longest = lengths[row]
    return calls


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SetupError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return f"{str(path)!r} is damaged ({error}): delete the folder {path.parent.name!r}; it is built again at start."
