"""What Ragline asks of an embedding model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Texts to vectors of length 1 (L2), `float32`, one row a text, in the order given."""

    @property
    def model_id(self) -> str:
        """Name and build of the model: vectors of different ids must never be mixed."""

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Longest text the model reads, in its tokens, prefixes and special tokens included."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return each text's length in tokens, without special tokens and prefixes."""

    async def embed_passages(self, texts: Sequence[str]) -> Matrix:
        """Return shape (len(texts), dimension)."""

    async def embed_query(self, text: str) -> Matrix:
        """Return shape (dimension,)."""

    async def close(self) -> None: ...
