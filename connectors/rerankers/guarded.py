"""A reranker that nobody waits for too long: time-boxed, and left out for a while after failures in a row."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from ragline.connectors.embedders.served import Refused
from ragline.connectors.rerankers.protocol import Reranker
from ragline.errors import BackendError, BackendTimeout, BadInput, RaglineError, Unavailable

log = logging.getLogger(__name__)

MOST_FAILURES = 3
PAUSE_S = 60.0


class NotRanked(Unavailable):
    """There are no scores this time; the message is for the user and says no more than why."""


class Guarded:
    """Asks a reranker for `timeout_s` at most. After MOST_FAILURES in a row it is not asked for PAUSE_S.

    Then one call tries it again while the others do without. What a question or its passages are to blame for does not
    count as a failure: nobody can switch it off for others. Nor does the time that it takes to load.
    """

    def __init__(self, reranker: Reranker, *, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._reranker = reranker
        self._timeout_s = timeout_s
        self._clock = clock
        self._failures = 0
        self._asked_again_at = 0.0
        self._warming: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self._reranker.name

    async def warm(self) -> None:
        """Load it however long that takes. Raises what it raises."""
        await asyncio.shield(self._warmed())

    async def rank(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the scores. Raises NotRanked."""
        self._refuse_while_paused()
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.shield(self._warmed())
                scores = await self._reranker.rank(question, texts)
        except TimeoutError as error:
            if self._warming is not None and not self._warming.done():
                raise NotRanked("the reranker is still being loaded") from error
            raise self._failed(BackendTimeout("timeout")) from error
        except (BadInput, Refused) as error:
            raise NotRanked("the reranker cannot read this question with these passages") from error
        except RaglineError as error:
            raise self._failed(error) from error
        self._failures = 0
        return scores

    async def close(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
        await self._reranker.close()

    def _refuse_while_paused(self) -> None:
        if self._failures < MOST_FAILURES:
            return
        if self._clock() < self._asked_again_at:
            raise NotRanked(f"the reranker failed {MOST_FAILURES} times in a row and is left out for {PAUSE_S:g} s")
        self._asked_again_at = self._clock() + self._timeout_s  # until this one has tried, the others do without

    def _failed(self, error: RaglineError) -> NotRanked:
        """Count a failure. What a server said is not logged: it may repeat the passages."""
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self._asked_again_at = self._clock() + PAUSE_S
        status = error.upstream[0] if isinstance(error, BackendError) and error.upstream else "none"
        log.warning(
            "reranker failed name=%s error=%s status=%s in_a_row=%d",
            self.name,
            type(error).__name__,
            status,
            self._failures,
        )
        if isinstance(error, BackendTimeout):
            return NotRanked(f"the reranker did not answer in {self._timeout_s:g} s")
        return NotRanked("the reranker failed")

    def _warmed(self) -> asyncio.Task[None]:
        """Return the one task that loads it; a failed one is tried anew."""
        task = self._warming
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._warming = asyncio.create_task(self._reranker.warm(), name="load the reranker")
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # somebody has looked
        return task
