"""A sentence encoder in this process: texts become windows of tokens, windows go through the graph in turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.embedders.runtime import Runtime, Session, Tokens, cores, load_session
from ragline.connectors.embedders.turns import Turns, Urgency
from ragline.connectors.embedders.windows import cut, merge
from ragline.errors import SetupError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Pooling = Literal["done", "mean", "cls"]
CALL_TOKENS = 512
THREAD_TOKENS = 256
"""Padded tokens in one call, and more of them with many threads: larger calls are no faster, and a question waits."""
TOKENIZED_TEXTS = 64
LENGTH_STEP = 16
"""Lengths of calls are multiples of it: OpenVINO prepares itself anew, and keeps what it prepared, for every other."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A tokenizer without truncation and padding, what texts go through before it, and its special token ids."""

    tokenizer: Tokenizer
    clean: Callable[[str], str]
    start: Sequence[int]
    end: Sequence[int]
    pad: int


@dataclass(frozen=True, slots=True)
class LocalModel:
    """An encoder in files. `output` of the graph is a vector for each text, or (`mean`, `cls`) for each token."""

    graph: Path
    load_reader: Callable[[], Reader]
    model_id: str
    dimension: int
    max_tokens: int
    query_prefix: str
    passage_prefix: str
    inputs: Sequence[str]
    output: str
    pooling: Pooling


class LocalEmbedder:
    """An `Embedder`. Model and tokenizer are loaded at first use, the model in its own thread.

    A text longer than the model reads is not truncated: its vector is the mean of its windows' vectors, weighted by
    their tokens, of length 1 again. `threads` 0 is one for each core.
    """

    def __init__(self, model: LocalModel, *, runtime: Runtime, threads: int, batch_size: int) -> None:
        self._model = model
        self._runtime: Runtime = runtime
        self._threads = threads or cores()
        self._batch_size = batch_size
        self._call_tokens = max(CALL_TOKENS, THREAD_TOKENS * self._threads)
        self._turns = Turns("embedder")
        self._session: Session | None = None
        self._loading = threading.Lock()
        self._loaded_reader: Reader | None = None
        self.model_id = model.model_id
        self.dimension = model.dimension
        self.max_tokens = model.max_tokens

    @property
    def reader(self) -> Reader:
        """The tokenizer; the packaged model's takes 0.7 s and 280 MB to load, once. Raises SetupError."""
        reader = self._loaded_reader
        if reader is not None:
            return reader
        with self._loading:
            if self._loaded_reader is None:
                self._loaded_reader = self._model.load_reader()
            return self._loaded_reader

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return each text's exact length in tokens, without special tokens and prefixes."""
        return [len(ids) for ids in self._token_ids(texts)]

    async def warm(self) -> None:
        """Load everything now, so that the first question need not wait for it."""
        await self.embed_query("warm")

    async def embed_passages(self, texts: Sequence[str]) -> Matrix:
        """Return shape (len(texts), dimension). Questions are answered in between. Raises SetupError at first use."""
        return await self._embed(texts, self._model.passage_prefix, Urgency.PASSAGES)

    async def embed_query(self, text: str) -> Matrix:
        """Return shape (dimension,). Raises as `embed_passages`."""
        vector: Matrix = (await self._embed([text], self._model.query_prefix, Urgency.QUERY))[0]
        return vector

    async def close(self) -> None:
        """Finish the calls that wait, then let go of the model."""
        await self._turns.close()
        self._session = self._loaded_reader = None

    async def _embed(self, texts: Sequence[str], prefix: str, urgency: Urgency) -> Matrix:
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        windows: list[list[int]] = []
        owners: list[int] = []
        for first in range(0, len(texts), TOKENIZED_TEXTS):
            some = texts[first : first + TOKENIZED_TEXTS]
            for owner, parts in enumerate(await self._turns.run(urgency, partial(self._windows, some, prefix)), first):
                windows += parts
                owners += [owner] * len(parts)
        vectors = np.empty((len(windows), self.dimension), np.float32)
        for rows in calls([len(window) for window in windows], self._batch_size, self._call_tokens):
            batch = [windows[row] for row in rows]
            vectors[rows] = await self._turns.run(urgency, partial(self._calculate, batch))
        return merge(vectors, owners, [len(window) for window in windows], count=len(texts))

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        reader = self.reader
        cleaned = [reader.clean(text) for text in texts]
        return [text.ids for text in reader.tokenizer.encode_batch_fast(cleaned, add_special_tokens=False)]

    def _windows(self, texts: Sequence[str], prefix: str) -> list[list[list[int]]]:
        """Return for each text its windows, none longer than the model reads, none empty."""
        reader = self.reader
        before, *contents = self._token_ids([prefix, *texts])
        start, end = [*reader.start, *before], reader.end
        room = self.max_tokens - len(start) - len(end)
        if room < 1:
            raise SetupError(
                f"The prefix {prefix!r} leaves no room in {self.max_tokens} tokens, the most that {self.model_id!r} "
                "reads: shorten embedder.query_prefix or embedder.passage_prefix."
            )
        return [[[*start, *ids[part], *end] or [reader.pad] for part in cut(len(ids), room)] for ids in contents]

    def _calculate(self, windows: Sequence[Sequence[int]]) -> Matrix:
        """One call of the model. Only ever runs in the thread of `_turns`."""
        if self._session is None:
            self._session = load_session(self._model.graph, runtime=self._runtime, threads=self._threads)
        longest = min(-(-max(map(len, windows)) // LENGTH_STEP) * LENGTH_STEP, self.max_tokens)
        ids = np.full((len(windows), longest), self.reader.pad, np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        values = self._session({name: known[name] for name in self._model.inputs}, self._model.output)
        return _pooled(values, mask, self._model.pooling)


def reader_of(tokenizer: Tokenizer, clean: Callable[[str], str]) -> Reader:
    """Return the tokenizer made ready: nothing cut, nothing padded. Its template says what stands around a text."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    around = tokenizer.encode("a")
    special = "".join(map(str, around.special_tokens_mask))  # such as 101
    start, end = len(special) - len(special.lstrip("1")), len(special.rstrip("1"))
    pads = [pad for name in ("[PAD]", "<pad>") if (pad := tokenizer.token_to_id(name)) is not None]
    return Reader(tokenizer, clean, around.ids[:start], around.ids[end:], (*pads, 0)[0])


def _pooled(values: npt.NDArray[np.float32], mask: Tokens, pooling: Pooling) -> Matrix:
    """Return a vector for each text, of any length: `merge` makes it 1."""
    if pooling == "done":
        return values
    if pooling == "cls":
        return values[:, 0]
    mean: Matrix = np.einsum("btd,bt->bd", values, mask.astype(np.float32)) / mask.sum(axis=1, keepdims=True)
    return mean.astype(np.float32)


def calls(lengths: Sequence[int], most_texts: int, most_tokens: int) -> list[list[int]]:
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
