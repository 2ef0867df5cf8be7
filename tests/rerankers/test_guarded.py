"""A reranker that is slow or dead costs a few searches their time, not all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from ragline.connectors.embedders.served import Refused
from ragline.connectors.rerankers.guarded import Guarded, NotRanked
from ragline.errors import BackendError, SetupError, TooLarge


@dataclass
class Scripted:
    """A reranker that does as it is told: gives scores, raises, or never ends; its loading may wait or fail."""

    does: Callable[[], list[float]] | None = None
    loading: asyncio.Event = field(default_factory=asyncio.Event)
    load_errors: list[Exception] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    loads: int = 0
    cancelled: int = 0
    name: str = "scripted"

    async def warm(self) -> None:
        self.loads += 1
        await self.loading.wait()
        if self.load_errors:
            raise self.load_errors.pop()

    async def rank(self, question: str, texts: Sequence[str]) -> list[float]:
        self.asked += 1
        self.began.set()
        try:
            return self.does() if self.does else await asyncio.Future()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def close(self) -> None:
        pass


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def raising(error: Exception) -> Callable[[], list[float]]:
    def raised() -> list[float]:
        raise error

    return raised


@pytest.fixture
def scripted() -> Scripted:
    made = Scripted(lambda: [1.0])
    made.loading.set()
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def said(guarded: Guarded) -> str:
    """Return why there are no scores, or "" where there are."""
    try:
        assert await guarded.rank("a", ["b"]) == [1.0]
    except NotRanked as error:
        return str(error)
    return ""


async def test_after_three_failures_it_is_left_out_for_a_minute(scripted: Scripted, clock: Clock) -> None:
    guarded = Guarded(scripted, timeout_s=3, clock=clock)
    scripted.does = raising(BackendError("secret passage"))
    assert [await said(guarded) for _ in range(5)] == [
        *["the reranker failed"] * 3,
        *["the reranker failed 3 times in a row and is left out for 60 s"] * 2,
    ]
    assert scripted.asked == 3
    clock.now += 59
    assert "left out" in await said(guarded)
    clock.now += 1
    assert await said(guarded) == "the reranker failed"
    assert "left out" in await said(guarded), "one more failure is enough for another minute"
    clock.now += 60
    scripted.does = lambda: [1.0]
    assert [await said(guarded), await said(guarded)] == ["", ""]
    assert scripted.asked == 6


async def test_a_success_in_between_begins_the_count_anew(scripted: Scripted, clock: Clock) -> None:
    guarded = Guarded(scripted, timeout_s=3, clock=clock)
    for _ in range(3):
        scripted.does = raising(BackendError("x"))
        assert [await said(guarded), await said(guarded)] == ["the reranker failed"] * 2
        scripted.does = lambda: [1.0]
        assert await said(guarded) == ""


async def test_after_the_pause_one_search_tries_and_the_others_do_without(scripted: Scripted, clock: Clock) -> None:
    guarded = Guarded(scripted, timeout_s=0.1, clock=clock)
    scripted.does = raising(BackendError("x"))
    for _ in range(3):
        await said(guarded)
    clock.now += 60
    scripted.does = None
    scripted.began.clear()
    trying = asyncio.create_task(said(guarded))
    await scripted.began.wait()
    assert "left out" in await said(guarded)
    assert (await trying, scripted.asked) == ("the reranker did not answer in 0.1 s", 4)


async def test_who_never_answers_is_cancelled_at_the_timeout(scripted: Scripted) -> None:
    guarded = Guarded(scripted, timeout_s=0.05)
    scripted.does = None
    assert await said(guarded) == "the reranker did not answer in 0.05 s"
    assert scripted.cancelled == 1


@pytest.mark.parametrize("error", [TooLarge("the question is long"), Refused("413")])
async def test_what_the_question_is_to_blame_for_is_no_failure(
    scripted: Scripted, error: Exception, clock: Clock
) -> None:
    guarded = Guarded(scripted, timeout_s=3, clock=clock)
    scripted.does = raising(error)
    for _ in range(10):
        assert await said(guarded) == "the reranker cannot read this question with these passages"
    scripted.does = lambda: [1.0]
    assert await said(guarded) == ""


async def test_a_cancelled_search_cancels_the_call_and_is_no_failure(scripted: Scripted) -> None:
    guarded = Guarded(scripted, timeout_s=60)
    does, scripted.does = scripted.does, None
    for number in range(1, 5):
        task = asyncio.create_task(said(guarded))
        await scripted.began.wait()
        scripted.began.clear()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scripted.cancelled == number
    scripted.does = does
    assert await said(guarded) == ""


async def test_while_it_loads_searches_do_without_and_that_is_no_failure(scripted: Scripted) -> None:
    guarded = Guarded(scripted, timeout_s=0.02)
    scripted.loading.clear()
    for _ in range(4):
        assert await said(guarded) == "the reranker is still being loaded"
    scripted.loading.set()
    await guarded.warm()
    assert (await said(guarded), scripted.loads) == ("", 1)
    await guarded.close()


async def test_what_could_not_be_loaded_is_loaded_again(scripted: Scripted) -> None:
    guarded = Guarded(scripted, timeout_s=3)
    scripted.load_errors = [SetupError("damaged"), SetupError("damaged")]
    with pytest.raises(SetupError, match="damaged"):
        await guarded.warm()
    assert await said(guarded) == "the reranker failed"
    assert (await said(guarded), scripted.loads) == ("", 3)


async def test_what_the_server_said_is_not_logged(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    guarded = Guarded(scripted, timeout_s=3)
    scripted.does = raising(BackendError("passage secret", upstream=(500, b"passage secret", {})))
    await said(guarded)
    assert "reranker failed name=scripted error=BackendError status=500" in caplog.text
    assert "secret" not in caplog.text
