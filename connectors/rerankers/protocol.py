"""What Ragline asks of a reranker: a model that reads a question and a passage together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Reranker(Protocol):
    """Tells how well passages answer a question. Scores of one model compare within one call, not between models."""

    @property
    def name(self) -> str:
        """What it is called in `ragline check` and logs."""

    async def warm(self) -> None:
        """Load what has to be loaded, so that `rank` need not wait for it; cheap from the second time on."""

    async def rank(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one finite score for each text, in their order, higher is better; none for no texts.

        Raises BadInput or Refused for what it cannot read, whenever it is asked; other errors may pass.
        """

    async def close(self) -> None: ...
