"""A cross-encoder in a local folder, as sentence-transformers and the hub lay it out, its graph in ONNX.

Read are `tokenizer.json`; `model.onnx` or `onnx/model.onnx`; and, where they are there, `config.json` and
`tokenizer_config.json`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ragline.config.settings import Reranker as Settings
from ragline.connectors.embedders.folder import GRAPHS, TOKENIZER, config_of, head, longest_input
from ragline.connectors.embedders.local import CALL_TOKENS, LENGTH_STEP, THREAD_TOKENS, calls
from ragline.connectors.embedders.runtime import Session, cores, damaged, load_session
from ragline.connectors.embedders.turns import Turns, Urgency
from ragline.errors import BackendError, SetupError, TooLarge

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Scores = npt.NDArray[np.float64]

CALL_WINDOWS = 16
TOKENIZED_TEXTS = 8
OVERLAP_TOKENS = 32
"""Tokens that a window of a long passage repeats of the one before."""


@dataclass(frozen=True, slots=True)
class CrossEncoder:
    """A model in files. `labels`: its logits for a pair; one, or two of which the last is of passages that fit."""

    folder: Path
    graph: Path
    inputs: Sequence[str]
    output: str
    labels: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory."""

    tokenizer: Tokenizer
    session: Session
    pad: int


async def open_folder(settings: Settings) -> LocalReranker:
    """Return the model in the folder `settings.path`; only the graph's head is read here.

    Raises SetupError for a folder without a model, and for a model of another kind.
    """
    if settings.path is None:
        raise SetupError("reranker.path is missing: the kind 'folder' needs the folder of its model.")
    model = await asyncio.to_thread(read_folder, settings.path)
    return LocalReranker(model, threads=settings.threads)


def read_folder(folder: Path) -> CrossEncoder:
    """Return what the files say of the model. Raises SetupError."""
    graph = next((folder / name for name in GRAPHS if (folder / name).is_file()), None)
    if graph is None or not (folder / TOKENIZER).is_file():
        raise SetupError(f"{str(folder)!r} is no model: {TOKENIZER} and one of {', '.join(GRAPHS)} must be there.")
    inputs, outputs = head(graph)
    output = next((out for out in outputs if out.name == "logits" or len(outputs) == 1), None)
    if output is None or output.rank != 2:
        raise SetupError(
            f"{str(graph)!r} returns {[out.name for out in outputs]}: a cross-encoder returns 'logits' for each pair."
        )
    labels = output.size or _labels(folder)
    if labels not in (1, 2):
        raise SetupError(f"{str(graph)!r} tells {labels} labels apart: a reranker has one, or two.")
    return CrossEncoder(folder, graph, inputs, output.name, labels, longest_input(folder))


def _labels(folder: Path) -> int:
    """Two where nothing is said, as in transformers."""
    config = config_of(folder / "config.json")
    named, number = config.get("id2label"), config.get("num_labels")
    if isinstance(named, dict) and named:
        return len(named)
    return number if isinstance(number, int) else 2


