"""One thread, the most urgent call first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from ragline.connectors.embedders.turns import Turns, Urgency
from ragline.errors import Unavailable


@pytest.fixture
async def turns() -> AsyncIterator[Turns]:
    opened = Turns("test")
    yield opened
    await opened.close()


class Gate:
    """A call that holds the thread until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        assert self.opened.wait(10)


async def begin(*calls: asyncio.Task[None]) -> None:
    """Let the tasks run up to their first wait, so that they stand in the queue."""
    for _ in calls:
        await asyncio.sleep(0)


async def test_a_question_overtakes_the_passages_that_wait(turns: Turns) -> None:
    gate, order = Gate(), list[str]()
    held = asyncio.create_task(turns.run(Urgency.PASSAGES, gate))
    assert await asyncio.to_thread(gate.entered.wait, 10)
    calls = [
        asyncio.create_task(turns.run(urgency, lambda name=name: order.append(name)))  # type: ignore[misc]
        for urgency, name in [(Urgency.PASSAGES, "p1"), (Urgency.PASSAGES, "p2"), (Urgency.QUERY, "q")]
    ]
    await begin(*calls)
    gate.opened.set()
    await asyncio.gather(held, *calls)
    assert order == ["q", "p1", "p2"]


async def test_a_call_cancelled_before_its_turn_is_never_made(turns: Turns) -> None:
    gate, order = Gate(), list[str]()
    held = asyncio.create_task(turns.run(Urgency.QUERY, gate))
    assert await asyncio.to_thread(gate.entered.wait, 10)
    waiting = asyncio.create_task(turns.run(Urgency.QUERY, lambda: order.append("never")))
    await begin(waiting)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.opened.set()
    await held
    await turns.run(Urgency.PASSAGES, lambda: order.append("after"))
    assert order == ["after"]


async def test_an_error_reaches_its_caller_and_the_next_call_is_made(turns: Turns) -> None:
    def fail() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await turns.run(Urgency.QUERY, fail)
    assert await turns.run(Urgency.QUERY, lambda: 7) == 7


async def test_closing_finishes_what_waits_and_refuses_the_rest(turns: Turns) -> None:
    gate = Gate()
    held = asyncio.create_task(turns.run(Urgency.QUERY, gate))
    assert await asyncio.to_thread(gate.entered.wait, 10)
    waiting = asyncio.create_task(turns.run(Urgency.PASSAGES, lambda: "done"))
    await asyncio.sleep(0)
    gate.opened.set()
    await turns.close()
    await held
    assert await waiting == "done"
    with pytest.raises(Unavailable, match="closed"):
        await turns.run(Urgency.QUERY, lambda: None)
    await turns.close()
