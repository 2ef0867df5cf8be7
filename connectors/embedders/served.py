"""An embedding model behind HTTP: everything that does not depend on the wire format."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import TypeAlias
from urllib.parse import urlsplit

import numpy as np

from ragline.config.settings import Embedder
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.embedders.windows import merge, normalise
from ragline.errors import BackendError, SetupError

MAX_TOKENS = 512
BYTES_PER_TOKEN = 3
MOST_BYTES = 1 << 20
"""Of an answer beside its vectors: what else stands in it, such as the description of a model."""
MOST_VECTOR_BYTES = 1 << 18
"""Of one vector as text: 8,192 numbers of 32 characters."""

Call: TypeAlias = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]
"""Asks the server for the vectors of at most a batch of texts, in order."""


class ServedEmbedder:
    """An `Embedder` on a server, whose tokenizer is not known here: tokens are estimated, see `count_tokens`.

    Texts are sent with the prefix of their kind before them, nothing else. One over `max_tokens` is cut at spaces into
    windows, whose vectors' mean, weighted by size, is of length 1 again.
    """

    def __init__(
        self,
        call: Call,
        close: Callable[[], Awaitable[None]],
        *,
        place: str,
        model_id: str,
        dimension: int,
        max_tokens: int,
        settings: Embedder,
    ) -> None:
        self._call = call
        self._close = close
        self._place = place
        self._batch_size = settings.batch_size
        self._query_prefix = settings.query_prefix or ""
        self._passage_prefix = settings.passage_prefix or ""
        self.model_id = model_id + _mark(self._passage_prefix)
        self.dimension = dimension
        self.max_tokens = max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return a cautious estimate: one token for every 3 bytes of UTF-8, or part of them.

        Tokenizers make 4 to 5 bytes of an English token, 3 to 4 of a French one, 3 (a character) of a Chinese one.
        """
        return [_estimate(text) for text in texts]

    async def embed_passages(self, texts: Sequence[str]) -> Matrix:
        """Return shape (len(texts), dimension). Raises BackendError, BackendTimeout or Unavailable."""
        return await self._embed(texts, self._passage_prefix)

    async def embed_query(self, text: str) -> Matrix:
        """Return shape (dimension,). Raises as `embed_passages`."""
        vector: Matrix = (await self._embed([text], self._query_prefix))[0]
        return vector

    async def close(self) -> None:
        await self._close()

    async def _embed(self, texts: Sequence[str], prefix: str) -> Matrix:
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        room = max(1, self.max_tokens - _estimate(prefix))
        pieces = [[prefix + piece for piece in _pieces(text, room)] for text in texts]
        owners = [owner for owner, some in enumerate(pieces) for _ in some]
        flat = [piece for some in pieces for piece in some]
        sizes = [max(1, _estimate(piece)) for piece in flat]
        vectors = np.empty((len(flat), self.dimension), np.float32)
        # Alike lengths together: servers pad too.
        rows = sorted(range(len(flat)), key=lambda row: -sizes[row])
        for first in range(0, len(rows), self._batch_size):
            some_rows = rows[first : first + self._batch_size]
            answer = await self._call([flat[row] for row in some_rows])
            vectors[some_rows] = checked(answer, len(some_rows), self.dimension, place=self._place)
        try:
            return merge(vectors, owners, sizes, count=len(texts))
        except ValueError as error:  # windows that cancel each other out
            raise BackendError(f"{self._place} returned useless vectors: {error}.") from error


class Refused(BackendError):
    """The server does not want this text, whenever it is asked."""

    retryable = False


def refusal(status: int, message: str) -> BackendError:
    """Return the error for an answer of this HTTP status: 400, 413 and 422 are about the texts, others may pass."""
    return Refused(message) if status in (400, 413, 422) else BackendError(message)


async def probe(call: Call, *, place: str) -> int:
    """Return the model's dimension, found by embedding one word."""
    answer = await call(["dimension"])
    if len(answer) != 1 or not answer[0]:
        raise BackendError(f"{place} answered one text with {len(answer)} vectors: is it an embedding model?")
    checked(answer, 1, len(answer[0]), place=place)
    return len(answer[0])


def checked(answer: Sequence[Sequence[float]], count: int, dimension: int, *, place: str) -> Matrix:
    """Return the answer's vectors with length 1 (L2). Raises BackendError where they are not the ones asked for."""
    if len(answer) != count or any(len(vector) != dimension for vector in answer):
        sizes = sorted({len(vector) for vector in answer})
        raise BackendError(
            f"{place} answered {count} texts with {len(answer)} vectors of dimension {sizes}, not {dimension}."
        )
    try:
        return normalise(np.asarray(answer, np.float32))
    except (ValueError, TypeError) as error:
        raise BackendError(f"{place} returned useless vectors: {error}.") from error


def most_bytes(texts: int) -> int:
    """Return how long an answer with the vectors of so many texts may be."""
    return MOST_BYTES + texts * MOST_VECTOR_BYTES


def base_url(url: str | None, *, kind: str, example: str) -> str:
    """Return the setting without a slash at its end. Raises SetupError where it is missing or no HTTP URL."""
    parts = urlsplit(url or "")
    if url is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SetupError(f"embedder.url is {url!r}: the {kind} embedder needs an HTTP URL such as {example!r}.")
    return url.rstrip("/")


def uses_proxy(url: str) -> bool:
    """Tell whether the environment's proxy may be asked: it cannot reach what listens on this machine only."""
    host = urlsplit(url).hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _mark(passage_prefix: str) -> str:
    """Return what a prefix adds to a model's id: passages embedded with another one are other vectors."""
    return f"/{hashlib.sha256(passage_prefix.encode()).hexdigest()[:8]}" if passage_prefix else ""


def _estimate(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def _pieces(text: str, max_tokens: int) -> list[str]:
    """Return the text in order in pieces within the limit, halved at spaces where there are some."""
    if _estimate(text) <= max_tokens:
        return [text]
    middle = len(text) // 2
    space = text.rfind(" ", 1, middle)
    middle = space if space > middle // 2 else middle
    return _pieces(text[:middle], max_tokens) + _pieces(text[middle:], max_tokens)