class LocalReranker:
    """A `Reranker` in this process, in a thread of its own. `threads` 0 is one for each core.

    A passage longer than the model reads beside the question is not cut: it is read in windows, and the best counts.
    Scores are from 0 to 1.
    """

    def __init__(self, model: CrossEncoder, *, threads: int) -> None:
        self._model = model
        self._threads = threads or cores()
        self._call_tokens = max(CALL_TOKENS, THREAD_TOKENS * self._threads)
        self._turns = Turns("reranker")
        self._loaded: Loaded | None = None
        self.name = model.folder.resolve().name

    async def warm(self) -> None:
        """Load the model. Raises SetupError for damaged files."""
        await self._turns.run(Urgency.PASSAGES, self._load)

    async def rank(self, question: str, texts: Sequence[str]) -> list[float]:
        """Raises TooLarge for a question of more than half of what the model reads; SetupError at first use.

        Cancelled, it ends with the batch that is calculated.
        """
        windows: list[Encoding] = []
        owners: list[int] = []
        for first in range(0, len(texts), TOKENIZED_TEXTS):
            some = texts[first : first + TOKENIZED_TEXTS]
            pairs = await self._turns.run(Urgency.QUERY, partial(self._windows, question, some))
            for owner, parts in enumerate(pairs, first):
                windows += parts
                owners += [owner] * len(parts)
        scores = np.full(len(texts), -np.inf)
        for rows in calls([len(window) for window in windows], CALL_WINDOWS, self._call_tokens):
            found = await self._turns.run(Urgency.QUERY, partial(self._calculate, [windows[row] for row in rows]))
            np.maximum.at(scores, [owners[row] for row in rows], found)
        return [float(score) for score in scores]

    async def close(self) -> None:
        """Finish the calls that wait, then let go of the model."""
        await self._turns.close()
        self._loaded = None

    def _load(self) -> Loaded:
        """Only ever runs in the thread of `_turns`, as all below."""
        if self._loaded is None:
            tokenizer = _load_tokenizer(self._model.folder / TOKENIZER)
            session = load_session(self._model.graph, runtime="auto", threads=self._threads)
            pads = [pad for name in ("[PAD]", "<pad>") if (pad := tokenizer.token_to_id(name)) is not None]
            self._loaded = Loaded(tokenizer, session, (*pads, 0)[0])
        return self._loaded

    def _windows(self, question: str, texts: Sequence[str]) -> list[list[Encoding]]:
        """Return for each text its windows, each with the question before it."""
        tokenizer = self._load().tokenizer
        tokenizer.no_truncation()
        around = tokenizer.num_special_tokens_to_add(is_pair=True)
        most = (self._model.max_tokens - around) // 2
        asked = len(tokenizer.encode(question, add_special_tokens=False))
        if asked > most:
            raise TooLarge(f"the question has {asked} tokens, the reranker reads {most} of one at most; shorten it")
        room = self._model.max_tokens - around - asked
        overlap = min(OVERLAP_TOKENS, room // 4)
        tokenizer.enable_truncation(self._model.max_tokens, stride=overlap, strategy="only_second")
        encoded = tokenizer.encode_batch([(question, text) for text in texts])
        return [[first, *first.overflowing] for first in encoded]

    def _calculate(self, windows: Sequence[Encoding]) -> Scores:
        """Return the score of each window: one call of the model."""
        loaded = self._load()
        longest = min(-(-max(map(len, windows)) // LENGTH_STEP) * LENGTH_STEP, self._model.max_tokens)
        ids = np.full((len(windows), longest), loaded.pad, np.int64)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window.ids
            types[row, : len(window)] = window.type_ids
            mask[row, : len(window)] = 1
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        try:
            logits = loaded.session({name: known[name] for name in self._model.inputs}, self._model.output)
        except Exception as error:  # the runtimes raise nothing narrower
            raise BackendError(f"the reranker {self.name!r} cannot calculate its graph: {error}") from error
        return _scores(logits, self._model.labels, self.name)


def _scores(logits: npt.NDArray[np.float32], labels: int, name: str) -> Scores:
    """Return the sigmoid of one logit, or the last of the softmax of two, which is that of their difference."""
    if logits.shape[1:] != (labels,) or not np.isfinite(logits).all():
        raise BackendError(
            f"the reranker {name!r} returned logits of shape {logits.shape}, or some that are no numbers."
        )
    wide = logits.astype(np.float64)
    fits = wide[:, 0] if labels == 1 else wide[:, 1] - wide[:, 0]
    scores: Scores = np.exp(-np.logaddexp(0, -fits))  # the sigmoid, without overflow
    return scores


def _load_tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises nothing narrower
        raise SetupError(damaged(path, error)) from error
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # what a passage calls [SEP] is a text as any other
    return tokenizer
